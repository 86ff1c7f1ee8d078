//! Resources of a configuration server as policy files.

use std::path::PathBuf;

use prost::Message;
use prost_types::value::Kind;
use prost_types::{Any, Struct};
use serde_json::Value;

use crate::proto::ratelimit::config::ratelimit::v3::{
    RateLimitConfig, RateLimitDescriptor, RateLimitPolicy, RateLimitUnit,
};

/// The type of the resources.
pub(super) const TYPE_URL: &str =
    "type.googleapis.com/ratelimit.config.ratelimit.v3.RateLimitConfig";

/// The policy of a domain as a file that exists only in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyText {
    /// The name in diagnostics: `xds:` and the name of the resource.
    pub file: PathBuf,
    /// YAML.
    pub text: String,
}

/// Reads resources, in the order of their names: servers send them in any order.
///
/// # Errors
/// When one of them is of another type, or is not a message.
pub(super) fn read(resources: &[Any]) -> Result<Vec<PolicyText>, ResourceError> {
    let mut configs = resources
        .iter()
        .map(decode)
        .collect::<Result<Vec<_>, _>>()?;
    configs.sort_by(|a, b| (&a.name, &a.domain).cmp(&(&b.name, &b.domain)));
    Ok(configs.into_iter().map(PolicyText::new).collect())
}

/// A resource cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// It is of another type.
    #[error("a resource is of the type {0:?}, not {TYPE_URL:?}")]
    Type(String),
    /// It is not a message of its type.
    #[error("a resource is not a RateLimitConfig: {0}")]
    Malformed(#[source] prost::DecodeError),
}

fn decode(resource: &Any) -> Result<RateLimitConfig, ResourceError> {
    if resource.type_url != TYPE_URL {
        return Err(ResourceError::Type(resource.type_url.clone()));
    }
    RateLimitConfig::decode(&*resource.value).map_err(ResourceError::Malformed)
}

impl PolicyText {
    fn new(config: RateLimitConfig) -> Self {
        let mut text = format!("domain: {}\n", quoted(&config.domain));
        write_descriptors(&mut text, 0, merge_twins(config.descriptors));
        Self {
            file: format!("xds:{}", config.name).into(),
            text,
        }
    }
}

/// Merges nodes of a level that have the same key and value, of which Envoy Gateway makes two where it means one, unless
/// they have different limits.
fn merge_twins(descriptors: Vec<RateLimitDescriptor>) -> Vec<RateLimitDescriptor> {
    let mut merged: Vec<RateLimitDescriptor> = Vec::with_capacity(descriptors.len());
    let mut at = std::collections::HashMap::new();
    for mut node in descriptors {
        let identity = (node.key.clone(), node.value.clone());
        let twin = at.get(&identity).map(|&index: &usize| &mut merged[index]);
        match twin {
            Some(twin) if can_merge(twin, &node) => {
                twin.rate_limit = twin.rate_limit.take().or(node.rate_limit);
                twin.metadata = twin.metadata.take().or(node.metadata);
                twin.shadow_mode |= node.shadow_mode;
                twin.quota_mode |= node.quota_mode;
                twin.detailed_metric |= node.detailed_metric;
                twin.descriptors.append(&mut node.descriptors);
            }
            _ => {
                at.insert(identity, merged.len());
                merged.push(node);
            }
        }
    }
    for node in &mut merged {
        node.descriptors = merge_twins(std::mem::take(&mut node.descriptors));
    }
    merged
}

/// Whether two nodes do not contradict each other.
fn can_merge(one: &RateLimitDescriptor, other: &RateLimitDescriptor) -> bool {
    let limits_agree = match (&one.rate_limit, &other.rate_limit) {
        (Some(one_limit), Some(other_limit)) => {
            one_limit == other_limit
                && (one.shadow_mode, one.quota_mode) == (other.shadow_mode, other.quota_mode)
        }
        _ => true,
    };
    let metadata_agrees = match (&one.metadata, &other.metadata) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    limits_agree && metadata_agrees
}

fn write_descriptors(out: &mut String, depth: usize, descriptors: Vec<RateLimitDescriptor>) {
    if descriptors.is_empty() {
        return;
    }
    let indent = "  ".repeat(depth * 2);
    out.push_str(&format!("{indent}descriptors:\n"));
    for node in descriptors {
        out.push_str(&format!("{indent}  - key: {}\n", quoted(&node.key)));
        let mut line = |key: &str, value: &str| {
            out.push_str(&format!("{indent}    {key}: {value}\n"));
        };
        if !node.value.is_empty() {
            line("value", &quoted(&node.value));
        }
        for (key, is_set) in [
            ("shadow_mode", node.shadow_mode),
            ("quota_mode", node.quota_mode),
            ("detailed_metric", node.detailed_metric),
        ] {
            if is_set {
                line(key, "true");
            }
        }
        if let Some(limit) = &node.rate_limit {
            line("rate_limit", &limit_text(limit));
        }
        if let Some(metadata) = &node.metadata {
            line("metadata", &json(metadata).to_string());
        }
        write_descriptors(out, depth + 1, node.descriptors);
    }
}

fn limit_text(limit: &RateLimitPolicy) -> String {
    let mut fields = Vec::new();
    if limit.unlimited {
        fields.push("unlimited: true".to_owned());
    } else {
        fields.push(format!("unit: {}", unit(limit.unit)));
        fields.push(format!("requests_per_unit: {}", limit.requests_per_unit));
    }
    if !limit.name.is_empty() {
        fields.push(format!("name: {}", quoted(&limit.name)));
    }
    if !limit.replaces.is_empty() {
        let names = limit.replaces.iter();
        let names: Vec<_> = names
            .map(|replaced| format!("{{name: {}}}", quoted(&replaced.name)))
            .collect();
        fields.push(format!("replaces: [{}]", names.join(", ")));
    }
    format!("{{{}}}", fields.join(", "))
}

/// The unit as policies write it. The compiler rejects those that it does not know, by name.
fn unit(number: i32) -> String {
    RateLimitUnit::try_from(number).map_or_else(
        |_| number.to_string(),
        |unit| unit.as_str_name().to_lowercase(),
    )
}

/// A JSON string, which is a double-quoted scalar of YAML.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn json(metadata: &Struct) -> Value {
    let fields = metadata.fields.iter();
    Value::Object(
        fields
            .map(|(name, value)| (name.clone(), json_value(value)))
            .collect(),
    )
}

fn json_value(value: &prost_types::Value) -> Value {
    /// Below it, every whole number is exact in a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::NumberValue(number)) if number.fract() == 0.0 && number.abs() < EXACT => {
            Value::from(*number as i64)
        }
        Some(Kind::NumberValue(number)) => Value::from(*number),
        Some(Kind::StringValue(text)) => Value::from(text.as_str()),
        Some(Kind::BoolValue(is_set)) => Value::from(*is_set),
        Some(Kind::StructValue(fields)) => json(fields),
        Some(Kind::ListValue(list)) => list.values.iter().map(json_value).collect(),
    }
}

#[cfg(test)]
mod tests;
