//! Just enough HTTP/2 (RFC 9113) to ask one unary gRPC call over and over: a generator that costs next to nothing
//! leaves the cores to the server that it measures.
//!
//! Header fields are sent as literals without indexing (RFC 7541, 6.2.2), so no call depends on another.

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER: usize = 9;

/// Receive windows so large that a run of answers seldom needs an update.
const WINDOW: u32 = 1 << 30;

/// HTTP/2's initial window, until the server's settings and updates say otherwise.
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

/// One connection's state, without its socket.
pub(crate) struct Wire {
    headers: Vec<u8>,
    next_stream: u32,
    /// Bytes that the server still takes.
    window: i64,
    /// Answered bytes that the server has not been told of.
    unacknowledged: u32,
    received: Vec<u8>,
    pub(crate) out: Vec<u8>,
}

/// Something of note in what was received.
pub(crate) enum Event {
    /// The call on that stream is answered.
    Answered { stream: u32 },
    /// The call on that stream, or the connection, has failed.
    Failed,
}

impl Wire {
    pub(crate) fn new(path: &str) -> Self {
        let fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "weir"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
        ];
        let mut headers = Vec::new();
        for (name, value) in fields {
            headers.push(0);
            for text in [name, value] {
                assert!(text.len() < 127, "one byte is enough for the length");
                headers.push(text.len() as u8);
                headers.extend_from_slice(text.as_bytes());
            }
        }
        let mut out = PREFACE.to_vec();
        let initial_window = [&4u16.to_be_bytes()[..], &WINDOW.to_be_bytes()].concat();
        write(&mut out, (kind::SETTINGS, 0, 0), &initial_window);
        write(&mut out, (kind::WINDOW_UPDATE, 0, 0), &WINDOW.to_be_bytes());
        Self {
            headers,
            next_stream: 1,
            window: INITIAL_WINDOW,
            unacknowledged: 0,
            received: Vec::new(),
            out,
        }
    }

    /// Whether the server takes a message of that size now.
    pub(crate) fn takes(&self, message: &[u8]) -> bool {
        self.window >= message.len() as i64
    }

    /// Writes a call; `message` has its gRPC prefix. Gives the stream's number.
    pub(crate) fn call(&mut self, message: &[u8]) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        self.window -= message.len() as i64;
        write(
            &mut self.out,
            (kind::HEADERS, END_HEADERS, stream),
            &self.headers,
        );
        write(&mut self.out, (kind::DATA, END_STREAM, stream), message);
        stream
    }

    /// Takes what was received and tells of each whole frame that matters.
    pub(crate) fn receive(&mut self, bytes: &[u8], mut tell: impl FnMut(Event)) {
        let mut begun = std::mem::take(&mut self.received);
        let mut rest = bytes;
        if !begun.is_empty() {
            begun.extend_from_slice(bytes);
            rest = &begun;
        }
        while let Some((frame, after)) = Frame::split(rest) {
            if let Some(event) = self.take(&frame) {
                tell(event);
            }
            rest = after;
        }
        self.received = rest.to_vec();
        if self.unacknowledged > WINDOW / 2 {
            let bytes = self.unacknowledged.to_be_bytes();
            write(&mut self.out, (kind::WINDOW_UPDATE, 0, 0), &bytes);
            self.unacknowledged = 0;
        }
    }

    fn take(&mut self, frame: &Frame<'_>) -> Option<Event> {
        let is_ack = frame.flags & ACK != 0;
        match frame.kind {
            kind::DATA => self.unacknowledged += frame.body.len() as u32,
            kind::SETTINGS if !is_ack => write(&mut self.out, (kind::SETTINGS, ACK, 0), &[]),
            kind::PING if !is_ack => write(&mut self.out, (kind::PING, ACK, 0), frame.body),
            // A stream's own window is never short: a call sends far less than HTTP/2's least.
            kind::WINDOW_UPDATE if frame.stream == 0 => {
                self.window += i64::from(number(frame.body))
            }
            kind::RST_STREAM | kind::GOAWAY => return Some(Event::Failed),
            _ => {}
        }
        let ends =
            matches!(frame.kind, kind::HEADERS | kind::DATA) && frame.flags & END_STREAM != 0;
        ends.then_some(Event::Answered {
            stream: frame.stream,
        })
    }
}

struct Frame<'a> {
    kind: u8,
    flags: u8,
    stream: u32,
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first whole frame, and what follows it.
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, rest) = bytes.split_at_checked(FRAME_HEADER)?;
        let length = number(&[0, header[0], header[1], header[2]]) as usize;
        let (body, after) = rest.split_at_checked(length)?;
        let frame = Self {
            kind: header[3],
            flags: header[4],
            stream: number(&header[5..]),
            body,
        };
        Some((frame, after))
    }
}

fn write(out: &mut Vec<u8>, (kind, flags, stream): (u8, u8, u32), body: &[u8]) {
    out.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(body);
}

fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .take(4)
        .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}
