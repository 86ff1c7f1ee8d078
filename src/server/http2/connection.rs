//! The state of one connection, and how what was read changes it.

mod answer;
mod closing;
mod control;
mod event;
mod lifetime;
mod outgoing;
mod request;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::frame::{ErrorCode, FrameHead, FrameKind, flag};
use super::frame_reader::{FrameContent, FrameError, FramePiece, FrameReader};
use super::head::HeadReader;
use super::hpack::{AnswerEncoder, HeaderDecoder};
use super::limits::{
    BudgetShare, ByteBudget, CONNECTION_WINDOW, Http2Limits, MAX_WINDOW, STREAM_WINDOW,
};
use super::meter::FrameMeter;
use super::output::OutputBuffer;
use super::preface::PrefaceReader;
use super::rejection::Rejection;
use super::service::Http2Service;
use super::stream::StreamTable;
pub use event::ConnectionEvent;
use lifetime::{DrainStage, KeepAlive};

/// The reply to a client of HTTP/1.
const HTTP1_REPLY: &[u8] = b"HTTP/1.1 505 HTTP Version Not Supported\r\n\
    content-type: text/plain\r\ncontent-length: 35\r\nconnection: close\r\n\r\n\
    This port serves gRPC over HTTP/2.\n";

/// One HTTP/2 connection of a server.
pub struct Http2Connection<S: Http2Service> {
    service: S,
    limits: Arc<Http2Limits>,
    budget: BudgetShare,
    now: Instant,
    phase: ConnectionPhase,
    reader: FrameReader,
    /// Read, but not processed yet: a part of a frame's head, or what waits until answers are written.
    held: Vec<u8>,
    decoder: HeaderDecoder,
    /// The header block that is being read; nothing else may come before its end.
    block: Option<HeaderBlock>,
    streams: StreamTable<S::Receipt>,
    last_stream: u32,
    meter: FrameMeter,
    receive_window: i64,
    peer: PeerSettings,
    send_window: i64,
    /// Streams with answers that wait for a window.
    blocked: VecDeque<u32>,
    blocked_bytes: usize,
    encoder: AnswerEncoder,
    output: OutputBuffer<S::Receipt>,
    events: Vec<ConnectionEvent<S::Receipt>>,
    keep_alive: KeepAlive,
    drain: DrainStage,
}

#[derive(Debug)]
enum ConnectionPhase {
    Preface(PrefaceReader),
    /// The preface has come, and the client's SETTINGS must follow.
    Settings,
    Open,
    /// Nothing is read any more; the connection closes when all is written.
    Closed,
}

/// Settings of the client.
#[derive(Debug)]
struct PeerSettings {
    initial_window: i64,
    max_payload: usize,
}

/// A header block between its first and its last byte.
struct HeaderBlock {
    stream: u32,
    of: BlockPurpose,
    is_end: bool,
    head: HeadReader,
    bytes: usize,
    began: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BlockPurpose {
    Request,
    Trailers,
    /// Decoded for the table alone.
    Ignored,
}

/// Why a connection ends at once.
struct ConnectionError(ErrorCode, Rejection);

impl ConnectionError {
    fn protocol() -> Self {
        Self(ErrorCode::Protocol, Rejection::ProtocolError)
    }
}

impl From<FrameError> for ConnectionError {
    fn from(FrameError(code): FrameError) -> Self {
        match code {
            ErrorCode::EnhanceYourCalm => Self(code, Rejection::TooManyFrames),
            _ => Self(code, Rejection::ProtocolError),
        }
    }
}

impl<S: Http2Service> Http2Connection<S> {
    /// A connection that was accepted now.
    pub fn new(
        service: S,
        limits: Arc<Http2Limits>,
        budget: &Arc<ByteBudget>,
        now: Instant,
    ) -> Self {
        Self {
            service,
            budget: budget.share(),
            now,
            phase: ConnectionPhase::Preface(PrefaceReader::default()),
            reader: FrameReader::default(),
            held: Vec::new(),
            decoder: HeaderDecoder::default(),
            block: None,
            streams: StreamTable::new(),
            last_stream: 0,
            meter: FrameMeter::new(&limits, now),
            receive_window: STREAM_WINDOW,
            peer: PeerSettings {
                initial_window: STREAM_WINDOW,
                max_payload: super::frame::MAX_PAYLOAD_BYTES,
            },
            send_window: STREAM_WINDOW,
            blocked: VecDeque::new(),
            blocked_bytes: 0,
            encoder: AnswerEncoder::default(),
            output: OutputBuffer::new(),
            events: Vec::new(),
            keep_alive: KeepAlive::new(now),
            drain: DrainStage::No,
            limits,
        }
    }

    /// Processes what was read. With too much unwritten, the rest is held until more was written.
    pub fn receive(&mut self, input: &[u8], now: Instant) {
        self.now = now;
        self.keep_alive.heard(now);
        self.process(input);
    }

    /// Processes what was held; needed after [`Self::wrote`] when [`Self::wants_input`] was false.
    pub fn resume(&mut self, now: Instant) {
        self.now = now;
        self.process(&[]);
    }

    /// Whether reading makes sense now: the client reads answers, and the connection is not at its end.
    pub fn wants_input(&self) -> bool {
        !self.is_closed() && !self.is_full()
    }

    /// Whether the connection ends when everything is written.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, ConnectionPhase::Closed) || self.is_drained()
    }

    /// What is to be written to the socket.
    pub fn unwritten(&self) -> &[u8] {
        self.output.unwritten()
    }

    /// The socket took this many of [`Self::unwritten`]. Answers within them count as sent.
    pub fn wrote(&mut self, bytes: usize, now: Instant) {
        self.now = now;
        self.keep_alive.wrote();
        self.output.wrote(bytes);
    }

    /// Takes the events since the last time.
    pub fn take_events(&mut self) -> Vec<ConnectionEvent<S::Receipt>> {
        std::mem::take(&mut self.events)
    }

    /// Whether [`Self::take_events`] has any.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Calls that are not answered.
    pub fn open_calls(&self) -> usize {
        self.streams.len()
    }

    fn is_full(&self) -> bool {
        self.output.unwritten().len() > self.limits.max_unsent_bytes
    }

    fn process(&mut self, input: &[u8]) {
        if self.held.is_empty() {
            let rest = self.frames(input);
            self.held.extend_from_slice(rest);
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(input);
        let rest = self.frames(&held).len();
        if rest > 0 {
            held.drain(..held.len() - rest);
            self.held = held;
        }
    }

    /// Processes frames from the front of `input`, and returns what is left.
    fn frames<'i>(&mut self, mut input: &'i [u8]) -> &'i [u8] {
        if let ConnectionPhase::Preface(preface) = &mut self.phase {
            match preface.accept(&mut input) {
                Ok(true) => self.open(),
                Ok(false) => return input,
                Err(reason) => {
                    self.service.rejected(reason);
                    if reason == Rejection::Http1 {
                        self.output.bytes.extend_from_slice(HTTP1_REPLY);
                    }
                    self.close();
                }
            }
        }
        while !self.is_full() && !self.is_closed() {
            let step = match self.reader.next(&mut input) {
                Ok(None) => return input,
                Ok(Some(FramePiece::Control(head, payload))) => self.control(head, payload),
                Ok(Some(FramePiece::Content(content))) => self.content(&content),
                Err(error) => Err(error.into()),
            };
            if let Err(ConnectionError(code, reason)) = step {
                self.fail(code, reason);
            }
        }
        match self.is_closed() {
            true => &[],
            false => input,
        }
    }

    /// Sends the settings of the server.
    fn open(&mut self) {
        const MAX_CONCURRENT_STREAMS: u16 = 3;
        const MAX_HEADER_LIST_SIZE: u16 = 6;
        self.phase = ConnectionPhase::Settings;
        self.output.put_settings(&[
            (MAX_CONCURRENT_STREAMS, self.limits.max_streams as u32),
            (
                MAX_HEADER_LIST_SIZE,
                self.limits.max_header_list_bytes as u32,
            ),
        ]);
        let more = CONNECTION_WINDOW - self.receive_window;
        self.output.put_window_update(0, more as u32);
        self.receive_window = CONNECTION_WINDOW;
    }

    fn content(&mut self, content: &FrameContent<'_>) -> Result<(), ConnectionError> {
        if content.is_first {
            self.check_order(content.head)?;
        }
        match content.head.kind {
            FrameKind::Data => self.data(content),
            FrameKind::Headers | FrameKind::Continuation => self.headers(content),
            FrameKind::GoAway if content.head.stream != 0 => Err(ConnectionError::protocol()),
            // GOAWAY of a client, and what RFC 9113 does not know, is ignored.
            _ if content.is_first => self.charge(1),
            _ => Ok(()),
        }
    }

    /// SETTINGS come first, and nothing comes between the frames of a header block.
    fn check_order(&mut self, head: FrameHead) -> Result<(), ConnectionError> {
        if let ConnectionPhase::Settings = self.phase {
            if head.kind != FrameKind::Settings || head.has(flag::ACK) {
                return Err(ConnectionError::protocol());
            }
            self.phase = ConnectionPhase::Open;
        }
        let continues = head.kind == FrameKind::Continuation;
        let open = self.block.as_ref().map(|block| block.stream);
        match (open, continues) {
            (None, false) => Ok(()),
            (Some(stream), true) if stream == head.stream => Ok(()),
            _ => Err(ConnectionError::protocol()),
        }
    }

    /// Charges frames that bring no call.
    fn charge(&mut self, frames: u32) -> Result<(), ConnectionError> {
        match self.meter.charge(frames, &self.limits, self.now) {
            true => Ok(()),
            false => Err(ConnectionError(
                ErrorCode::EnhanceYourCalm,
                Rejection::TooManyFrames,
            )),
        }
    }

    fn window_is_valid(window: i64) -> bool {
        window <= MAX_WINDOW
    }
}
