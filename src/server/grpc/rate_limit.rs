//! `ShouldRateLimit`: read, decide, answer.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::convert;
use crate::engine::{Engine, Met};
use crate::proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use crate::telemetry::Recorder;

mod generated {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    include!(concat!(
        env!("OUT_DIR"),
        "/server/envoy.service.ratelimit.v3.rs"
    ));
}

pub(super) use generated::rate_limit_service_server::SERVICE_NAME;
pub use generated::rate_limit_service_server::{RateLimitService, RateLimitServiceServer};

/// The service of one worker, over an engine that all of them share.
#[derive(Debug)]
pub(super) struct RateLimit {
    engine: Arc<Engine>,
    recorder: Arc<Recorder>,
}

impl RateLimit {
    pub(super) fn new(engine: Arc<Engine>, recorder: Arc<Recorder>) -> Self {
        Self { engine, recorder }
    }
}

#[tonic::async_trait]
impl RateLimitService for RateLimit {
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        let request = convert::request(request.into_inner())?;
        let mut call = self.recorder.begin();
        let observe = |met: Met<'_>| call.met(&request, &met);
        let decision = self.engine.decide_observed(&request, observe).await;
        call.end(&decision);
        Ok(Response::new(convert::response(decision)))
    }
}
