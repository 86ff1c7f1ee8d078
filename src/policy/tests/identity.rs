//! Whose counter it is.

use super::*;

fn identity(yaml: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    walk(&loaded(yaml), pairs).unwrap().1
}

const LIMIT: &str = "rate_limit: {unit: hour, requests_per_unit: 1}";

#[test]
fn an_explicit_node_keeps_the_counter() {
    let any = format!("domain: d\ndescriptors: [{{key: k, {LIMIT}}}]");
    let expected = ["key k", "value v"];
    assert_eq!(identity(&any, &[("k", "v")]), expected);
    for matcher in ["value: v", "values: [x, v]", "value: 'v*'"] {
        let yaml = format!("domain: d\ndescriptors: [{{key: k, {matcher}, {LIMIT}}}]");
        assert_eq!(identity(&yaml, &[("k", "v")]), expected);
    }
}

#[test]
fn a_hash_in_place_of_the_value_keeps_the_counter() {
    let hash = "4c94485e0c21ae6c41ce1dfe7b6bfaceea5ab68e40a2476f50208e526f506080";
    let yaml = format!(
        "domain: d\ndescriptors: [{{key: k, value_sha256: {hash}, {LIMIT}}}, {{key: k, value: x, {LIMIT}}}]"
    );
    assert_eq!(identity(&yaml, &[("k", "v")]), ["key k", "value v"]);
    assert!(walk(&loaded(&yaml), &[("k", "w")]).is_none());
}

#[test]
fn an_address_is_one_however_it_is_written() {
    let yaml = |share: bool| {
        format!(
            "domain: d\ndescriptors: [{{key: ip, cidr: [10.0.0.0/8, '2001:DB8::/32'], share_threshold: {share}, {LIMIT}}}]"
        )
    };
    for (value, address, block) in [
        ("10.1.2.3", "10.1.2.3", "10.0.0.0/8"),
        ("::ffff:10.1.2.3", "10.1.2.3", "10.0.0.0/8"),
        ("2001:0db8::0:1", "2001:db8::1", "2001:db8::/32"),
    ] {
        let expected = ["key ip".to_owned(), format!("value {address}")];
        assert_eq!(identity(&yaml(false), &[("ip", value)]), expected);
        let expected = ["key ip".to_owned(), format!("shared {block}")];
        assert_eq!(identity(&yaml(true), &[("ip", value)]), expected);
    }
}

#[test]
fn a_shared_wildcard_is_its_text() {
    let yaml = format!(
        "domain: d\ndescriptors:\n- key: path\n  value: path/*\n  share_threshold: true\n  descriptors:\n\
         \x20 - key: file\n    value: file/*\n    descriptors: [{{key: type, {LIMIT}}}]\n"
    );
    let of = |path, file| identity(&yaml, &[("path", path), ("file", file), ("type", "pdf")]);
    let expected = [
        "key path",
        "shared path/*",
        "key file",
        "value file/1",
        "key type",
        "value pdf",
    ];
    assert_eq!(of("path/a", "file/1"), expected);
    assert_eq!(of("path/b", "file/1"), expected);
    assert_ne!(of("path/a", "file/2"), expected);
}

#[test]
fn a_pattern_is_identified_by_its_text_and_count_by() {
    let yaml = |count_by: &str| {
        format!(
            "domain: d\ndescriptors: [{{key: r, pattern: '* /s/{{site}}/{{*rest}}', {count_by} {LIMIT}}}]"
        )
    };
    let value = [("r", "PUT /s/7/a/b?c")];
    let pattern = ["key r", "pattern * /s/{site}/{*rest}"];
    assert_eq!(identity(&yaml(""), &value), pattern);
    let counted = ["capture PUT", "capture a/b", "capture 7"];
    let expected = [&pattern[..], &counted[..]].concat();
    assert_eq!(
        identity(&yaml("count_by: [site, rest, method],"), &value),
        expected
    );
    assert_eq!(
        identity(&yaml("count_by: [method, site, rest],"), &value),
        expected
    );
}

#[test]
fn only_a_walk_per_value_says_so() {
    let policy = loaded(&format!(
        "domain: d\ndescriptors:\n- {{key: a, pattern: /x, descriptors: [{{key: b, {LIMIT}}}]}}\n\
         - {{key: c, value: 'x*', descriptors: [{{key: b, {LIMIT}}}]}}\n"
    ));
    let per_value = |pairs: &[(&str, &str)]| {
        let domain = policy.domain(b"d").unwrap();
        domain
            .walk(&entries(pairs), &mut Parts::default())
            .unwrap()
            .per_value
    };
    assert!(!per_value(&[("a", "/x"), ("b", "1")]));
    assert!(per_value(&[("c", "xy"), ("b", "1")]));
}

#[test]
fn metrics_know_the_levels_that_show_their_value() {
    let policy = loaded(&format!(
        "domain: d\ndescriptors:\n- {{key: a, value_to_metric: true, descriptors: [{{key: b, descriptors: \
         [{{key: c, value_to_metric: true, detailed_metric: true, {LIMIT}}}]}}]}}\n"
    ));
    let rule = &policy.domain(b"d").unwrap().rules()[0];
    assert_eq!(
        rule.metric,
        MetricDetail {
            detailed: true,
            value_levels: 0b101
        }
    );
}
