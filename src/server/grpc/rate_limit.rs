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
        let decision = self.engine.decide(&request).await;
        if decision.basis == Basis::Failed {
            return Err(Status::unavailable(NOT_COUNTED));
        }
        let granted = decision.grant.clone();
        let granted = granted.map(|grant| (grant, self.engine));
        Ok(Answer::new(convert::response(decision), granted))
    }
}

/// The method of this service that a path names, if it names one.
pub(super) fn method(path: &str) -> Option<&str> {
    let path = path.strip_prefix('/')?.strip_prefix(SERVICE_NAME)?;
    path.strip_prefix('/')
}
