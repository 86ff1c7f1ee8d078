//! A gRPC status as the fields that carry it.

use std::borrow::Cow;

use super::hpack::put_field;

/// Codes of gRPC.
pub(super) mod code {
    pub(in crate::server::http2) const INVALID_ARGUMENT: u8 = 3;
    pub(in crate::server::http2) const DEADLINE_EXCEEDED: u8 = 4;
    pub(in crate::server::http2) const RESOURCE_EXHAUSTED: u8 = 8;
    pub(in crate::server::http2) const UNIMPLEMENTED: u8 = 12;
    pub(in crate::server::http2) const INTERNAL: u8 = 13;
    pub(in crate::server::http2) const UNAVAILABLE: u8 = 14;
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcStatus {
    /// The code, 1 to 16.
    pub code: u8,
    /// Why, for people.
    pub message: Cow<'static, str>,
}

impl GrpcStatus {
    /// A status of this code.
    pub fn new(code: u8, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// An invalid request.
    pub fn invalid_argument(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(code::INVALID_ARGUMENT, message)
    }

    /// Something that the service needs is missing for now.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(code::UNAVAILABLE, message)
    }

    /// Adds the fields of the status to a header block.
    pub(super) fn put(&self, block: &mut Vec<u8>) {
        let (tens, ones) = (b'0' + self.code / 10 % 10, b'0' + self.code % 10);
        match tens {
            b'0' => put_field(block, b"grpc-status", &[ones]),
            _ => put_field(block, b"grpc-status", &[tens, ones]),
        }
        if !self.message.is_empty() {
            put_field(block, b"grpc-message", &encode_message(&self.message));
        }
    }
}

/// Percent-encodes what gRPC wants encoded: all but printable ASCII, and the percent sign.
fn encode_message(message: &str) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = Vec::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(byte),
            _ => encoded.extend([
                b'%',
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ]),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(
            encode_message("no domain: 5 %\u{fc}\n"),
            b"no domain: 5 %25%C3%BC%0A"
        );
    }

    #[test]
    fn codes_have_one_or_two_digits() {
        for (code, expected) in [
            (3, &b"\0\x0bgrpc-status\x013"[..]),
            (14, b"\0\x0bgrpc-status\x0214"),
        ] {
            let mut block = Vec::new();
            GrpcStatus::new(code, "").put(&mut block);
            assert_eq!(block, expected);
        }
    }
}
