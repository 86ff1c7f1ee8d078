//! The walk, from YAML to what it finds: the reference's own cases first.

mod identity;
mod reference;
mod robust;

use super::*;
use crate::limit::{Charge, Limit, LimitKind};
use crate::request::Entry;

/// Parts of an identity, as text.
#[derive(Debug, Default)]
struct Parts(Vec<String>);

impl CounterIdentity for Parts {
    fn add(&mut self, part: IdentityPart<'_>) {
        let (kind, bytes) = match part {
            IdentityPart::Key(bytes) => ("key", bytes),
            IdentityPart::Value(bytes) => ("value", bytes),
            IdentityPart::Prefix { text, .. } => ("prefix", text),
            IdentityPart::Pattern(bytes) => ("pattern", bytes),
            IdentityPart::Capture(bytes) => ("capture", bytes),
            IdentityPart::Shared(bytes) => ("shared", bytes),
        };
        self.0
            .push(format!("{kind} {}", String::from_utf8_lossy(bytes)));
    }
}

fn loaded(yaml: &str) -> Policy {
    let loaded = load_text("test.yaml".as_ref(), yaml);
    let found: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    loaded
        .policy
        .unwrap_or_else(|| panic!("{}", found.join("\n")))
}

fn entries(pairs: &[(&str, &str)]) -> Vec<Entry> {
    let entry = |(key, value): &(&str, &str)| Entry {
        key: key.as_bytes().to_vec().into(),
        value: value.as_bytes().to_vec().into(),
    };
    pairs.iter().map(entry).collect()
}

/// The limit, as `requests/unit`, and the identity of its counter.
fn walk(policy: &Policy, pairs: &[(&str, &str)]) -> Option<(String, Vec<String>)> {
    let domain = policy.domains()[0];
    let mut parts = Parts::default();
    let found = domain.walk(&entries(pairs), &mut parts)?;
    let limit = match &found.rule?.limits {
        Limits::Unlimited { .. } => "unlimited".to_owned(),
        Limits::Exempt => "exempt".to_owned(),
        Limits::Counted(set) => {
            let quota = set.limits[0].quota();
            format!("{}/{}", quota.number(), quota.window().unwrap())
        }
    };
    Some((limit, parts.0))
}

fn limit(policy: &Policy, pairs: &[(&str, &str)]) -> Option<String> {
    walk(policy, pairs).map(|(limit, _)| limit)
}

const SHOP: &str = include_str!("../../tests/policies/good/reference-shop.yaml");

#[test]
fn the_reference_s_matching_cases() {
    let shop = loaded(SHOP);
    let none: [&[(&str, &str)]; 12] = [
        &[("zzz", "1")],
        &[("tenant", "silver")],
        &[("tenant", "gold")],
        &[("ip", "friend")],
        &[("ip", "A"), ("x", "y")],
        &[("team", "red"), ("job", "test")],
        &[("route", "pay"), ("tenant", "gold")],
        &[("IP", "A")],
        &[],
        &[("tenant", "silver"), ("route", "home")],
        &[("tenant", "gold"), ("route", "home"), ("more", "")],
        &[("", "")],
    ];
    for pairs in none {
        assert_eq!(limit(&shop, pairs), None, "{pairs:?}");
    }
    let some: [(&[(&str, &str)], &str); 10] = [
        (&[("tenant", "gold"), ("route", "home")], "5/hour"),
        (&[("tenant", "gold"), ("route", "pay")], "10/hour"),
        (&[("ip", "A")], "20/hour"),
        (&[("ip", "vip")], "30/hour"),
        (&[("ip", "")], "20/hour"),
        (&[("team", "red")], "15/day"),
        (&[("team", "red"), ("job", "build")], "25/day"),
        (&[("plan", "x")], "10/day"),
        (&[("free", "x")], "unlimited"),
        (&[("ban", "x")], "0/hour"),
    ];
    for (pairs, expected) in some {
        assert_eq!(limit(&shop, pairs).as_deref(), Some(expected), "{pairs:?}");
    }
    assert!(shop.domain(b"nope").is_none());
    assert_eq!(shop.domain(b"shop").unwrap().name.as_ref(), "shop");
    assert_eq!((shop.domain_count(), shop.rule_count()), (1, 9));
}

#[test]
fn rules_are_in_the_order_of_the_policy() {
    let policy = loaded(SHOP);
    let rules = policy.domain(b"shop").unwrap().rules();
    let paths: Vec<String> = rules.iter().map(|rule| rule.path()).collect();
    assert_eq!(
        paths[..2],
        [
            "descriptors[0].descriptors[0]",
            "descriptors[0].descriptors[1]"
        ]
    );
    assert_eq!(
        paths[5..7],
        ["descriptors[5]", "descriptors[5].descriptors[0]"]
    );
}

#[test]
fn nothing_goes_back_between_levels() {
    let policy = loaded(
        "domain: d\ndescriptors:\n\
         - {key: k, value: a, descriptors: [{key: p, rate_limit: {unit: hour, requests_per_unit: 1}}]}\n\
         - {key: k, descriptors: [{key: q, rate_limit: {unit: hour, requests_per_unit: 1}}]}\n",
    );
    assert_eq!(limit(&policy, &[("k", "a"), ("q", "1")]), None);
    assert_eq!(
        limit(&policy, &[("k", "b"), ("q", "1")]).as_deref(),
        Some("1/hour")
    );
}

#[test]
fn exact_before_wildcard_before_any_and_wildcards_in_file_order() {
    let policy = loaded(
        "domain: w\ndescriptors:\n\
         - {key: f, rate_limit: {unit: hour, requests_per_unit: 3}}\n\
         - {key: f, value: 'img*', rate_limit: {unit: hour, requests_per_unit: 2}}\n\
         - {key: f, value: img1, rate_limit: {unit: hour, requests_per_unit: 1}}\n\
         - {key: k, value: 'a*', rate_limit: {unit: hour, requests_per_unit: 5}}\n\
         - {key: k, value: 'a*z*', rate_limit: {unit: hour, requests_per_unit: 6}}\n\
         - {key: k, value: 'b*c', rate_limit: {unit: hour, requests_per_unit: 7}}\n",
    );
    let of = |key, value| limit(&policy, &[(key, value)]);
    assert_eq!(of("f", "img1").as_deref(), Some("1/hour"));
    assert_eq!(of("f", "img2").as_deref(), Some("2/hour"));
    assert_eq!(of("f", "doc").as_deref(), Some("3/hour"));
    assert_eq!(of("k", "azb").as_deref(), Some("5/hour"));
    assert_eq!(of("k", "bc").as_deref(), Some("7/hour"));
    assert_eq!(of("k", "b"), None);
}

#[test]
fn a_pattern_comes_after_exact_values_and_before_wildcards() {
    let policy = loaded(
        "domain: w\ndescriptors:\n\
         - {key: r, value: '*', rate_limit: {unit: hour, requests_per_unit: 4}}\n\
         - {key: r, pattern: 'GET /sites/{site}', rate_limit: {unit: hour, requests_per_unit: 2}}\n\
         - {key: r, values: ['GET /sites/1', 'GET /sites/2'], rate_limit: {unit: hour, requests_per_unit: 1}}\n",
    );
    let of = |value| limit(&policy, &[("r", value)]);
    assert_eq!(of("GET /sites/1").as_deref(), Some("1/hour"));
    assert_eq!(of("GET /sites/3?x").as_deref(), Some("2/hour"));
    assert_eq!(of("POST /sites/3").as_deref(), Some("4/hour"));
}

#[test]
fn hashes_come_with_values_and_blocks_between_patterns_and_wildcards() {
    let policy = loaded(
        "domain: w\ndescriptors:\n\
         - {key: k, rate_limit: {unit: hour, requests_per_unit: 5}}\n\
         - {key: k, value: '1*', rate_limit: {unit: hour, requests_per_unit: 4}}\n\
         - {key: k, cidr: '0.0.0.0/0', rate_limit: {unit: hour, requests_per_unit: 3}}\n\
         - {key: k, cidr: [10.0.0.0/8], rate_limit: {unit: hour, requests_per_unit: 2}}\n\
         - {key: k, value_sha256: 37d7a80604871e579850a658c7add2ae7557d0c6abcc9b31ecddc4424207eba3, \
           rate_limit: {unit: hour, requests_per_unit: 1}}\n",
    );
    let of = |value| limit(&policy, &[("k", value)]);
    assert_eq!(of("192.168.0.1").as_deref(), Some("1/hour"));
    assert_eq!(of("10.0.0.1").as_deref(), Some("2/hour"));
    assert_eq!(of("192.168.0.2").as_deref(), Some("3/hour"));
    assert_eq!(of("192.168.0.2:80").as_deref(), Some("4/hour"));
    assert_eq!(of("[::1]:80").as_deref(), Some("5/hour"));
}

#[test]
fn many_values_of_one_key_are_told_apart() {
    let values: Vec<String> = (0..100).map(|at| format!("v{at}")).collect();
    let values = values.join(", ");
    let policy = loaded(&format!(
        "domain: d\ndescriptors: [{{key: k, values: [{values}], rate_limit: {{unit: hour, requests_per_unit: 1}}}}]"
    ));
    assert!(limit(&policy, &[("k", "v0")]).is_some() && limit(&policy, &[("k", "v99")]).is_some());
    assert!(limit(&policy, &[("k", "v100")]).is_none() && limit(&policy, &[("k", "")]).is_none());
}

#[test]
fn any_bytes_are_matched() {
    let policy = loaded(SHOP);
    let domain = policy.domain(b"shop").unwrap();
    for value in [vec![0xff, 0, 0xfe], vec![b'x'; 1 << 20]] {
        let entry = Entry {
            key: "ip".into(),
            value: value.into(),
        };
        let found = domain.walk(&[entry], &mut Parts::default()).unwrap();
        assert!(found.rule.is_some() && found.per_value);
    }
}

#[test]
fn a_limit_says_all_it_can() {
    let policy = loaded(
        "domain: d\ndescriptors:\n- key: k\n  shadow_mode: yes\n  quota_mode: On\n  rate_limit:\n\
         \x20 - {requests_per_unit: 100, unit: MINUTE, algorithm: token_bucket, burst: 150, name: a}\n\
         \x20 - {requests_per_unit: 7, unit: second, unit_multiplier: 30, algorithm: sliding_window, replaces: [{name: a}], shadow_mode: on}\n",
    );
    let domain = policy.domain(b"d").unwrap();
    let found = domain
        .walk(&entries(&[("k", "v")]), &mut Parts::default())
        .unwrap();
    let rule = found.rule.unwrap();
    let Limits::Counted(set) = &rule.limits else {
        panic!()
    };
    assert!(rule.shadow_mode && rule.quota_mode);
    assert_eq!(set.charge, Charge::Allowed);
    assert!(!set.limits[0].shadow_mode && set.limits[1].shadow_mode);
    assert!(matches!(set.limits[0].kind, LimitKind::TokenBucket(_)));
    assert_eq!(set.limits[0].to_string(), "100 per minute, burst 150");
    assert!(matches!(set.limits[1].kind, LimitKind::SlidingWindow(_)));
    assert_eq!(set.limits[1].to_string(), "7 per 30 seconds");
    assert_eq!(
        rule.replaces.iter().map(|name| &**name).collect::<Vec<_>>(),
        ["a"]
    );
    assert_eq!(rule.path(), "descriptors[0]");
    assert_eq!(rule.position, Some(Position { line: 6, column: 3 }));
}

#[test]
fn charge_is_always_for_a_lone_fixed_window_and_allowed_elsewhere() {
    let charge = |rate_limit: &str| {
        let policy = loaded(&format!(
            "domain: d\ndescriptors: [{{key: k, rate_limit: {rate_limit}}}]"
        ));
        let rule = policy.domain(b"d").unwrap().rules()[0].clone();
        let Limits::Counted(set) = &rule.limits else {
            panic!()
        };
        set.charge
    };
    let fixed = "{unit: hour, requests_per_unit: 1}";
    assert_eq!(charge(fixed), Charge::Always);
    assert_eq!(charge(&format!("[{fixed}]")), Charge::Always);
    assert_eq!(charge(&format!("[{fixed}, {fixed}]")), Charge::Allowed);
    assert_eq!(
        charge("{unit: hour, requests_per_unit: 1, algorithm: token_bucket}"),
        Charge::Allowed
    );
    assert_eq!(
        charge("{unit: hour, requests_per_unit: 1, charge: allowed}"),
        Charge::Allowed
    );
    let sliding = "{unit: hour, requests_per_unit: 1, algorithm: sliding_window, charge: always}";
    assert_eq!(charge(sliding), Charge::Always);
}

#[test]
fn the_nearest_response_is_used_whole() {
    let policy = loaded(
        "domain: d\nresponse: {headers: {a: '1'}}\ndescriptors:\n\
         - {key: x, descriptors: [{key: y}]}\n\
         - {key: z, response: {headers: {b: '2'}}, descriptors: [{key: y}]}\n",
    );
    let domain = policy.domain(b"d").unwrap();
    let header = |pairs: &[(&str, &str)]| {
        let found = domain.walk(&entries(pairs), &mut Parts::default()).unwrap();
        found.response.unwrap().headers[0].name.to_string()
    };
    assert_eq!(header(&[("x", ""), ("y", "")]), "a");
    assert_eq!(header(&[("z", ""), ("y", "")]), "b");
    assert_eq!(&*domain.response().unwrap().headers[0].name, "a");
}

#[test]
fn a_header_of_a_refusal_replaces_the_general_one() {
    let policy = loaded(
        "domain: d\nresponse:\n  headers: {A: '1', B: '2'}\n  over_limit: {headers: {b: '3', C: '4'}, body: no}\n",
    );
    let response = policy.domain(b"d").unwrap().response().unwrap().clone();
    let names = |headers: Vec<&HeaderTemplate>| {
        headers
            .iter()
            .map(|h| h.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(response.on_pass().collect()), ["A", "B"]);
    assert_eq!(names(response.on_refusal().collect()), ["A", "b", "C"]);
    assert!(response.over_limit.body.is_some());
}

#[test]
fn a_secret_key_is_secret_in_the_whole_domain() {
    let policy =
        loaded("domain: d\ndescriptors: [{key: a, descriptors: [{key: b, secret: true}]}]");
    let domain = policy.domain(b"d").unwrap();
    assert!(domain.is_secret(b"b") && !domain.is_secret(b"a"));
}

#[test]
fn values_are_text_and_merges_add_missing_keys() {
    let policy = loaded(
        "domain: 7\ndescriptors:\n\
         - {key: n, value: 010, rate_limit: &base {unit: hour, requests_per_unit: 0x10}}\n\
         - {key: b, value: TRUE, rate_limit: {<<: *base, requests_per_unit: 2}}\n\
         - {key: e, value: '', rate_limit: {<<: [{unit: day}, *base]}}\n\
         - {key: f, value: 1.50, rate_limit: *base}\n",
    );
    let of = |key, value| limit(&policy, &[(key, value)]);
    assert_eq!(of("n", "010").as_deref(), Some("16/hour"));
    assert_eq!(of("n", "10"), None);
    assert_eq!(of("b", "TRUE").as_deref(), Some("2/hour"));
    assert_eq!(of("e", "anything").as_deref(), Some("16/day"));
    assert_eq!(of("f", "1.50").as_deref(), Some("16/hour"));
    assert!(policy.domain(b"7").is_some());
}

#[test]
fn metadata_has_the_types_of_yaml() {
    let policy = loaded(
        "domain: d\ndescriptors:\n- key: k\n  metadata: {a: 1, b: '1', c: yes, d: true, e: ~, f: [1.5, {g: x}]}\n",
    );
    let domain = policy.domain(b"d").unwrap();
    let found = domain
        .walk(&entries(&[("k", "")]), &mut Parts::default())
        .unwrap();
    let metadata = found.metadata.unwrap();
    assert_eq!(metadata["a"], Value::Number(1.0));
    assert_eq!(metadata["b"], Value::Text("1".into()));
    assert_eq!(metadata["c"], Value::Bool(true));
    assert_eq!(metadata["d"], Value::Bool(true));
    assert_eq!(metadata["e"], Value::Null);
    assert!(matches!(&metadata["f"], Value::List(list) if list.len() == 2));
}

#[test]
fn a_limit_is_plain_data() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Policy>();
    is_shared::<Limit>();
}
