//! `ShouldRateLimit`: read, decide, answer.

use std::sync::Arc;

use tonic::Status;
use tonic::body::Body;

use super::answer::Answer;
use super::{codec, convert, unary};
use crate::engine::{Basis, Engine};

/// The service's name, and with its one method its path.
pub(super) const SERVICE_NAME: &str = "envoy.service.ratelimit.v3.RateLimitService";
const METHOD: &str = "ShouldRateLimit";

/// What a caller is told where a rule says `on_store_error: error`.
const NOT_COUNTED: &str =
    "the hits could not be counted, and a rule says to fail then (on_store_error: error)";

/// The service, over an engine that all workers share.
#[derive(Clone, Debug)]
pub(super) struct RateLimit {
    engine: Arc<Engine>,
}

impl RateLimit {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// Answers a call of a method of this service.
    pub(super) async fn answer(self, request: http::Request<Body>) -> Result<Answer, Status> {
        if method(request.uri().path()) != Some(METHOD) {
            return Err(Status::unimplemented("there is no such method"));
        }
        let message = codec::decode(unary::read(request).await?)?;
        let request = convert::request(message)?;
        let mut decision = self.engine.decide(&request).await;
        let is_failed = decision.basis == Basis::Failed;
        let grant = decision.grant.take();
        let lease = grant.as_ref().map(|grant| grant.lease);
        let granted = grant.map(|grant| (grant, self.engine));
        let answer = Answer::new(convert::response(decision, lease), granted);
        if is_failed {
            // What the answer grants is given back with it.
            return Err(Status::unavailable(NOT_COUNTED));
        }
        Ok(answer)
    }
}

/// The method of this service that a path names, if it names one.
pub(super) fn method(path: &str) -> Option<&str> {
    let path = path.strip_prefix('/')?.strip_prefix(SERVICE_NAME)?;
    path.strip_prefix('/')
}
