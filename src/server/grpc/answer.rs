//! An answer that gives back what it grants if nobody is told of it.

use std::sync::Arc;

use crate::engine::{Engine, Grant};
use crate::proto::envoy::service::ratelimit::v3::RateLimitResponse;

/// A message, and what it grants until it is sent.
#[derive(Debug)]
pub struct GrantedResponse {
    message: RateLimitResponse,
    unsent: UnsentGrant,
}

/// Slots that nobody knows to hold, given back when this is dropped.
///
/// The client may go away while its answer waits for its turn, or for room in the client's window: then hyper drops the
/// answer's body before it was read to its end. A body that was read is on its way, as far as a server can know; what a
/// client holds that never saw it ends by itself.
#[derive(Debug, Default)]
pub struct UnsentGrant(Option<(Box<Grant>, Arc<Engine>)>);

impl GrantedResponse {
    /// An answer, and what its decision grants.
    pub(super) fn new(
        message: RateLimitResponse,
        granted: Option<(Box<Grant>, Arc<Engine>)>,
    ) -> Self {
        Self {
            message,
            unsent: UnsentGrant(granted),
        }
    }

    /// The message, and what it grants until it is sent.
    pub(super) fn into_parts(self) -> (RateLimitResponse, UnsentGrant) {
        (self.message, self.unsent)
    }
}

impl UnsentGrant {
    /// From now on the client gives it back.
    pub(super) fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for UnsentGrant {
    fn drop(&mut self) {
        if let Some((grant, engine)) = &self.0 {
            engine.release(grant);
        }
    }
}
