//! `ShouldRateLimit`: read, decide, answer.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::answer::Answer;
use super::convert;
use crate::engine::{Basis, Engine};
use crate::proto::envoy::service::ratelimit::v3::RateLimitRequest;

mod generated {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    include!(concat!(
        env!("OUT_DIR"),
        "/server/envoy.service.ratelimit.v3.rs"
    ));
}

pub(super) use generated::rate_limit_service_server::SERVICE_NAME;
pub use generated::rate_limit_service_server::{RateLimitService, RateLimitServiceServer};

/// What a caller is told where a rule says `on_store_error: error`.
const NOT_COUNTED: &str =
    "the hits could not be counted, and a rule says to fail then (on_store_error: error)";

/// The service, over an engine that all workers share.
#[derive(Debug)]
pub(super) struct RateLimit {
    engine: Arc<Engine>,
}

impl RateLimit {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

#[tonic::async_trait]
impl RateLimitService for RateLimit {
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<Answer>, Status> {
        let request = convert::request(request.into_inner())?;
        let decision = self.engine.decide(&request).await;
        if decision.basis == Basis::Failed {
            return Err(Status::unavailable(NOT_COUNTED));
        }
        let granted = decision.grant.clone();
        let granted = granted.map(|grant| (grant, Arc::clone(&self.engine)));
        Ok(Response::new(Answer::new(
            convert::response(decision),
            granted,
        )))
    }
}
