//! An answer that gives back what it grants if nobody is told of it.

use std::sync::Arc;

use crate::engine::{Engine, Grant};
use crate::proto::envoy::service::ratelimit::v3::RateLimitResponse;

/// What is sent, and what it grants until then.
///
/// The client may go away before: hyper drops the answer when the stream was reset, or the connection has ended, before
/// it asked for the bytes. Those it asked for are on their way, as far as a server can know; what a client that went
/// away then still holds ends by itself.
#[derive(Debug)]
pub struct Answer {
    message: RateLimitResponse,
    unsent: Option<Unsent>,
}

/// Slots that nobody knows to hold; given back when dropped.
#[derive(Debug)]
struct Unsent {
    engine: Arc<Engine>,
    grant: Option<Grant>,
}

impl Answer {
    /// An answer, and what its decision grants.
    pub(super) fn new(message: RateLimitResponse, granted: Option<(Grant, Arc<Engine>)>) -> Self {
        Self {
            message,
            unsent: granted.map(|(grant, engine)| Unsent {
                engine,
                grant: Some(grant),
            }),
        }
    }

    /// The message, which is as good as sent.
    pub(super) fn sent(self) -> RateLimitResponse {
        if let Some(sent) = self.unsent {
            sent.forget();
        }
        self.message
    }
}

impl Unsent {
    /// From now on the client gives it back.
    fn forget(mut self) {
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
