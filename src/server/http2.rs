//! HTTP/2 for a server of small unary gRPC calls (RFC 9113, gRPC over HTTP/2).
//!
//! [`Http2Connection`] is a state machine: it is handed bytes and the time, and has bytes to write and
//! [`ConnectionEvent`]s. It does no I/O and reads no clock. A call whose message has arrived is answered within
//! the same call of [`Http2Connection::receive`]: no task, no queue, no allocation. [`driver`] joins
//! it to a socket; [`exchange`] to services that have bodies. It knows nothing of rate limits.
//!
//! What it promises: whatever a request's header fields are, the call is served or fails alone; no
//! stream affects another; memory is bounded by [`Http2Limits`] and [`ByteBudget`].

mod connection;
pub mod driver;
pub mod exchange;
mod frame;
mod frame_reader;
mod head;
mod hpack;
mod limits;
mod message;
mod meter;
mod output;
mod preface;
mod rejection;
mod service;
mod status;
mod stream;

pub use connection::{ConnectionEvent, Http2Connection};
pub use frame::ErrorCode;
pub use head::ExchangeHead;
pub use limits::{ByteBudget, Http2Limits};
pub use rejection::Rejection;
pub use service::{
    CallHead, CallOutcome, CallRoute, Http2Service, LateAnswer, LateFuture, Receipt, TraceFields,
};
pub use status::GrpcStatus;
