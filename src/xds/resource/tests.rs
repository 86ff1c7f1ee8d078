use super::*;
use crate::policy::{self, LoadOptions};
use crate::proto::ratelimit::config::ratelimit::v3::RateLimitReplace;

fn node(key: &str, value: &str) -> RateLimitDescriptor {
    RateLimitDescriptor {
        key: key.to_owned(),
        value: value.to_owned(),
        ..RateLimitDescriptor::default()
    }
}

fn limit(unit: RateLimitUnit, requests_per_unit: u32) -> RateLimitPolicy {
    RateLimitPolicy {
        unit: unit.into(),
        requests_per_unit,
        ..RateLimitPolicy::default()
    }
}

fn config(name: &str, descriptors: Vec<RateLimitDescriptor>) -> Any {
    Any {
        type_url: TYPE_URL.to_owned(),
        value: RateLimitConfig {
            name: name.to_owned(),
            domain: name.to_owned(),
            descriptors,
        }
        .encode_to_vec(),
    }
}

/// The YAML of one domain, which must be without findings.
fn yaml(descriptors: Vec<RateLimitDescriptor>) -> String {
    let [PolicyText { file, text }] = read(&[config("d", descriptors)])
        .unwrap()
        .try_into()
        .unwrap();
    let loaded = policy::load_texts([(file.as_path(), text.as_str())], &LoadOptions::default());
    assert!(
        loaded.diagnostics.is_empty(),
        "{text}\n{:?}",
        loaded.diagnostics
    );
    assert!(loaded.rejected.is_empty());
    text
}

#[test]
fn every_field_has_its_key() {
    let number = |number| prost_types::Value {
        kind: Some(Kind::NumberValue(number)),
    };
    let metadata = Struct {
        fields: [
            ("cost".to_owned(), number(3.0)),
            ("share".to_owned(), number(0.5)),
        ]
        .into(),
    };
    let free = RateLimitDescriptor {
        rate_limit: Some(RateLimitPolicy {
            name: "per_week".to_owned(),
            ..limit(RateLimitUnit::Week, 100)
        }),
        metadata: Some(metadata),
        shadow_mode: true,
        detailed_metric: true,
        ..node("plan", "free")
    };
    let trusted = RateLimitDescriptor {
        rate_limit: Some(RateLimitPolicy {
            unlimited: true,
            replaces: vec![RateLimitReplace {
                name: "per_week".to_owned(),
            }],
            ..RateLimitPolicy::default()
        }),
        ..node("partner", "a\"b\n")
    };
    let leaf = RateLimitDescriptor {
        rate_limit: Some(limit(RateLimitUnit::Month, u32::MAX)),
        quota_mode: true,
        ..node("method", "GET")
    };
    let path = RateLimitDescriptor {
        descriptors: vec![leaf],
        ..node("path", "")
    };
    let text = read(&[config("d", vec![free, trusted, path])])
        .unwrap()
        .remove(0)
        .text;
    assert_eq!(
        text,
        r#"domain: "d"
descriptors:
  - key: "plan"
    value: "free"
    shadow_mode: true
    detailed_metric: true
    rate_limit: {unit: week, requests_per_unit: 100, name: "per_week"}
    metadata: {"cost":3,"share":0.5}
  - key: "partner"
    value: "a\"b\n"
    rate_limit: {unlimited: true, replaces: [{name: "per_week"}]}
  - key: "path"
    descriptors:
      - key: "method"
        value: "GET"
        quota_mode: true
        rate_limit: {unit: month, requests_per_unit: 4294967295}
"#
    );
    let file = std::path::Path::new("d");
    assert!(
        policy::load_texts([(file, text.as_str())], &LoadOptions::default())
            .rejected
            .is_empty()
    );
}

#[test]
fn a_name_that_ends_in_a_star_is_a_value_like_any_other() {
    let route = "httproute/default/api/rule/0/match/0/*";
    let leaf = RateLimitDescriptor {
        rate_limit: Some(limit(RateLimitUnit::Hour, 3)),
        ..node("rule-0-match--1", "rule-0-match--1")
    };
    yaml(vec![RateLimitDescriptor {
        descriptors: vec![leaf],
        ..node(route, route)
    }]);
}

#[test]
fn twins_are_merged_with_what_is_below_them() {
    let limited = RateLimitDescriptor {
        rate_limit: Some(limit(RateLimitUnit::Second, 1_000)),
        ..node("masked_remote_address", "0.0.0.0/0")
    };
    let address = RateLimitDescriptor {
        rate_limit: Some(limit(RateLimitUnit::Second, 10)),
        ..node("remote_address", "")
    };
    let above = RateLimitDescriptor {
        descriptors: vec![address.clone()],
        ..node("masked_remote_address", "0.0.0.0/0")
    };
    let again = RateLimitDescriptor {
        descriptors: vec![address],
        ..node("masked_remote_address", "0.0.0.0/0")
    };
    let text = yaml(vec![limited, above, again]);
    assert_eq!(text.matches("masked_remote_address").count(), 1, "{text}");
    assert_eq!(text.matches("\"remote_address\"").count(), 1, "{text}");
}

#[test]
fn twins_with_different_limits_are_left_for_the_compiler_to_reject() {
    let limited = |requests| RateLimitDescriptor {
        rate_limit: Some(limit(RateLimitUnit::Second, requests)),
        ..node("a", "b")
    };
    let texts = read(&[config("d", vec![limited(1), limited(2)])]).unwrap();
    let loaded = policy::load_texts(
        [(texts[0].file.as_path(), texts[0].text.as_str())],
        &LoadOptions::default(),
    );
    assert_eq!(loaded.rejected, [PathBuf::from("xds:d")]);
}

#[test]
fn a_limit_without_a_unit_and_a_domain_without_a_name_are_rejected() {
    let no_unit = RateLimitDescriptor {
        rate_limit: Some(limit(RateLimitUnit::Unknown, 1)),
        ..node("a", "")
    };
    let new_unit = RateLimitDescriptor {
        rate_limit: Some(RateLimitPolicy {
            unit: 99,
            ..RateLimitPolicy::default()
        }),
        ..node("a", "")
    };
    for (name, node) in [("d", no_unit), ("d", new_unit), ("", node("a", ""))] {
        let texts = read(&[config(name, vec![node])]).unwrap();
        let loaded = policy::load_texts(
            [(texts[0].file.as_path(), texts[0].text.as_str())],
            &LoadOptions::default(),
        );
        assert_eq!(loaded.rejected.len(), 1, "{}", texts[0].text);
    }
}

#[test]
fn resources_are_in_the_order_of_their_names() {
    let texts = read(&[config("b", Vec::new()), config("a", Vec::new())]).unwrap();
    let files: Vec<_> = texts
        .iter()
        .map(|text| text.file.display().to_string())
        .collect();
    assert_eq!(files, ["xds:a", "xds:b"]);
}

#[test]
fn other_types_and_other_bytes_are_errors() {
    let other = Any {
        type_url: "type.googleapis.com/envoy.config.cluster.v3.Cluster".to_owned(),
        value: Vec::new(),
    };
    let error = read(&[other]).unwrap_err();
    assert!(error.to_string().contains("Cluster"), "{error}");
    let garbage = Any {
        type_url: TYPE_URL.to_owned(),
        value: vec![0xff; 3],
    };
    assert!(matches!(read(&[garbage]), Err(ResourceError::Malformed(_))));
}
