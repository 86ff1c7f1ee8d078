//! How messages of the rate-limit service are read: looked at first, built afterwards.
//!
//! Two bytes on the wire make one empty descriptor, which takes a hundred in memory. So a long message is first
//! walked without building anything, and refused if it holds more than a request may.

use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic::{Status, codec};

use super::answer::{Answer, AnswerEncoder};
use super::convert::{Invalid, MAX_DESCRIPTORS, MAX_ENTRIES};
use crate::proto::envoy::service::ratelimit::v3::RateLimitRequest;

/// Field numbers: `RateLimitRequest.descriptors` and `RateLimitDescriptor.entries`.
const DESCRIPTORS: u32 = 2;
const ENTRIES: u32 = 1;

/// Messages up to this many bytes are small, whatever they hold.
const SMALL_BYTES: usize = 2048;

/// A usual call and its answer are a few hundred bytes; tonic's own 8 KiB would be allocated twice for each.
const BUFFER_BYTES: usize = 1024;
const YIELD_BYTES: usize = 32 * 1024;

/// The codec of the server's side.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateLimitCodec;

/// Reads requests.
#[derive(Clone, Copy, Debug)]
pub struct RequestDecoder;

pub(super) fn buffers() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
}

impl Codec for RateLimitCodec {
    type Encode = Answer;
    type Decode = RateLimitRequest;
    type Encoder = AnswerEncoder;
    type Decoder = RequestDecoder;

    fn encoder(&mut self) -> Self::Encoder {
        AnswerEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        RequestDecoder
    }
}

impl Decoder for RequestDecoder {
    type Item = RateLimitRequest;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        use bytes::Buf;
        if buf.remaining() > SMALL_BYTES {
            // tonic hands out one contiguous piece; anything else would be an undecodable rest here.
            look(buf.chunk())?;
        }
        RateLimitRequest::decode(buf)
            .map(Some)
            .map_err(|error| undecodable(&error))
    }

    fn buffer_settings(&self) -> codec::BufferSettings {
        buffers()
    }
}

/// prost says what is wrong and in which field, never what the field holds.
fn undecodable(error: &prost::DecodeError) -> Status {
    Status::invalid_argument(format!("not a RateLimitRequest: {error}"))
}

/// Walks a message and counts its descriptors and their entries.
fn look(message: &[u8]) -> Result<(), Status> {
    let mut descriptors = 0;
    each(message, DESCRIPTORS, |descriptor| {
        if descriptors == MAX_DESCRIPTORS {
            return Err(Invalid::too_many_descriptors().into());
        }
        let mut entries = 0;
        each(descriptor, ENTRIES, |_| {
            if entries == MAX_ENTRIES {
                return Err(Invalid::too_many_entries(descriptors).into());
            }
            entries += 1;
            Ok(())
        })?;
        descriptors += 1;
        Ok(())
    })
}

/// Calls `visit` with each embedded message of that field.
fn each(
    mut message: &[u8],
    field: u32,
    mut visit: impl FnMut(&[u8]) -> Result<(), Status>,
) -> Result<(), Status> {
    let undecodable = |error: prost::DecodeError| undecodable(&error);
    while !message.is_empty() {
        let (tag, wire_type) = decode_key(&mut message).map_err(undecodable)?;
        if tag != field || wire_type != WireType::LengthDelimited {
            skip_field(wire_type, tag, &mut message, DecodeContext::default())
                .map_err(undecodable)?;
            continue;
        }
        let length = decode_varint(&mut message).map_err(undecodable)?;
        let split = usize::try_from(length)
            .ok()
            .and_then(|length| message.split_at_checked(length));
        let Some((embedded, rest)) = split else {
            return Err(Status::invalid_argument(
                "not a RateLimitRequest: it ends early",
            ));
        };
        visit(embedded)?;
        message = rest;
    }
    Ok(())
}
