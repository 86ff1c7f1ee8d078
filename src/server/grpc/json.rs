//! The service in JSON, as protobuf writes it (proto3 JSON), for people and programs without gRPC.

use std::fmt;

use prost::Message;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor};

use super::convert;
use crate::engine::Decision;
use crate::proto;
use crate::proto::envoy::service::ratelimit::v3::RateLimitRequest;
use crate::request::Request;

/// What messages look like.
#[derive(Clone, Debug)]
pub struct JsonProtocol {
    request: MessageDescriptor,
    response: MessageDescriptor,
}

/// Why a text is no request. It never holds a value of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonRequestError(String);

impl JsonProtocol {
    /// The protocol that is built in; none if it is broken.
    pub fn new() -> Option<Self> {
        let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).ok()?;
        let message =
            |name: &str| pool.get_message_by_name(&format!("envoy.service.ratelimit.v3.{name}"));
        Some(Self {
            request: message("RateLimitRequest")?,
            response: message("RateLimitResponse")?,
        })
    }

    /// Reads a `RateLimitRequest`; fields that it does not have are refused.
    ///
    /// # Errors
    /// Says where it is none, or which field makes no sense.
    pub fn request(&self, text: &[u8]) -> Result<Request, JsonRequestError> {
        let no_json = |error: serde_json::Error| {
            let (line, column) = (error.line(), error.column());
            JsonRequestError(format!(
                "not a RateLimitRequest in JSON: line {line}, column {column}"
            ))
        };
        let mut json = serde_json::Deserializer::from_slice(text);
        let options = DeserializeOptions::new().deny_unknown_fields(true);
        let message =
            DynamicMessage::deserialize_with_options(self.request.clone(), &mut json, &options);
        let message = message.map_err(no_json)?;
        json.end().map_err(no_json)?;
        let message = RateLimitRequest::decode(&*message.encode_to_vec())
            .map_err(|_| JsonRequestError("not a RateLimitRequest".to_owned()))?;
        convert::request(message).map_err(|invalid| JsonRequestError(invalid.to_string()))
    }

    /// Writes a `RateLimitResponse`; fields that have their default are left out.
    pub fn response(&self, mut decision: Decision) -> String {
        let lease = decision.grant.take().map(|grant| grant.lease);
        let bytes = convert::response(decision, lease).encode_to_vec();
        let message = DynamicMessage::decode(self.response.clone(), &*bytes);
        // It was written a moment ago, by the same protocol.
        let json = message.ok().map(|message| serde_json::to_string(&message));
        json.and_then(Result::ok).unwrap_or_default()
    }
}

impl fmt::Display for JsonRequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for JsonRequestError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Cost;

    #[test]
    fn a_request_is_read_as_protobuf_writes_it() {
        let protocol = JsonProtocol::new().unwrap();
        let request = protocol.request(
            br#"{"domain": "d", "hitsAddend": 3, "descriptors": [
                {"entries": [{"key": "k", "value": "v"}]},
                {"entries": [{"key": "l"}], "hits_addend": "7", "limit": {"unit": "HOUR", "requestsPerUnit": 5}}]}"#,
        );
        let request = request.unwrap();
        assert_eq!(request.domain, "d");
        assert_eq!(request.descriptors[0].cost, Cost::Hits(3));
        assert_eq!(request.descriptors[0].entries[0].value, "v");
        assert_eq!(request.descriptors[1].cost, Cost::Hits(7));
        assert_eq!(request.descriptors[1].limit.unwrap().requests_per_unit, 5);
    }

    #[test]
    fn what_is_no_request_is_refused_without_its_values() {
        let protocol = JsonProtocol::new().unwrap();
        for text in [
            "",
            "}",
            r#"{"domain": "s3cret", "unknown": 1}"#,
            r#"{"domain": {"s3cret": 1}}"#,
            r#"{"domain": ["s3cret"]} x"#,
            r#"{"domain": "s3cret", "descriptors": []}"#,
            r#"{"domain": "", "descriptors": [{}]}"#,
            r#"{"domain": "d", "descriptors": [{"limit": {"unit": "s3cret"}}]}"#,
        ] {
            let error = protocol.request(text.as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
