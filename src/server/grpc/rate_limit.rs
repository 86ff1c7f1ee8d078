//! `ShouldRateLimit`: read, decide, answer.

use std::sync::Arc;

use tonic::Status;
use tonic::body::Body;

use super::answer::GrantedResponse;
use super::{codec, convert, unary};
use crate::engine::{CountingStatus, DescriptorResult, Engine};
use crate::telemetry::{DecisionSpan, Recorder, Traces};

/// The service's name, and with its one method its path.
pub(super) const SERVICE_NAME: &str = "envoy.service.ratelimit.v3.RateLimitService";
const METHOD: &str = "ShouldRateLimit";

/// What a caller is told where a rule says `on_store_error: error`.
pub(crate) const NOT_COUNTED: &str =
    "the hits could not be counted, and a rule says to fail then (on_store_error: error)";

/// The service of one worker, over an engine that all of them share.
#[derive(Clone, Debug)]
pub(super) struct RateLimit(Arc<WorkerContext>);

/// What one worker has; each call holds it, so that workers need not count together who holds the engine.
#[derive(Debug)]
struct WorkerContext {
    engine: Arc<Engine>,
    recorder: Recorder,
    traces: Option<Arc<Traces>>,
}

impl RateLimit {
    pub(super) fn new(
        engine: Arc<Engine>,
        recorder: Recorder,
        traces: Option<Arc<Traces>>,
    ) -> Self {
        Self(Arc::new(WorkerContext {
            engine,
            recorder,
            traces,
        }))
    }

    /// Why counters cannot be shared now; none if they can, or are not to be.
    pub(super) fn unavailable_reason(&self) -> Option<String> {
        self.0.engine.unavailable_reason()
    }

    /// Answers a call of a method of this service.
    pub(super) async fn answer(
        self,
        request: http::Request<Body>,
    ) -> Result<GrantedResponse, Status> {
        let headers = request.headers();
        let header = |name: &str| headers.get(name)?.to_str().ok();
        let Self(worker) = self;
        let mut span = worker.traces.as_ref().map(|traces| traces.decision(header));
        let answer = worker.decide(request, span.as_mut()).await;
        if let Err(status) = &answer {
            worker.recorder.failed(status.code() as usize);
            if let Some(span) = &mut span {
                span.fail(status.message());
            }
        }
        answer
    }
}

impl WorkerContext {
    async fn decide(
        &self,
        request: http::Request<Body>,
        mut span: Option<&mut DecisionSpan>,
    ) -> Result<GrantedResponse, Status> {
        if method(request.uri().path()) != Some(METHOD) {
            return Err(Status::unimplemented("there is no such method"));
        }
        let message = codec::decode(unary::read(request).await?)?;
        let request = convert::request(message)?;
        let mut call = self.recorder.begin();
        let observe = |result: DescriptorResult<'_>| {
            call.record(&request, &result);
            if let Some(span) = &mut span {
                span.record(&result);
            }
        };
        let mut decision = self.engine.decide_observed(&request, observe).await;
        call.end(&decision);
        if let Some(span) = span {
            span.decided(&decision);
        }
        let is_failed = decision.counting_status == CountingStatus::Failed;
        let grant = decision.grant.take();
        let lease = grant.as_ref().map(|grant| grant.lease);
        let granted = grant.map(|grant| (grant, Arc::clone(&self.engine)));
        let answer = GrantedResponse::new(convert::response(decision, lease), granted);
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
