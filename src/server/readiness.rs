//! Whether the server accepts calls, for health checks over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::api::ServingStage;

/// A flag that the server sets and health checks read; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicU8>);

impl Readiness {
    pub(super) fn set(&self, stage: ServingStage) {
        self.0.store(stage as u8, Ordering::Relaxed);
    }

    /// The present stage.
    pub fn stage(&self) -> ServingStage {
        match self.0.load(Ordering::Relaxed) {
            0 => ServingStage::Starting,
            1 => ServingStage::Serving,
            _ => ServingStage::Draining,
        }
    }
}
