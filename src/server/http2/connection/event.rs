//! Events: work that a connection hands to its driver.

use std::time::Instant;

use super::super::head::ExchangeHead;
use super::super::service::LateFuture;

/// Work that a connection cannot do alone.
pub enum ConnectionEvent<R> {
    /// An answer takes time: hand it to [`Http2Connection::answer`](super::Http2Connection::answer).
    Later {
        /// Whose answer.
        stream: u32,
        /// The answer.
        future: LateFuture<R>,
        /// When the client stops waiting.
        deadline: Option<Instant>,
    },
    /// A call of a service that has bodies began.
    Exchange {
        /// Its stream.
        stream: u32,
        /// Path and header fields.
        head: Box<ExchangeHead>,
    },
    /// A part of the body of an exchange.
    Data {
        /// Its stream.
        stream: u32,
        /// The part.
        bytes: Vec<u8>,
    },
    /// The body of an exchange has ended.
    End {
        /// Its stream.
        stream: u32,
    },
    /// There is room again for the data of an exchange.
    Room {
        /// Its stream.
        stream: u32,
    },
    /// The stream is gone: whatever works for it may stop.
    Cancelled {
        /// Its stream.
        stream: u32,
    },
}
