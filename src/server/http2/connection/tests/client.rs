//! A client that writes frames by hand, and a service that echoes.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::super::super::frame::{FrameHead, FrameKind, flag};
use super::super::super::frame_reader::{FramePiece, FrameReader};
use super::super::super::hpack::{HeaderDecoder, put_field};
use super::super::super::limits::{ByteBudget, Http2Limits};
use super::super::super::service::{
    CallHead, CallOutcome, CallRoute, Http2Service, LateAnswer, Receipt,
};
use super::super::super::{ConnectionEvent, Http2Connection, Rejection};

/// What the service saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) rejected: Vec<Rejection>,
    pub(super) called: usize,
    pub(super) sent: usize,
    pub(super) unsent: usize,
}

type Shared = Arc<Mutex<Seen>>;

/// Counts whether an answer was sent.
pub(super) struct Counted(Shared, bool);

impl Receipt for Counted {
    fn sent(mut self) {
        self.1 = true;
        self.0.lock().unwrap().sent += 1;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !self.1 {
            self.0.lock().unwrap().unsent += 1;
        }
    }
}

pub(super) struct Echo(Shared);

impl Http2Service for Echo {
    type Receipt = Counted;

    fn route(&mut self, path: &[u8]) -> CallRoute {
        match path {
            b"/echo" => CallRoute::Unary(0),
            b"/late" => CallRoute::Unary(1),
            b"/exchange" => CallRoute::Exchange,
            _ => CallRoute::Unknown,
        }
    }

    fn call(&mut self, head: &CallHead, message: &[u8], out: &mut Vec<u8>) -> CallOutcome<Counted> {
        self.0.lock().unwrap().called += 1;
        let receipt = Some(Counted(Arc::clone(&self.0), false));
        if head.method == 1 {
            let answer = LateAnswer::Message(message.to_vec(), receipt);
            return CallOutcome::Later(Box::pin(std::future::ready(answer)));
        }
        out.extend_from_slice(message);
        CallOutcome::Message(receipt)
    }

    fn rejected(&mut self, reason: Rejection) {
        self.0.lock().unwrap().rejected.push(reason);
    }
}

/// A frame that the server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) kind: FrameKind,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
    /// The statuses that a header block has.
    pub(super) statuses: String,
}

pub(super) struct Client {
    pub(super) connection: Http2Connection<Echo>,
    pub(super) seen: Shared,
    pub(super) now: Instant,
    pub(super) next: u32,
    decoder: HeaderDecoder,
}

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) fn frame(kind: FrameKind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = FrameHead::new(kind, flags, stream, payload.len())
        .encode()
        .to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

pub(super) fn block(path: &str, fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    put_field(&mut block, b":method", b"POST");
    put_field(&mut block, b":scheme", b"http");
    put_field(&mut block, b":path", path.as_bytes());
    for (name, value) in fields {
        put_field(&mut block, name.as_bytes(), value);
    }
    block
}

/// A gRPC message of this many bytes, with its prefix.
pub(super) fn message(bytes: usize) -> Vec<u8> {
    let mut message = vec![0];
    message.extend_from_slice(&(bytes as u32).to_be_bytes());
    message.resize(5 + bytes, b'm');
    message
}

/// A whole call.
pub(super) fn call(stream: u32, path: &str, bytes: usize) -> Vec<u8> {
    let mut frames = frame(
        FrameKind::Headers,
        flag::END_HEADERS,
        stream,
        &block(path, &[]),
    );
    let body = message(bytes);
    frames.extend(frame(FrameKind::Data, flag::END_STREAM, stream, &body));
    frames
}

/// A header block cut into HEADERS and CONTINUATION.
pub(super) fn cut_block(stream: u32, block: &[u8], size: usize) -> Vec<u8> {
    let mut frames = Vec::new();
    let count = block.chunks(size).count();
    for (at, part) in block.chunks(size).enumerate() {
        let kind = match at {
            0 => FrameKind::Headers,
            _ => FrameKind::Continuation,
        };
        let flags = if at + 1 == count {
            flag::END_HEADERS
        } else {
            0
        };
        frames.extend(frame(kind, flags, stream, part));
    }
    frames
}

impl Client {
    pub(super) fn new() -> Self {
        Self::with(Http2Limits::default(), &ByteBudget::new(64 << 20))
    }

    /// A client that has exchanged settings.
    pub(super) fn with(limits: Http2Limits, budget: &Arc<ByteBudget>) -> Self {
        let mut client = Self::silent(limits, budget);
        client.send(PREFACE);
        client.send(&frame(FrameKind::Settings, 0, 0, &[]));
        client.frames();
        client
    }

    pub(super) fn silent(limits: Http2Limits, budget: &Arc<ByteBudget>) -> Self {
        let (seen, now) = (Shared::default(), tokio::time::Instant::now().into_std());
        let service = Echo(Arc::clone(&seen));
        Self {
            connection: Http2Connection::new(service, Arc::new(limits), budget, now),
            seen,
            now,
            next: 1,
            decoder: HeaderDecoder::default(),
        }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.connection.receive(bytes, self.now);
    }

    pub(super) fn stream(&mut self) -> u32 {
        self.next += 2;
        self.next - 2
    }

    pub(super) fn settings(&mut self, id: u16, value: u32) {
        let payload = [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
        self.send(&frame(FrameKind::Settings, 0, 0, &payload));
    }

    /// Lets time pass, in steps as the driver would.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end && !self.connection.is_closed() {
            let next = self
                .connection
                .next_tick()
                .max(self.now + Duration::from_millis(1));
            self.now = next.min(end);
            self.connection.tick(self.now);
        }
        self.now = end;
    }

    /// Reads everything that the server sent.
    pub(super) fn frames(&mut self) -> Vec<Sent> {
        let bytes = self.connection.unwritten().to_vec();
        self.connection.wrote(bytes.len(), self.now);
        self.connection.resume(self.now);
        let (mut reader, mut input, mut frames) = (FrameReader::default(), &bytes[..], Vec::new());
        while let Some(piece) = reader.next(&mut input).unwrap() {
            let (head, payload) = match piece {
                FramePiece::Control(head, payload) => (head, payload),
                FramePiece::Content(content) => (content.head, content.bytes),
            };
            // Every block counts for the table.
            let statuses = match head.kind {
                FrameKind::Headers => self.statuses(payload),
                _ => String::new(),
            };
            frames.push(Sent {
                statuses,
                kind: head.kind,
                flags: head.flags,
                stream: head.stream,
                payload: payload.to_vec(),
            });
        }
        assert!(input.is_empty());
        frames
    }

    /// What the server sent on one stream, as text: fields, lengths of data, resets.
    pub(super) fn answers(&mut self) -> Vec<(u32, String)> {
        let frames = self.frames();
        let mut answers = Vec::new();
        for sent in frames {
            let text = match sent.kind {
                FrameKind::Headers => sent.statuses,
                FrameKind::Data => format!("{} bytes", sent.payload.len()),
                FrameKind::Reset => format!("reset {}", sent.payload[3]),
                FrameKind::GoAway => format!("go away {}", sent.payload[7]),
                _ => continue,
            };
            answers.push((sent.stream, text));
        }
        answers
    }

    fn statuses(&mut self, block: &[u8]) -> String {
        let mut text = String::new();
        self.decoder
            .decode(block, &mut |field| {
                let name = String::from_utf8_lossy(field.name_bytes).into_owned();
                if name == ":status" || name == "grpc-status" {
                    text += &format!("{} ", String::from_utf8_lossy(field.value));
                }
            })
            .unwrap();
        self.decoder.end_block().unwrap();
        text.trim().to_owned()
    }

    /// Makes a call, which must be answered.
    pub(super) fn is_served(&mut self) {
        let stream = self.stream();
        self.send(&call(stream, "/echo", 10));
        let answers = self.answers();
        let of_stream: Vec<&str> = answers
            .iter()
            .filter(|(of, _)| *of == stream)
            .map(|(_, text)| &text[..])
            .collect();
        assert_eq!(of_stream, ["200", "15 bytes", "0"]);
    }

    pub(super) fn rejected(&self) -> Vec<Rejection> {
        self.seen.lock().unwrap().rejected.clone()
    }

    /// Whether the connection was ended, for this reason alone.
    pub(super) fn is_ended_by(&mut self, reason: Rejection) {
        assert_eq!(self.rejected(), [reason]);
        assert!(self.connection.is_closed());
        self.frames();
        assert!(self.connection.is_closed());
    }

    pub(super) fn events(&mut self) -> Vec<ConnectionEvent<Counted>> {
        self.connection.take_events()
    }
}
