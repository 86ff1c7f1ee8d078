//! Files load as envoyproxy/ratelimit loads them.

use std::sync::Arc;

use super::*;
use crate::document::Value;

fn numbers(yaml: &str) -> Vec<u32> {
    let policy = loaded(yaml);
    let rules = policy.domains()[0].rules();
    let number = |rule: &Arc<Rule>| match &rule.limits {
        Limits::Counted(set) => set.limits[0].quota().number(),
        Limits::Unlimited { .. } | Limits::Exempt => panic!("no limit"),
    };
    rules.iter().map(number).collect()
}

#[test]
fn numbers_are_those_of_yaml_1_1() {
    let rule = |number: &str| {
        format!("  - {{key: a{number}, rate_limit: {{unit: hour, requests_per_unit: {number}}}}}\n")
    };
    let written = ["010", "017", "1_000", "0x10", "0b11", "09", "1e3"];
    let rules: String = written.iter().map(|number| rule(number)).collect();
    let found = numbers(&format!("domain: d\ndescriptors:\n{rules}"));
    assert_eq!(found, [8, 15, 1000, 16, 3, 9, 1000]);
}

#[test]
fn an_empty_document_is_not_a_document() {
    let domain =
        "domain: d\ndescriptors: [{key: a, rate_limit: {unit: hour, requests_per_unit: 3}}]\n";
    for text in [
        format!("{domain}---\n"),
        format!("---\n{domain}---\n---\n# the end\n"),
        format!("{domain}...\n"),
        format!("# the beginning\n---\n---\n{domain}"),
    ] {
        assert_eq!(numbers(&text), [3], "{text}");
    }
    let two = load_text("test.yaml".as_ref(), "domain: d\n---\n---\ndomain: e\n");
    assert_eq!(two.diagnostics[0].code.as_str(), "multiple-documents");
}

#[test]
fn keys_of_metadata_may_look_like_numbers() {
    let policy = loaded(
        "domain: d\ndescriptors:\n  - key: a\n    metadata: {1: a, true: b, 010: c, deep: {2: e}, \
         paid: yes, count: 1_000, octal: 010, text: \"yes\"}\n    rate_limit: {unit: hour, requests_per_unit: 3}\n",
    );
    let metadata = policy.domains()[0].rules()[0].metadata.clone().unwrap();
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    for (key, value) in [
        ("1", text("a")),
        ("true", text("b")),
        ("8", text("c")),
        ("paid", Some(Value::Bool(true))),
        ("count", Some(Value::Number(1000.0))),
        ("octal", Some(Value::Number(8.0))),
        ("text", text("yes")),
    ] {
        assert_eq!(metadata.get(key).cloned(), value, "{key}");
    }
    let Some(Value::Map(deep)) = metadata.get("deep") else {
        panic!("{metadata:?}")
    };
    assert_eq!(deep.get("2").cloned(), text("e"));
}

#[test]
fn a_star_in_a_key_equal_to_its_value_is_not_reported() {
    let warnings = |value: &str| {
        let text = format!("domain: d\ndescriptors: [{{key: \"a/*\", value: {value}}}]\n");
        let found = load_text("test.yaml".as_ref(), &text).diagnostics;
        let stars = found
            .iter()
            .filter(|found| found.code.as_str() == "literal-wildcard");
        stars.count()
    };
    assert_eq!((warnings("\"a/*\""), warnings("b")), (0, 1));
}

#[test]
fn values_in_html_and_xml_bodies_are_escaped_by_content_type() {
    struct Script;
    impl template::Values for Script {
        fn write(&self, _: &template::Operator, out: &mut Vec<u8>) -> bool {
            out.extend_from_slice(b"<b>");
            true
        }
    }
    let body = |kind: &str, body: &str| {
        let policy = loaded(&format!(
            "domain: d\nresponse: {{over_limit: {{headers: {{Content-Type: {kind}}}, body: '{body}'}}}}\n"
        ));
        let response = policy.domains()[0].response().unwrap().clone();
        response.over_limit.body.as_ref().unwrap().render(&Script)
    };
    for kind in [
        "text/html; charset=utf-8",
        "Application/XML",
        "application/problem+xml",
    ] {
        assert_eq!(body(kind, "by %ENTRY(user)%"), "by &lt;b&gt;", "{kind}");
    }
    assert_eq!(body("text/plain", "<p>%ENTRY(user)%"), "<p>&lt;b&gt;");
    assert_eq!(body("text/plain", "by %ENTRY(user)%"), "by <b>");
    assert_eq!(body("application/json", "\"%ENTRY(user)%\""), "\"<b>\"");
}
