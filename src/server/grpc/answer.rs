//! An answer that gives back what it grants if nobody is told of it.

use std::sync::Arc;

use crate::engine::{Engine, Grant};
use crate::proto::envoy::service::ratelimit::v3::RateLimitResponse;

/// What is sent, and what it grants until then.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) message: RateLimitResponse,
    /// To be held until the client was told.
    pub(super) unsent: Option<Unsent>,
}

/// Slots that nobody knows to hold; given back when dropped.
///
/// The client may go away while its answer waits for its turn, or for room in the client's window: then hyper drops
/// the answer's body before it was read to its end. A body that was read is on its way, as far as a server can know;
/// what a client holds that never saw it ends by itself.
#[derive(Debug)]
pub struct Unsent {
    engine: Arc<Engine>,
    grant: Option<Grant>,
}

impl Unsent {
    pub(super) fn new(engine: Arc<Engine>, grant: Grant) -> Self {
        Self {
            engine,
            grant: Some(grant),
        }
    }

    /// The client was told: from now on it is the client's to give back.
    pub(super) fn sent(mut self) {
        self.grant = None;
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        if let Some(grant) = &self.grant {
            self.engine.give_back(grant);
        }
    }
}
