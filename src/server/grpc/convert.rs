//! Between the protocol and weir's own words.
//!
//! An invalid request is rejected, with the field's name. A call that was quietly answered OK would be a
//! limit that is off.

use thiserror::Error;

use crate::engine::{Code, CurrentLimit, Decision, Header, Status as Standing};
use crate::limit::Window;
use crate::policy::{Metadata, Value};
use crate::proto::envoy::config::core::v3::HeaderValue;
use crate::proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use crate::proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor as descriptor_pb;
use crate::proto::envoy::service::ratelimit::v3::rate_limit_response as response_pb;
use crate::proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use crate::proto::unit_from_number;
use crate::request::{Cost, Descriptor, Entry, LeaseId, MAX_HITS, Override, Request};
use crate::server::http2::GrpcStatus;

/// The most descriptors that a request may have.
pub const MAX_DESCRIPTORS: usize = 256;

/// The most entries that a descriptor may have.
pub const MAX_ENTRIES: usize = 64;

/// What a limit says that counts in no time.
const UNKNOWN_UNIT: response_pb::rate_limit::Unit = response_pb::rate_limit::Unit::Unknown;

/// An invalid request: the field and what is wrong with it. It never contains the field's value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
pub struct InvalidRequest {
    field: String,
    problem: String,
}

/// Takes a request over, moving its bytes.
///
/// # Errors
/// Names the first invalid field.
pub fn request(message: RateLimitRequest) -> Result<Request, InvalidRequest> {
    if message.domain.is_empty() {
        return Err(InvalidRequest::new("domain", "must not be empty"));
    }
    if message.descriptors.is_empty() {
        return Err(InvalidRequest::new("descriptors", "at least one is needed"));
    }
    if message.descriptors.len() > MAX_DESCRIPTORS {
        return Err(InvalidRequest::too_many_descriptors());
    }
    // 0 is what an absent field looks like.
    let hits = message.hits_addend.max(1);
    let descriptors = message
        .descriptors
        .into_iter()
        .enumerate()
        .map(|(index, message)| descriptor(index, message, hits))
        .collect::<Result<_, _>>()?;
    Ok(Request {
        domain: message.domain,
        descriptors,
    })
}

fn descriptor(
    index: usize,
    message: RateLimitDescriptor,
    hits: u32,
) -> Result<Descriptor, InvalidRequest> {
    if message.entries.len() > MAX_ENTRIES {
        return Err(InvalidRequest::too_many_entries(index));
    }
    let cost = cost(&message, hits);
    let limit = message
        .limit
        .map(|limit| override_from_proto(index, &limit))
        .transpose()?;
    let entries = message
        .entries
        .into_iter()
        .map(|entry| Entry {
            key: entry.key,
            value: entry.value,
        })
        .collect();
    Ok(Descriptor {
        entries,
        cost,
        limit,
    })
}

fn cost(message: &RateLimitDescriptor, hits: u32) -> Cost {
    let hits = match message.hits_addend {
        Some(own) => u32::try_from(own).unwrap_or(MAX_HITS),
        None => hits,
    };
    match (hits, message.is_negative_hits) {
        (0, _) => Cost::Peek,
        (hits, false) => Cost::Hits(hits),
        (hits, true) => Cost::Refund(hits),
    }
}

fn override_from_proto(
    index: usize,
    message: &descriptor_pb::RateLimitOverride,
) -> Result<Override, InvalidRequest> {
    let unit = unit_from_number(message.unit).ok_or_else(|| {
        let field = format!("descriptors[{index}].limit.unit");
        let problem = "is not the number of a unit of time".to_owned();
        InvalidRequest { field, problem }
    })?;
    let unit_multiplier = message.unit_multiplier.unwrap_or(0).max(1);
    if Window::new(unit, unit_multiplier).is_none() {
        let field = format!("descriptors[{index}].limit.unit_multiplier");
        let problem = format!("a window is at most {} seconds long", Window::MAX_SECS);
        return Err(InvalidRequest { field, problem });
    }
    Ok(Override {
        requests_per_unit: message.requests_per_unit,
        unit,
        unit_multiplier,
    })
}

/// Says a decision in the protocol's words, and with it what it grants.
pub fn response(decision: Decision, lease: Option<LeaseId>) -> RateLimitResponse {
    RateLimitResponse {
        overall_code: code(decision.code).into(),
        statuses: decision.statuses.into_iter().map(status).collect(),
        response_headers_to_add: decision.headers.into_iter().map(header).collect(),
        request_headers_to_add: decision.request_headers.into_iter().map(header).collect(),
        raw_body: decision.body.map(Into::into).unwrap_or_default(),
        dynamic_metadata: dynamic_metadata(decision.metadata.as_deref(), lease),
        quota: None,
    }
}

fn code(code: Code) -> response_pb::Code {
    match code {
        Code::Ok => response_pb::Code::Ok,
        Code::OverLimit => response_pb::Code::OverLimit,
    }
}

fn status(status: Standing) -> response_pb::DescriptorStatus {
    response_pb::DescriptorStatus {
        code: code(status.code).into(),
        current_limit: status.limit.map(current_limit),
        limit_remaining: status.remaining,
        duration_until_reset: status.reset_after_secs.map(|secs| prost_types::Duration {
            seconds: i64::try_from(secs).unwrap_or(i64::MAX),
            nanos: 0,
        }),
        quota: None,
    }
}

fn current_limit(limit: CurrentLimit) -> response_pb::RateLimit {
    let window = limit.quota.window();
    response_pb::RateLimit {
        requests_per_unit: limit.quota.number(),
        unit: window
            .map_or(UNKNOWN_UNIT, |window| window.unit().into())
            .into(),
        name: limit
            .name
            .map(|name| name.as_ref().to_owned())
            .unwrap_or_default(),
        unit_multiplier: window
            .map(|window| window.multiplier())
            .filter(|&multiplier| multiplier != 1),
    }
}

fn header(header: Header) -> HeaderValue {
    HeaderValue {
        key: header.name.as_ref().to_owned(),
        value: header.value,
        raw_value: bytes::Bytes::new(),
    }
}

/// The reference server puts what rules say of themselves under one key of the struct, `metadata`. A lease is beside
/// it.
fn dynamic_metadata(
    metadata: Option<&Metadata>,
    lease: Option<LeaseId>,
) -> Option<prost_types::Struct> {
    use prost_types::value::Kind;
    let metadata = metadata.map(|metadata| ("metadata", Kind::StructValue(structure(metadata))));
    let lease = lease.map(|lease| ("lease", Kind::StringValue(lease.to_string())));
    let fields = metadata.into_iter().chain(lease);
    let fields =
        fields.map(|(key, kind)| (key.to_owned(), prost_types::Value { kind: Some(kind) }));
    let fields: std::collections::BTreeMap<_, _> = fields.collect();
    (!fields.is_empty()).then_some(prost_types::Struct { fields })
}

fn structure(metadata: &Metadata) -> prost_types::Struct {
    prost_types::Struct {
        fields: metadata
            .iter()
            .map(|(key, inner)| (key.clone(), value(inner)))
            .collect(),
    }
}

fn value(value_of: &Value) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match value_of {
        Value::Null => Kind::NullValue(prost_types::NullValue::NullValue.into()),
        Value::Bool(truth) => Kind::BoolValue(*truth),
        Value::Number(number) => Kind::NumberValue(*number),
        Value::Text(text) => Kind::StringValue(text.clone()),
        Value::List(list) => Kind::ListValue(prost_types::ListValue {
            values: list.iter().map(value).collect(),
        }),
        Value::Map(map) => Kind::StructValue(structure(map)),
    };
    prost_types::Value { kind: Some(kind) }
}

impl InvalidRequest {
    fn new(field: &str, problem: &str) -> Self {
        Self {
            field: field.to_owned(),
            problem: problem.to_owned(),
        }
    }

    /// More than [`MAX_DESCRIPTORS`].
    pub fn too_many_descriptors() -> Self {
        Self::new(
            "descriptors",
            &format!("at most {MAX_DESCRIPTORS} are taken"),
        )
    }

    /// More than [`MAX_ENTRIES`] in that descriptor.
    pub fn too_many_entries(descriptor: usize) -> Self {
        Self {
            field: format!("descriptors[{descriptor}].entries"),
            problem: format!("at most {MAX_ENTRIES} are taken"),
        }
    }
}

impl From<InvalidRequest> for GrpcStatus {
    fn from(invalid: InvalidRequest) -> Self {
        Self::invalid_argument(invalid.to_string())
    }
}

#[cfg(test)]
mod tests;
