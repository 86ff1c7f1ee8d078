//! `ShouldRateLimit`: read, decide, answer.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::answer::Answer;
use super::convert;
use crate::engine::{Engine, Met};
use crate::proto::envoy::service::ratelimit::v3::RateLimitRequest;
use crate::telemetry::{Recorder, Traces};

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
    traces: Option<Arc<Traces>>,
}

impl RateLimit {
    pub(super) fn new(
        engine: Arc<Engine>,
        recorder: Arc<Recorder>,
        traces: Option<Arc<Traces>>,
    ) -> Self {
        Self {
            engine,
            recorder,
            traces,
        }
    }
}

#[tonic::async_trait]
impl RateLimitService for RateLimit {
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<Answer>, Status> {
        let traces = self.traces.as_ref();
        let mut span = traces.map(|traces| {
            let metadata = request.metadata();
            traces.decision(|name| metadata.get(name)?.to_str().ok())
        });
        let request = match convert::request(request.into_inner()) {
            Ok(request) => request,
            Err(invalid) => {
                if let Some(span) = span {
                    span.fail(&invalid.to_string());
                }
                return Err(invalid.into());
            }
        };
        let mut call = self.recorder.begin();
        let observe = |met: Met<'_>| {
            call.met(&request, &met);
            if let Some(span) = &mut span {
                span.met(&met);
            }
        };
        let decision = self.engine.decide_observed(&request, observe).await;
        call.end(&decision);
        if let Some(span) = span {
            span.end(&decision);
        }
        let granted = decision.grant.clone();
        let granted = granted.map(|grant| (grant, Arc::clone(&self.engine)));
        Ok(Response::new(Answer::new(
            convert::response(decision),
            granted,
        )))
    }
}
