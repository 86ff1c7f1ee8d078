//! The service in proto3 JSON, for people and programs without gRPC.

mod outline;

use prost::Message;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor};
use thiserror::Error;

use super::convert::{self, InvalidRequest};
use crate::engine::Decision;
use crate::proto;
use crate::proto::envoy::service::ratelimit::v3::RateLimitRequest;
use crate::request::Request;
use outline::OutlineError;

/// The descriptors of the messages.
#[derive(Clone, Debug)]
pub struct JsonProtocol {
    request: MessageDescriptor,
    response: MessageDescriptor,
}

/// Why the built-in protocol cannot be used.
#[derive(Debug, Error)]
pub enum JsonProtocolError {
    /// The descriptors cannot be read.
    #[error("the built-in protocol descriptors are invalid")]
    Descriptors(#[from] prost_reflect::DescriptorError),
    /// A message is not among them.
    #[error("the built-in protocol has no message {0}")]
    Missing(&'static str),
}

/// Why a text is not a request. It never contains a value of the text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JsonRequestError {
    /// The text is not JSON, or has another form than the message.
    #[error("not a RateLimitRequest in JSON: line {line}, column {column}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// The message could not be encoded again.
    #[error("not a RateLimitRequest")]
    Message,
    /// A field of the message is invalid.
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
}

impl JsonProtocol {
    /// The built-in protocol.
    ///
    /// # Errors
    /// If its descriptors are invalid, which is a fault of the build.
    pub fn new() -> Result<Self, JsonProtocolError> {
        let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET)?;
        let message = |name: &'static str| {
            let full = format!("envoy.service.ratelimit.v3.{name}");
            pool.get_message_by_name(&full)
                .ok_or(JsonProtocolError::Missing(name))
        };
        Ok(Self {
            request: message("RateLimitRequest")?,
            response: message("RateLimitResponse")?,
        })
    }

    /// Parses a `RateLimitRequest`; unknown fields are rejected. Of a request that is too large nothing
    /// is built.
    ///
    /// # Errors
    /// Names the position of the fault, or the first invalid field.
    pub fn request(&self, text: &[u8]) -> Result<Request, JsonRequestError> {
        // serde_json's own message may quote the text.
        let position = |error: serde_json::Error| JsonRequestError::Syntax {
            line: error.line(),
            column: error.column(),
        };
        match outline::check(text) {
            Ok(()) => {}
            Err(OutlineError::Syntax(error)) => return Err(position(error)),
            Err(OutlineError::TooMany(invalid)) => return Err(invalid.into()),
        }
        let mut json = serde_json::Deserializer::from_slice(text);
        let options = DeserializeOptions::new().deny_unknown_fields(true);
        let message =
            DynamicMessage::deserialize_with_options(self.request.clone(), &mut json, &options);
        let message = message.map_err(position)?;
        json.end().map_err(position)?;
        let message = RateLimitRequest::decode(&*message.encode_to_vec())
            .map_err(|_| JsonRequestError::Message)?;
        Ok(convert::request(message)?)
    }

    /// Serializes a `RateLimitResponse`; fields with their default value are left out.
    pub fn response(&self, mut decision: Decision) -> String {
        let lease = decision.grant.take().map(|grant| grant.lease);
        let bytes = convert::response(decision, lease).encode_to_vec();
        let message = DynamicMessage::decode(self.response.clone(), &*bytes);
        // Decoding cannot fail: the message was encoded with the same protocol.
        let json = message.ok().map(|message| serde_json::to_string(&message));
        json.and_then(Result::ok).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Cost;

    #[test]
    fn requests_are_parsed_from_proto3_json() {
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
    fn too_large_requests_are_rejected_before_they_are_built() {
        let protocol = JsonProtocol::new().unwrap();
        let list = |element: &str, count: usize| vec![element; count].join(",");
        let error = |descriptors: String| {
            // Nothing behind the element that is too many is read.
            let text = format!("{{\"domain\": \"d\", \"descriptors\": [{descriptors}, }}");
            protocol.request(text.as_bytes()).unwrap_err().to_string()
        };
        let many = "descriptors: at most 256 are taken";
        assert_eq!(error(list("{}", 257)), many);
        assert_eq!(error(list("null", 100_000)), many);
        let entries = |count: usize| format!("{{\"entries\": [{}]}}", list("{}", count));
        assert_eq!(
            error(format!("{}, {}", entries(64), entries(65))),
            "descriptors[1].entries: at most 64 are taken"
        );
        let twice = format!(
            r#"{{"descriptors": [{0}], "descriptors": [{0}]}}"#,
            list("{}", 200)
        );
        let error = protocol.request(twice.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), many);
        let most = format!(
            r#"{{"domain": "d", "descriptors": [{}]}}"#,
            list(&entries(64), 256)
        );
        let request = protocol.request(most.as_bytes()).unwrap();
        assert_eq!(request.descriptors.len(), 256);
        let null = r#"{"domain": "d", "descriptors": null}"#;
        let error = protocol.request(null.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "descriptors: at least one is needed");
    }

    #[test]
    fn invalid_requests_are_rejected_without_their_values() {
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
