//! Counters: one [`States`] per rule and client key.

mod batch;
mod key;
mod lease;
mod memory;

pub use batch::{Batch, Hit, Verdict, Weight};
pub use key::{Key, KeyBuilder, KeyHasher};
pub use memory::MemoryConfig;

use smallvec::SmallVec;

use crate::clock::Timestamp;
use crate::limit::{Outcomes, States};
use crate::request::LeaseId;

/// Where counters live.
#[derive(Debug)]
pub enum Store {
    /// In this process.
    Memory(memory::Memory),
}

/// How the store stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Counters that it holds.
    pub counters: u64,
    /// Bytes that they are reckoned to take.
    pub bytes: u64,
    /// Counters over their limit that are kept until their reset, whatever else comes.
    pub pinned: u64,
    /// Counters that were dropped, since the start, to make room; what they had counted is forgotten.
    pub evicted: u64,
    /// Pinned counters that lost their place, since the start, before their reset.
    pub unpinned_early: u64,
}

impl Store {
    /// A store in this process.
    ///
    /// # Errors
    /// When the system has no randomness for the key of its hash.
    pub fn memory(config: MemoryConfig) -> Result<Self, NoRandomness> {
        memory::Memory::new(config).map(Self::Memory)
    }

    /// What turns an identity into a [`Key`] of this store.
    pub fn hasher(&self) -> &KeyHasher {
        match self {
            Self::Memory(memory) => memory.hasher(),
        }
    }

    /// A lease that nobody was granted before.
    pub fn new_lease(&self) -> LeaseId {
        match self {
            Self::Memory(memory) => memory.new_lease(),
        }
    }

    /// Takes the hits in their order, each seeing those before it, and says how each counter stands then.
    pub async fn hit(&self, now: Timestamp, batch: &Batch<'_>) -> SmallVec<[Outcomes; 2]> {
        match self {
            Self::Memory(memory) => memory.hit(now, batch),
        }
    }

    /// Gives back what a lease holds at these counters, once for each time that a counter is named. Who calls does not
    /// wait, and nobody is told: what is not given back ends by itself.
    pub fn give_back(&self, now: Timestamp, lease: LeaseId, keys: &[Key]) {
        match self {
            Self::Memory(memory) => memory.give_back(now, lease, keys),
        }
    }

    /// What a counter holds; none if there is no such counter. Nothing is changed.
    pub async fn states(&self, key: Key) -> Option<States> {
        match self {
            Self::Memory(memory) => memory.states(key),
        }
    }

    /// Forgets what a counter has counted, and tells whether there was one.
    pub async fn reset(&self, key: Key) -> bool {
        match self {
            Self::Memory(memory) => memory.reset(key),
        }
    }

    /// How it stands.
    pub fn stats(&self) -> Stats {
        match self {
            Self::Memory(memory) => memory.stats(),
        }
    }
}

/// The system gave no random bytes.
#[derive(Debug)]
pub struct NoRandomness(getrandom::Error);

impl std::fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the system has no random bytes to key the counters' hash with")
    }
}

impl std::error::Error for NoRandomness {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}
