//! What an answer grants, returned if the answer does not reach its caller.

use std::sync::Arc;

use crate::engine::{Engine, Grant};
use crate::server::http2::Receipt;

/// Slots that nobody knows to hold, released when this is dropped before its answer was sent.
///
/// The client may go away while its answer waits for its turn, or for room in the client's window. An
/// answer that was written to the socket is on its way, as far as a server can know; the lease of a
/// client that never saw it expires.
#[derive(Debug)]
pub struct UnsentGrant {
    engine: Arc<Engine>,
    grant: Option<Box<Grant>>,
}

impl UnsentGrant {
    pub(super) fn new(engine: Arc<Engine>, grant: Box<Grant>) -> Self {
        Self {
            engine,
            grant: Some(grant),
        }
    }
}

impl Receipt for UnsentGrant {
    /// From now on the client releases it.
    fn sent(mut self) {
        self.grant = None;
    }
}

impl Drop for UnsentGrant {
    fn drop(&mut self) {
        if let Some(grant) = &self.grant {
            self.engine.release(grant);
        }
    }
}
