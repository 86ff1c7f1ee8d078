//! Frames of HTTP/2 (RFC 9113, section 4): their types, flags and heads.

/// Bytes of a frame before its payload.
pub(super) const HEAD_BYTES: usize = 9;

/// The longest payload that is accepted: the smallest value that SETTINGS_MAX_FRAME_SIZE may have, and
/// its default.
pub(super) const MAX_PAYLOAD_BYTES: usize = 16_384;

/// Flags of a frame's head.
pub(super) mod flag {
    pub(in crate::server::http2) const END_STREAM: u8 = 0x1;
    pub(in crate::server::http2) const ACK: u8 = 0x1;
    pub(in crate::server::http2) const END_HEADERS: u8 = 0x4;
    pub(in crate::server::http2) const PADDED: u8 = 0x8;
    pub(in crate::server::http2) const PRIORITY: u8 = 0x20;
}

/// Error codes of RST_STREAM and GOAWAY (RFC 9113, section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[allow(
    missing_docs,
    reason = "the names are those of the RFC, which explains them"
)]
pub enum ErrorCode {
    NoError = 0,
    Protocol = 1,
    Internal = 2,
    FlowControl = 3,
    SettingsTimeout = 4,
    StreamClosed = 5,
    FrameSize = 6,
    RefusedStream = 7,
    Cancel = 8,
    Compression = 9,
    EnhanceYourCalm = 11,
}

/// Types of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Data,
    Headers,
    Priority,
    Reset,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    /// Any other; RFC 9113 wants them ignored.
    Unknown,
}

impl FrameKind {
    fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Data,
            1 => Self::Headers,
            2 => Self::Priority,
            3 => Self::Reset,
            4 => Self::Settings,
            5 => Self::PushPromise,
            6 => Self::Ping,
            7 => Self::GoAway,
            8 => Self::WindowUpdate,
            9 => Self::Continuation,
            _ => Self::Unknown,
        }
    }

    /// Only types that a server sends are asked for.
    fn byte(self) -> u8 {
        match self {
            Self::Data => 0,
            Self::Headers => 1,
            Self::Priority => 2,
            Self::Reset => 3,
            Self::Settings => 4,
            Self::PushPromise => 5,
            Self::Ping => 6,
            Self::GoAway => 7,
            Self::WindowUpdate => 8,
            Self::Continuation => 9,
            Self::Unknown => 255,
        }
    }
}

/// What a frame begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    /// Bytes of the payload, with padding.
    pub(super) length: usize,
    pub(super) kind: FrameKind,
    pub(super) flags: u8,
    /// 0 for frames of the connection.
    pub(super) stream: u32,
}

impl FrameHead {
    pub(super) fn new(kind: FrameKind, flags: u8, stream: u32, length: usize) -> Self {
        Self {
            length,
            kind,
            flags,
            stream,
        }
    }

    pub(super) fn decode(bytes: &[u8; HEAD_BYTES]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = *bytes;
        Self {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind: FrameKind::from_byte(kind),
            flags,
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        }
    }

    /// The bytes of a head; lengths have 24 bits.
    pub(super) fn encode(self) -> [u8; HEAD_BYTES] {
        let [_, a, b, c] = (self.length as u32).to_be_bytes();
        let [d, e, f, g] = self.stream.to_be_bytes();
        [a, b, c, self.kind.byte(), self.flags, d, e, f, g]
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_decoded_as_it_is_encoded() {
        let head = FrameHead::new(FrameKind::Headers, flag::END_HEADERS, 0x7fff_ffff, 0x0102);
        let bytes = head.encode();
        assert_eq!(bytes, [0, 1, 2, 1, 4, 0x7f, 0xff, 0xff, 0xff]);
        assert_eq!(FrameHead::decode(&bytes), head);
    }
}
