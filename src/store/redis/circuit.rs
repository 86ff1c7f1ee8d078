//! The circuit breaker of a worker's connection as a whole.
//!
//! The nodes of a cluster have their own, in [`node_queue`](super::node_queue).

use std::sync::atomic::{AtomicBool, Ordering};

/// Closed if there is a connection, or may be one in time; open if calls would wait in vain.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    is_open: AtomicBool,
}

impl Circuit {
    pub(super) fn open(&self) {
        self.is_open.store(true, Ordering::Relaxed);
    }

    pub(super) fn close(&self) {
        self.is_open.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }
}
