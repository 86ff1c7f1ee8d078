//! `ShouldRateLimit`: decode, decide, encode.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use prost::Message;

use super::answer::UnsentGrant;
use super::request_metadata::RequestMetadata;
use super::{RATE_LIMIT_SERVICE, codec, convert, other_services};
use crate::engine::{CountingStatus, Decision, DescriptorResult, Engine};
use crate::proto::envoy::service::ratelimit::v3::RateLimitResponse;
use crate::request::Request;
use crate::server::http2::{
    CallHead, CallOutcome, CallRoute, GrpcStatus, Http2Service, LateAnswer, LateFuture, Rejection,
};
use crate::telemetry::{CallRecorder, DecisionSpan, Recorder, Traces};

/// The one method of the service.
const METHOD: &[u8] = b"ShouldRateLimit";

/// Its number in [`CallRoute::Unary`].
const SHOULD_RATE_LIMIT: u8 = 0;

/// The message to a caller where a rule says `on_store_error: error`.
pub(crate) const NOT_COUNTED: &str =
    "the hits could not be counted, and a rule says to fail then (on_store_error: error)";

/// The message to a caller before the configuration server has sent a policy. Envoy's `failure_mode_deny` applies.
const NO_POLICY: &str = "no policy has arrived from the configuration server yet";

/// The service of one worker, over an engine that all workers share. Connections have clones.
#[derive(Clone, Debug)]
pub struct RateLimit(Arc<WorkerContext>);

/// What one worker has; each call in progress holds it, so that workers need not count together who
/// holds the engine.
#[derive(Debug)]
pub(super) struct WorkerContext {
    pub(super) engine: Arc<Engine>,
    pub(super) recorder: Recorder,
    pub(super) traces: Option<Arc<Traces>>,
    /// Whether responses describe their requests.
    pub(super) request_metadata: bool,
}

/// The request in a message, and what its response says of it.
struct ReadRequest {
    request: Request,
    metadata: Option<RequestMetadata>,
}

/// A message to send, and the receipt for what it grants.
type Answer = (RateLimitResponse, Option<UnsentGrant>);

impl RateLimit {
    pub(super) fn new(worker: WorkerContext) -> Self {
        Self(Arc::new(worker))
    }
}

impl Http2Service for RateLimit {
    type Receipt = UnsentGrant;

    fn route(&mut self, path: &[u8]) -> CallRoute {
        if is_method(path) {
            CallRoute::Unary(SHOULD_RATE_LIMIT)
        } else if other_services::is_served(path) {
            CallRoute::Exchange
        } else {
            CallRoute::Unknown
        }
    }

    fn call(
        &mut self,
        head: &CallHead,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> CallOutcome<UnsentGrant> {
        let Self(worker) = self;
        let mut span = worker.span(head);
        let ReadRequest { request, metadata } = match worker.read(message) {
            Ok(read) => read,
            Err(status) => {
                return CallOutcome::Failed(worker.failed(status, span.as_mut()));
            }
        };
        let Some(local) = worker.engine.local() else {
            return first_poll(
                Arc::clone(worker).decide_later(request, metadata, span),
                out,
            );
        };
        let mut call = worker.begin(span.as_mut(), metadata);
        let decision = local.decide_observed(&request, |result| call.record(&request, &result));
        match call.conclude(decision) {
            Ok((message, receipt)) => {
                encode(&message, out);
                CallOutcome::Message(receipt)
            }
            Err(status) => CallOutcome::Failed(worker.failed(status, span.as_mut())),
        }
    }

    fn wants_trace(&self) -> bool {
        self.0.traces.is_some()
    }

    fn rejected(&mut self, reason: Rejection) {
        self.0.recorder.rejected(reason, self.0.engine.now());
    }
}

/// Whether a path is that of [`METHOD`].
fn is_method(path: &[u8]) -> bool {
    let path = path
        .strip_prefix(b"/")
        .and_then(|path| path.strip_prefix(RATE_LIMIT_SERVICE.as_bytes()));
    path.and_then(|path| path.strip_prefix(b"/")) == Some(METHOD)
}

/// Appends a message.
fn encode(message: &RateLimitResponse, out: &mut Vec<u8>) {
    // A vector always has room.
    let _ = message.encode(out);
}

/// Polls a decision once: one that need not wait, such as one from the local cache, is answered at once. The waker
/// does nothing, since the connection polls any other decision again with its own.
fn first_poll(mut future: LateFuture<UnsentGrant>, out: &mut Vec<u8>) -> CallOutcome<UnsentGrant> {
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Pending => CallOutcome::Later(future),
        Poll::Ready(LateAnswer::Failed(status)) => CallOutcome::Failed(status),
        Poll::Ready(LateAnswer::Message(message, receipt)) => {
            out.extend_from_slice(&message);
            CallOutcome::Message(receipt)
        }
    }
}

impl WorkerContext {
    /// The span of a call; none when nobody wants spans.
    fn span(&self, head: &CallHead) -> Option<DecisionSpan> {
        let traces = self.traces.as_ref()?;
        let header = |name: &str| {
            let fields = head.trace.as_deref()?;
            let value = match name {
                "traceparent" => &fields.parent,
                "tracestate" => &fields.state,
                _ => return None,
            };
            std::str::from_utf8(value)
                .ok()
                .filter(|value| !value.is_empty())
        };
        Some(traces.decision(header))
    }

    fn read(&self, message: &[u8]) -> Result<ReadRequest, GrpcStatus> {
        if self.engine.awaits_policy() {
            return Err(GrpcStatus::unavailable(NO_POLICY));
        }
        let message = codec::decode(message)?;
        let metadata = self
            .request_metadata
            .then(|| RequestMetadata::new(&message));
        let request = convert::request(message)?;
        Ok(ReadRequest { request, metadata })
    }

    fn begin<'c>(
        &'c self,
        span: Option<&'c mut DecisionSpan>,
        metadata: Option<RequestMetadata>,
    ) -> CallInProgress<'c> {
        CallInProgress {
            metadata,
            engine: &self.engine,
            recorder: self.recorder.begin(),
            span,
        }
    }

    fn decide_later(
        self: Arc<Self>,
        request: Request,
        metadata: Option<RequestMetadata>,
        mut span: Option<DecisionSpan>,
    ) -> LateFuture<UnsentGrant> {
        Box::pin(async move {
            let mut call = self.begin(span.as_mut(), metadata);
            let observe = |result: DescriptorResult<'_>| call.record(&request, &result);
            let decision = self.engine.decide_observed(&request, observe).await;
            match call.conclude(decision) {
                Ok((message, receipt)) => LateAnswer::Message(message.encode_to_vec(), receipt),
                Err(status) => LateAnswer::Failed(self.failed(status, span.as_mut())),
            }
        })
    }

    /// Records that a call has failed.
    fn failed(&self, status: GrpcStatus, span: Option<&mut DecisionSpan>) -> GrpcStatus {
        self.recorder.failed(status.code.into());
        if let Some(span) = span {
            span.fail(&status.message);
        }
        status
    }
}

/// A call that is being decided, and its observers.
struct CallInProgress<'c> {
    engine: &'c Arc<Engine>,
    recorder: CallRecorder<'c>,
    span: Option<&'c mut DecisionSpan>,
    metadata: Option<RequestMetadata>,
}

impl CallInProgress<'_> {
    fn record(&mut self, request: &Request, result: &DescriptorResult<'_>) {
        self.recorder.record(request, result);
        if let Some(span) = &mut self.span {
            span.record(result);
        }
    }

    fn conclude(self, mut decision: Decision) -> Result<Answer, GrpcStatus> {
        self.recorder.end(&decision);
        if let Some(span) = self.span {
            span.decided(&decision);
        }
        let grant = decision.grant.take();
        let lease = grant.as_ref().map(|grant| grant.lease);
        let receipt = grant.map(|grant| UnsentGrant::new(Arc::clone(self.engine), grant));
        if decision.counting_status == CountingStatus::Failed {
            // What was granted is given back with the receipt.
            return Err(GrpcStatus::unavailable(NOT_COUNTED));
        }
        let mut response = convert::response(decision, lease);
        if let Some(metadata) = self.metadata {
            metadata.add_to(&self.engine.policy(), &mut response);
        }
        Ok((response, receipt))
    }
}
