//! The services behind a connection, as it sees them.

use std::pin::Pin;
use std::time::Duration;

use super::rejection::Rejection;
use super::status::GrpcStatus;

/// How calls of a path are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallRoute {
    /// One message each way, by [`Http2Service::call`]; the number says which method.
    Unary(u8),
    /// Messages of any number, by a service that has bodies.
    Exchange,
    /// Not at all: UNIMPLEMENTED.
    Unknown,
}

/// The head of a unary call: everything beside its message.
#[derive(Clone, Debug, Default)]
pub struct CallHead {
    /// The number in [`CallRoute::Unary`].
    pub method: u8,
    /// How long the client waits (`grpc-timeout`).
    pub timeout: Option<Duration>,
    /// Fields that only traced calls have.
    pub trace: Option<Box<TraceFields>>,
}

/// The fields of W3C Trace Context; empty when absent, or longer than that standard expects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceFields {
    /// `traceparent`.
    pub parent: Vec<u8>,
    /// `tracestate`.
    pub state: Vec<u8>,
}

/// An answer that is not known yet.
pub type LateFuture<R> = Pin<Box<dyn Future<Output = LateAnswer<R>> + Send>>;

/// The result of a unary call.
pub enum CallOutcome<R> {
    /// The message that was written.
    Message(Option<R>),
    /// No message.
    Failed(GrpcStatus),
    /// An answer that takes time.
    Later(LateFuture<R>),
}

/// An answer that took time.
#[derive(Debug)]
pub enum LateAnswer<R> {
    /// A message, without its prefix.
    Message(Vec<u8>, Option<R>),
    /// No message.
    Failed(GrpcStatus),
}

/// Reports whether an answer was sent. Dropping it means that the answer was not.
pub trait Receipt {
    /// The last byte of the answer was written to the socket.
    fn sent(self);
}

/// The services of a connection.
pub trait Http2Service {
    /// Attached to answers that must know whether they were sent.
    type Receipt: Receipt;

    /// Who serves a path.
    fn route(&mut self, path: &[u8]) -> CallRoute;

    /// Answers a unary call. The message of the answer is appended to `out`, whose earlier bytes are
    /// not to be touched; what was appended is dropped unless the outcome is [`CallOutcome::Message`].
    fn call(
        &mut self,
        head: &CallHead,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> CallOutcome<Self::Receipt>;

    /// Whether [`CallHead::trace`] is looked at.
    fn wants_trace(&self) -> bool {
        false
    }

    /// A call or the connection was rejected.
    fn rejected(&mut self, reason: Rejection);
}
