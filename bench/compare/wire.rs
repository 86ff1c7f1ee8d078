//! Just enough HTTP/2 (RFC 9113) to repeat one unary gRPC call.
//!
//! A call is made of prepared bytes, into which only the stream id and the number of the client are written. Header
//! fields are indexed after the first call of a connection (RFC 7541, 6.1), as in Envoy and other clients.

use crate::message::Template;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PATH: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";
const FRAME_HEADER: usize = 9;
/// A byte that means "not compressed", and four bytes of length.
const GRPC_PREFIX: usize = 5;

/// Receive windows that are large enough to need few updates.
const WINDOW: u32 = 1 << 30;

/// The initial window of HTTP/2; the settings and updates of the server change it.
const INITIAL_WINDOW: i64 = 65_535;

mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const WINDOW_UPDATE: u8 = 8;
}

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// The state of a connection, without its socket.
pub(crate) struct Wire {
    message: Template,
    /// The HEADERS and DATA frames of a call.
    call: Vec<u8>,
    /// Where `message` begins in `call`.
    message_at: usize,
    next_stream: u32,
    /// Bytes that the server still accepts.
    window: i64,
    /// Received bytes for which no window update was sent yet.
    unacknowledged: u32,
    pub(crate) out: Vec<u8>,
}

/// An event in the received frames.
pub(crate) enum Event {
    /// The message of an answer; `refused` if it is OVER_LIMIT.
    Message { refused: bool },
    /// The call on the stream has ended.
    Ended { stream: u32 },
    /// The server aborted a call or the connection.
    CutOff,
}

impl Wire {
    pub(crate) fn new(message: Template) -> Self {
        let mut out = PREFACE.to_vec();
        let initial_window = [&4u16.to_be_bytes()[..], &WINDOW.to_be_bytes()].concat();
        frame(&mut out, (kind::SETTINGS, 0), &initial_window);
        frame(&mut out, (kind::WINDOW_UPDATE, 0), &WINDOW.to_be_bytes());
        let mut wire = Self {
            message,
            call: Vec::new(),
            message_at: 0,
            next_stream: 1,
            window: INITIAL_WINDOW,
            unacknowledged: 0,
            out,
        };
        wire.prepare(&fields_with_names());
        wire
    }

    fn prepare(&mut self, fields: &[u8]) {
        self.call.clear();
        frame(&mut self.call, (kind::HEADERS, END_HEADERS), fields);
        let message = self.message.bytes();
        frame(&mut self.call, (kind::DATA, END_STREAM), message);
        self.message_at = self.call.len() - message.len();
    }

    /// Whether the server accepts another call now.
    pub(crate) fn takes_one(&self) -> bool {
        self.window >= (self.call.len() - self.message_at) as i64
    }

    /// Writes a call of a client. Returns its stream id.
    pub(crate) fn call(&mut self, client: u64) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        self.window -= (self.call.len() - self.message_at) as i64;
        for header_at in [0, self.message_at - FRAME_HEADER] {
            self.call[header_at + 5..header_at + FRAME_HEADER]
                .copy_from_slice(&stream.to_be_bytes());
        }
        self.message
            .write_client(client, &mut self.call[self.message_at..]);
        self.out.extend_from_slice(&self.call);
        if stream == 1 {
            self.prepare(&INDEXED_FIELDS);
        }
        stream
    }

    /// Reads the complete frames at the beginning of `bytes`. Returns their total length.
    pub(crate) fn receive(&mut self, bytes: &[u8], mut on_event: impl FnMut(Event)) -> usize {
        let mut rest = bytes;
        while let Some((frame, after)) = Frame::split(rest) {
            self.take(&frame, &mut on_event);
            rest = after;
        }
        if self.unacknowledged > WINDOW / 2 {
            let bytes = self.unacknowledged.to_be_bytes();
            frame(&mut self.out, (kind::WINDOW_UPDATE, 0), &bytes);
            self.unacknowledged = 0;
        }
        bytes.len() - rest.len()
    }

    fn take(&mut self, received: &Frame<'_>, on_event: &mut impl FnMut(Event)) {
        let is_ack = received.flags & ACK != 0;
        match received.kind {
            kind::DATA => {
                self.unacknowledged += received.body.len() as u32;
                // An answer begins with its overall code.
                let refused = received.body.get(GRPC_PREFIX..GRPC_PREFIX + 2) == Some(&[8, 2]);
                on_event(Event::Message { refused });
            }
            kind::SETTINGS if !is_ack => frame(&mut self.out, (kind::SETTINGS, ACK), &[]),
            kind::PING if !is_ack => frame(&mut self.out, (kind::PING, ACK), received.body),
            // The window of a stream is always large enough: a call is far smaller than the initial window.
            kind::WINDOW_UPDATE if received.stream == 0 => {
                self.window += i64::from(number(received.body));
            }
            kind::RST_STREAM | kind::GOAWAY => on_event(Event::CutOff),
            _ => {}
        }
        if received.kind == kind::HEADERS && received.flags & END_STREAM != 0 {
            let stream = received.stream;
            on_event(Event::Ended { stream });
        }
    }
}

/// The header fields of the first call: `:method: POST` and `:scheme: http` are in the static table, the others are
/// added to the dynamic table in this order.
fn fields_with_names() -> Vec<u8> {
    let mut fields = vec![0x83, 0x86];
    for (indexed_name, name, value) in [
        (0x44, "", PATH),
        (0x41, "", "weir"),
        (0x40, "te", "trailers"),
        (0x5f, "", "application/grpc"),
    ] {
        fields.push(indexed_name);
        for text in [name, value].into_iter().filter(|text| !text.is_empty()) {
            assert!(text.len() < 127, "one byte is enough for the length");
            fields.push(text.len() as u8);
            fields.extend_from_slice(text.as_bytes());
        }
    }
    fields
}

/// The header fields of later calls, as indexes of the dynamic table: the newest field has the lowest index.
const INDEXED_FIELDS: [u8; 6] = [0x83, 0x86, 0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62];

struct Frame<'a> {
    kind: u8,
    flags: u8,
    stream: u32,
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first complete frame, and the rest.
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, rest) = bytes.split_first_chunk::<FRAME_HEADER>()?;
        let [a, b, c, kind, flags, stream @ ..] = header;
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let (body, after) = rest.split_at_checked(length)?;
        let frame = Self {
            kind: *kind,
            flags: *flags,
            stream: u32::from_be_bytes(*stream),
            body,
        };
        Some((frame, after))
    }
}

/// What a client sends first.
pub(crate) fn preface() -> Vec<u8> {
    let mut out = PREFACE.to_vec();
    frame(&mut out, (kind::SETTINGS, 0), &[]);
    out
}

pub(crate) fn ping(opaque: [u8; 8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame(&mut out, (kind::PING, 0), &opaque);
    out
}

/// The headers of a call, and the beginning of its message.
pub(crate) fn unfinished_call(stream: u32, begun: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let fields = if stream == 1 {
        fields_with_names()
    } else {
        INDEXED_FIELDS.to_vec()
    };
    for (kind, payload) in [
        ((kind::HEADERS, END_HEADERS), &fields[..]),
        ((kind::DATA, 0), begun),
    ] {
        let at = out.len();
        frame(&mut out, kind, payload);
        out[at + 5..at + FRAME_HEADER].copy_from_slice(&stream.to_be_bytes());
    }
    out
}

/// Writes a frame of stream 0.
fn frame(out: &mut Vec<u8>, (kind, flags): (u8, u8), body: &[u8]) {
    out.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags, 0, 0, 0, 0]);
    out.extend_from_slice(body);
}

fn number(bytes: &[u8]) -> u32 {
    bytes
        .first_chunk()
        .map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
