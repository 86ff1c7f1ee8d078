//! One gRPC message as a body carries it: five bytes of prefix, then the message, compressed or not.

use std::borrow::Cow;
use std::io::Read;

use super::rejection::Rejection;
use super::status::{GrpcStatus, code};

/// A byte that says whether the message is compressed, and four of length.
pub(super) const PREFIX_BYTES: usize = 5;

/// How a call says that its messages are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum MessageEncoding {
    #[default]
    Identity,
    Gzip,
    Unknown,
}

impl MessageEncoding {
    pub(super) fn parse(value: &[u8]) -> Self {
        match value {
            b"identity" => Self::Identity,
            b"gzip" => Self::Gzip,
            _ => Self::Unknown,
        }
    }
}

/// A body that is not one message that is accepted.
pub(super) type MessageError = (Rejection, GrpcStatus);

fn malformed(text: &'static str) -> MessageError {
    let status = GrpcStatus::new(code::INTERNAL, text);
    (Rejection::MalformedMessage, status)
}

fn too_long(bytes: usize, max_bytes: usize) -> MessageError {
    let text = format!("the message has {bytes} bytes; at most {max_bytes} are accepted");
    let status = GrpcStatus::new(code::RESOURCE_EXHAUSTED, text);
    (Rejection::MessageTooLong, status)
}

/// Bytes that a body will have, prefix included, as far as its beginning says.
///
/// # Errors
/// When that is more than is accepted, or more has come already.
pub(super) fn expected_bytes(body: &[u8], max_bytes: usize) -> Result<Option<usize>, MessageError> {
    let Some((prefix, message)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        return Ok(None);
    };
    let [_, length @ ..] = *prefix;
    let length = u32::from_be_bytes(length) as usize;
    if length > max_bytes {
        return Err(too_long(length, max_bytes));
    }
    if message.len() > length {
        return Err(malformed("more than one message was sent"));
    }
    Ok(Some(PREFIX_BYTES + length))
}

/// The message of a complete body.
///
/// # Errors
/// When the body is not exactly one message, or its compression is not accepted.
pub(super) fn unwrap(
    body: &[u8],
    encoding: MessageEncoding,
    max_bytes: usize,
) -> Result<Cow<'_, [u8]>, MessageError> {
    match expected_bytes(body, max_bytes)? {
        Some(expected) if expected == body.len() => {}
        None if body.is_empty() => return Err(malformed("the message is missing")),
        _ => return Err(malformed("the message is cut short")),
    }
    let message = &body[PREFIX_BYTES..];
    match (body[0], encoding) {
        (0, _) => Ok(Cow::Borrowed(message)),
        (1, MessageEncoding::Gzip) => inflate(message, max_bytes).map(Cow::Owned),
        (1, MessageEncoding::Unknown) => {
            let text = "messages are accepted as they are, or compressed with gzip";
            let status = GrpcStatus::new(code::UNIMPLEMENTED, text);
            Err((Rejection::UnknownEncoding, status))
        }
        (1, MessageEncoding::Identity) => {
            Err(malformed("a compressed message without grpc-encoding"))
        }
        _ => Err(malformed(
            "the first byte of the message is neither 0 nor 1",
        )),
    }
}

fn inflate(message: &[u8], max_bytes: usize) -> Result<Vec<u8>, MessageError> {
    let mut inflated = Vec::new();
    let decoder = flate2::read::GzDecoder::new(message);
    // One byte more than is accepted shows that there is more.
    let mut bounded = decoder.take(max_bytes as u64 + 1);
    if bounded.read_to_end(&mut inflated).is_err() {
        return Err(malformed("the message is not gzip"));
    }
    match inflated.len() > max_bytes {
        true => Err(too_long(inflated.len(), max_bytes)),
        false => Ok(inflated),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(body: &[u8], encoding: MessageEncoding) -> Result<Vec<u8>, Rejection> {
        let message = unwrap(body, encoding, 1_000);
        message.map(Cow::into_owned).map_err(|(reason, _)| reason)
    }

    fn gzip(message: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::default();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
        encoder.write_all(message).unwrap();
        let zipped = encoder.finish().unwrap();
        let mut body = vec![1];
        body.extend((zipped.len() as u32).to_be_bytes());
        body.extend(zipped);
        body
    }

    #[test]
    fn a_body_is_one_message() {
        let identity = MessageEncoding::Identity;
        assert_eq!(read(b"\0\0\0\0\x03abc", identity), Ok(b"abc".to_vec()));
        assert_eq!(read(b"\0\0\0\0\0", identity), Ok(Vec::new()));
        for wrong in [
            &b""[..],
            b"\0\0\0",
            b"\0\0\0\0\x03ab",
            b"\0\0\0\0\x03abcd",
            b"\x01\0\0\0\x03abc",
            b"\x02\0\0\0\x03abc",
        ] {
            assert_eq!(read(wrong, identity), Err(Rejection::MalformedMessage));
        }
        let long = read(b"\0\xff\xff\xff\xff", identity);
        assert_eq!(long, Err(Rejection::MessageTooLong));
    }

    #[test]
    fn gzip_is_accepted_up_to_the_same_length() {
        let gzipped = MessageEncoding::Gzip;
        assert_eq!(read(&gzip(b"abc"), gzipped), Ok(b"abc".to_vec()));
        assert_eq!(read(b"\0\0\0\0\x03abc", gzipped), Ok(b"abc".to_vec()));
        assert_eq!(
            read(&gzip(&[0; 1_000]), gzipped).map(|it| it.len()),
            Ok(1_000)
        );
        assert_eq!(
            read(&gzip(&[0; 1_001]), gzipped),
            Err(Rejection::MessageTooLong)
        );
        assert_eq!(
            read(&gzip(&[0; 500_000]), gzipped),
            Err(Rejection::MessageTooLong)
        );
        assert_eq!(
            read(b"\x01\0\0\0\x03abc", gzipped),
            Err(Rejection::MalformedMessage)
        );
        let other = MessageEncoding::Unknown;
        assert_eq!(
            read(b"\x01\0\0\0\x03abc", other),
            Err(Rejection::UnknownEncoding)
        );
    }
}
