//! `ShouldRateLimit`: read, decide, answer.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::convert;
use super::unsent::Unsent;
use crate::engine::Engine;
use crate::proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};

mod generated {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    include!(concat!(
        env!("OUT_DIR"),
        "/server/envoy.service.ratelimit.v3.rs"
    ));
}

pub(super) use generated::rate_limit_service_server::SERVICE_NAME;
pub use generated::rate_limit_service_server::{RateLimitService, RateLimitServiceServer};

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
    ) -> Result<Response<RateLimitResponse>, Status> {
        let request = convert::request(request.into_inner())?;
        let mut decision = self.engine.decide(&request).await;
        let grant = decision.grant.take();
        let lease = grant.as_ref().map(|grant| grant.lease);
        let mut answer = Response::new(convert::response(decision, lease));
        if let Some(grant) = grant {
            let unsent = Unsent::new(Arc::clone(&self.engine), grant);
            answer.extensions_mut().insert(unsent);
        }
        Ok(answer)
    }
}
