//! What the request said, as fields of `dynamic_metadata`, under the names that envoyproxy/ratelimit gives them
//! (`RESPONSE_DYNAMIC_METADATA`). Values of secret keys are hidden.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use crate::policy::{HIDDEN, Policy, Redactor};
use crate::proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use crate::proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::{
    Entry as EntryMessage, RateLimitOverride,
};
use crate::proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use crate::proto::unit_from_number;
use crate::request::Entry;

/// A request, kept for the metadata of its response.
#[derive(Debug)]
pub(super) struct RequestMetadata(RateLimitRequest);

impl RequestMetadata {
    pub(super) fn new(message: &RateLimitRequest) -> Self {
        Self(message.clone())
    }

    /// Adds its fields to those of the response. `policy` says which values are secret; without a domain of that name
    /// all of them are.
    pub(super) fn add_to(self, policy: &Policy, response: &mut RateLimitResponse) {
        let Self(message) = self;
        let redactor = Redactor::new(policy.domain(&message.domain));
        let descriptors = message.descriptors.into_iter();
        let descriptors = descriptors.map(|message| descriptor(message, redactor));
        let domain = Kind::StringValue(String::from_utf8_lossy(&message.domain).into_owned());
        let hits = (message.hits_addend != 0).then(|| number(message.hits_addend.into()));
        let fields = [
            Some(("domain", domain)),
            Some(("descriptors", list(descriptors))),
            hits.map(|hits| ("hitsAddend", hits)),
        ];
        let metadata = response.dynamic_metadata.get_or_insert_default();
        metadata.fields.extend(named(fields));
    }
}

fn descriptor(message: RateLimitDescriptor, redactor: Redactor<'_>) -> Kind {
    let entries = message.entries.into_iter();
    let entries = entries.map(|message| entry(message, redactor));
    let fields = [
        Some(("entries", list(entries))),
        message.limit.map(|limit| ("limit", override_text(&limit))),
        message
            .hits_addend
            .map(|hits| ("hitsAddend", number(hits as f64))),
    ];
    Kind::StructValue(Struct {
        fields: named(fields).collect(),
    })
}

fn entry(EntryMessage { key, value }: EntryMessage, redactor: Redactor<'_>) -> Kind {
    let entry = Entry { key, value };
    let value = redactor.value(&entry);
    let value = value.as_deref().unwrap_or(HIDDEN);
    Kind::StringValue(format!("{}={value}", String::from_utf8_lossy(&entry.key)))
}

/// As the text format of protobuf has it.
fn override_text(limit: &RateLimitOverride) -> Kind {
    let unit = unit_from_number(limit.unit).map_or("unknown", |unit| unit.name());
    let (requests, unit) = (limit.requests_per_unit, unit.to_uppercase());
    Kind::StringValue(format!("requests_per_unit:{requests} unit:{unit}"))
}

fn number(number: f64) -> Kind {
    Kind::NumberValue(number)
}

fn list(kinds: impl Iterator<Item = Kind>) -> Kind {
    let values = kinds.map(|kind| Value { kind: Some(kind) }).collect();
    Kind::ListValue(ListValue { values })
}

fn named(fields: [Option<(&'static str, Kind)>; 3]) -> impl Iterator<Item = (String, Value)> {
    let fields = fields.into_iter().flatten();
    fields.map(|(name, kind)| (name.to_owned(), Value { kind: Some(kind) }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use prost::Message as _;

    use super::*;
    use crate::policy::load_text;

    fn entry_message(key: &str, value: &str) -> EntryMessage {
        EntryMessage {
            key: key.to_owned().into(),
            value: value.to_owned().into(),
        }
    }

    fn metadata(domain: &str) -> String {
        let yaml = "{domain: d, descriptors: [{key: k}, {key: token, secret: true}]}";
        let policy = load_text(Path::new("d.yaml"), yaml).policy.unwrap();
        let message = RateLimitRequest {
            domain: domain.to_owned().into(),
            hits_addend: 2,
            descriptors: vec![
                RateLimitDescriptor {
                    entries: vec![entry_message("k", "v"), entry_message("token", "pk_1")],
                    ..RateLimitDescriptor::default()
                },
                RateLimitDescriptor {
                    limit: Some(RateLimitOverride {
                        requests_per_unit: 5,
                        unit: 3,
                        ..RateLimitOverride::default()
                    }),
                    hits_addend: Some(7),
                    ..RateLimitDescriptor::default()
                },
            ],
        };
        let mut response = RateLimitResponse::default();
        RequestMetadata::new(&message).add_to(&policy, &mut response);
        assert!(!String::from_utf8_lossy(&response.encode_to_vec()).contains("pk_1"));
        let fields = response.dynamic_metadata.unwrap().fields;
        let texts = fields
            .into_iter()
            .map(|(name, value)| format!("{name}: {}", text(&value)));
        texts.collect::<Vec<_>>().join(", ")
    }

    fn text(value: &Value) -> String {
        match value.kind.as_ref().unwrap() {
            Kind::StringValue(text) => text.clone(),
            Kind::NumberValue(number) => number.to_string(),
            Kind::ListValue(list) => {
                format!("{:?}", list.values.iter().map(text).collect::<Vec<_>>())
            }
            Kind::StructValue(inner) => {
                let fields = inner.fields.iter();
                let fields = fields.map(|(name, value)| format!("{name}={}", text(value)));
                fields.collect::<Vec<_>>().join(" ")
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn fields_are_those_of_envoyproxy_ratelimit_without_secrets() {
        assert_eq!(
            metadata("d"),
            r#"descriptors: ["entries=[\"k=v\", \"token=***\"]", "entries=[] hitsAddend=7 limit=requests_per_unit:5 unit:HOUR"], domain: d, hitsAddend: 2"#
        );
    }

    #[test]
    fn values_of_an_unknown_domain_are_hidden() {
        assert!(metadata("x").contains(r#"[\"k=***\", \"token=***\"]"#));
    }
}
