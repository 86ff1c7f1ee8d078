//! Counters.

/// Where counters live.
#[derive(Debug)]
pub enum Store {
    /// In this process.
    Memory,
}

/// What a store in memory is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryConfig {
    /// Bytes that counters may take, resident.
    pub budget_bytes: u64,
}

impl Store {
    /// A store in this process.
    pub fn memory(config: MemoryConfig) -> Self {
        let _ = config;
        Self::Memory
    }
}
