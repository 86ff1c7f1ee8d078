//! Whether the server wants calls, for those who ask over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// A switch that the server sets and its health checks read; clones are the same switch.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicU8>);

/// How far the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServingStage {
    /// It does not serve yet.
    Starting,
    /// It serves.
    Serving,
    /// It serves on, but wants no new clients.
    Draining,
}

impl Readiness {
    pub(super) fn set(&self, stage: ServingStage) {
        self.0.store(stage as u8, Ordering::Relaxed);
    }

    /// How far the server is.
    pub fn stage(&self) -> ServingStage {
        match self.0.load(Ordering::Relaxed) {
            0 => ServingStage::Starting,
            1 => ServingStage::Serving,
            _ => ServingStage::Draining,
        }
    }
}
