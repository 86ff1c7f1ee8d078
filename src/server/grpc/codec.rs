//! How messages of the rate-limit service are read: looked at first, built afterwards.
//!
//! Two bytes on the wire make one empty descriptor, which takes a hundred in memory. So a long message is first
//! walked without building anything, and refused if it holds more than a request may.

use bytes::Bytes;
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::convert::{InvalidRequest, MAX_DESCRIPTORS, MAX_ENTRIES};
use crate::proto::envoy::service::ratelimit::v3::RateLimitRequest;
use crate::server::http2::GrpcStatus;

/// Field numbers: `RateLimitRequest.descriptors` and `RateLimitDescriptor.entries`.
const DESCRIPTORS: u32 = 2;
const ENTRIES: u32 = 1;

/// Messages up to this many bytes are small, whatever they hold.
const SMALL_BYTES: usize = 2048;

/// Builds a request. Its values are slices of one copy of the message.
///
/// # Errors
/// When it is not a `RateLimitRequest`, or a long one that holds more than a request may.
pub(super) fn decode(message: &[u8]) -> Result<RateLimitRequest, GrpcStatus> {
    if message.len() > SMALL_BYTES {
        look(message)?;
    }
    RateLimitRequest::decode(Bytes::copy_from_slice(message)).map_err(|error| decode_error(&error))
}

/// prost says what is wrong and in which field, never what the field holds.
fn decode_error(error: &prost::DecodeError) -> GrpcStatus {
    GrpcStatus::invalid_argument(format!("not a RateLimitRequest: {error}"))
}

/// Walks a message and counts its descriptors and their entries.
fn look(message: &[u8]) -> Result<(), GrpcStatus> {
    let mut descriptors = 0;
    each(message, DESCRIPTORS, |descriptor| {
        if descriptors == MAX_DESCRIPTORS {
            return Err(InvalidRequest::too_many_descriptors().into());
        }
        let mut entries = 0;
        each(descriptor, ENTRIES, |_| {
            if entries == MAX_ENTRIES {
                return Err(InvalidRequest::too_many_entries(descriptors).into());
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
    mut visit: impl FnMut(&[u8]) -> Result<(), GrpcStatus>,
) -> Result<(), GrpcStatus> {
    let decode_error = |error: prost::DecodeError| decode_error(&error);
    while !message.is_empty() {
        let (tag, wire_type) = decode_key(&mut message).map_err(decode_error)?;
        if tag != field || wire_type != WireType::LengthDelimited {
            skip_field(wire_type, tag, &mut message, DecodeContext::default())
                .map_err(decode_error)?;
            continue;
        }
        let length = decode_varint(&mut message).map_err(decode_error)?;
        let split = usize::try_from(length)
            .ok()
            .and_then(|length| message.split_at_checked(length));
        let Some((embedded, rest)) = split else {
            return Err(GrpcStatus::invalid_argument(
                "not a RateLimitRequest: it ends early",
            ));
        };
        visit(embedded)?;
        message = rest;
    }
    Ok(())
}
