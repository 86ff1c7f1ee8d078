//! Whatever a file holds, loading ends, says where, and keeps the values of descriptors to itself.

use proptest::prelude::*;

use super::*;
use crate::document::{Diagnostic, DiagnosticCode, DocumentCode, Position};
use crate::policy::PolicyCode;

fn diagnostics(yaml: &str) -> Vec<Diagnostic> {
    load_text("test.yaml".as_ref(), yaml).diagnostics
}

/// The codes, but those of descriptors that limit nothing.
fn codes(yaml: &str) -> Vec<DiagnosticCode> {
    let is_other = |code: &DiagnosticCode| {
        *code != PolicyCode::NoLimit && *code != PolicyCode::MissingCatchAll
    };
    let found = diagnostics(yaml);
    found
        .iter()
        .map(|found| found.code)
        .filter(is_other)
        .collect()
}

/// Descriptors nested `depth` deep, in flow style and out of the builder's sight.
fn nested(depth: usize) -> String {
    let mut yaml = "domain: d\n".to_owned();
    for level in 0..depth {
        let indent = " ".repeat(level * 2);
        yaml.push_str(&format!("{indent}descriptors:\n{indent}- key: k\n"));
    }
    yaml
}

#[test]
fn depth_is_bounded() {
    assert_eq!(codes(&nested(64)), [] as [DiagnosticCode; 0]);
    assert_eq!(codes(&nested(66)), [PolicyCode::Unreachable]);
    assert_eq!(codes(&nested(126)), [PolicyCode::Unreachable]);
    assert_eq!(codes(&nested(5_000)), [DocumentCode::NestedTooDeeply]);
    assert_eq!(codes(&"[".repeat(100_000)).len(), 1);
    assert_eq!(
        codes(&"- ".repeat(100_000)),
        [DocumentCode::NestedTooDeeply]
    );
    assert_eq!(
        codes(&"? ".repeat(100_000)),
        [DocumentCode::NestedTooDeeply]
    );
}

#[test]
fn the_64th_level_is_the_last_that_is_walked() {
    let policy = loaded(&nested(66));
    let domain = policy.domain(b"d").unwrap();
    let found = |depth| domain.walk(&entries(&vec![("k", ""); depth]), &mut Parts::default());
    assert!(found(64).is_some());
    assert!(found(65).is_none());
}

#[test]
fn aliases_are_bounded() {
    let mut yaml = "domain: d\nmetadata:\n- &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        let list = vec![alias; 10].join(", ");
        yaml.push_str(&format!("- &a{level} [{list}]\n"));
    }
    assert_eq!(codes(&yaml), [DocumentCode::TooLarge]);
    assert_eq!(
        codes("domain: d\ndescriptors: &a [*a]\n"),
        [DocumentCode::RecursiveAlias]
    );
}

#[test]
fn the_tree_is_bounded() {
    let values: Vec<String> = (0..4_000).map(|at| format!("x{at}")).collect();
    let values = values.join(", ");
    let mut yaml = "domain: d\ndescriptors:\n".to_owned();
    for key in ["a", "b", "c"] {
        yaml.push_str(&format!("- {{key: {key}, values: [{values}]}}\n"));
    }
    assert_eq!(codes(&yaml), [] as [DiagnosticCode; 0]);
    yaml.push_str("- key: d\n- key: e\n");
    assert_eq!(codes(&yaml), [PolicyCode::TooManyDescriptors]);
}

#[test]
fn repeated_faults_are_bounded() {
    let yaml = format!("domain: d\ndescriptors: [{}]", "x, ".repeat(20_000));
    let found = diagnostics(&yaml);
    assert_eq!(found.len(), 10_000);
    assert_eq!(found[0].path, "descriptors[0]");
}

#[test]
fn a_matcher_that_holds_nothing_does_not_fit_everything() {
    for part in [
        "values: ~",
        "values:",
        "values: []",
        "pattern: ''",
        "cidr: ~",
        "cidr: []",
        "cidr: ''",
        "value_sha256:",
        "pattern: ~",
        "values: ['']",
    ] {
        let yaml = format!("domain: d\ndescriptors:\n- key: k\n  {part}\n");
        assert_eq!(diagnostics(&yaml).len(), 1, "{part}");
        assert!(load_text("a".as_ref(), &yaml).policy.is_none());
    }
}

#[test]
fn no_value_of_a_secret_key_is_ever_shown() {
    let secret = "pk_live_SECRET";
    for part in [
        "value: V, values: [V, V]",
        "value: [V]",
        "value: {V: 1}",
        "value: 'V*', pattern: /V",
        "pattern: V",
        "pattern: 'GET V'",
        "pattern: '/V{a}'",
        "pattern: '/{a}', count_by: [V]",
        "pattern: '/{a}', count_by: [{a: V}]",
        "values: 'V*'",
        "values: ['V*', V, V, {a: V}]",
        "value: \"V\\q\"",
        "value: @V",
        "value: `V",
        "value: !V V",
        "value: V: V",
        "value: *V",
        "value: &V V, value: *V",
        "value: V, share_threshold: true",
        "value: V}, {key: k, value: V",
        "value: 'V*'}, {key: k, value: 'V*'}, {key: k, value: 'VV*'",
        "secret: V, key: x",
        "value: a, V",
        "value_sha256: V",
        "value_sha256: [V]",
        "cidr: V",
        "cidr: [10.0.0.1/8, V, {V: V}]",
        "cidr: 10.0.0.0/V",
    ] {
        let yaml = format!(
            "domain: d\ndescriptors: [{{key: k, secret: true, {}}}]\n",
            part.replace('V', secret)
        );
        let found = diagnostics(&yaml);
        assert!(!found.is_empty(), "{part}");
        for found in found {
            let shown = format!("{found}{found:?}");
            assert!(!shown.contains("SECRET"), "{part}: {shown}");
            let secrets = SecretKeys::of([&*yaml]);
            let excerpt = excerpts(&yaml, &[found.position.unwrap()], &secrets)
                .remove(0)
                .unwrap();
            assert!(!excerpt.line.contains("SECRET"), "{part}: {excerpt:?}");
        }
    }
}

#[test]
fn every_fault_is_reported_at_once() {
    let found =
        diagnostics("descriptors:\n- kee: a\n  rate_limit: {unit: hours, requests_per_unit: -1}\n");
    let codes: Vec<DiagnosticCode> = found.iter().map(|found| found.code).collect();
    let expected = [
        PolicyCode::MissingDomain.into(),
        DocumentCode::UnknownKey.into(),
        PolicyCode::MissingKey.into(),
        PolicyCode::UnknownUnit.into(),
        DocumentCode::InvalidNumber.into(),
    ];
    for code in expected {
        assert!(codes.contains(&code), "{code} in {codes:?}");
    }
    assert_eq!(codes.len(), expected.len());
    let key = found
        .iter()
        .find(|found| found.code == DocumentCode::UnknownKey)
        .unwrap();
    assert_eq!(key.help, "did you mean `key`?");
    assert_eq!(key.position, Some(Position { line: 2, column: 3 }));
    let unit = found
        .iter()
        .find(|found| found.code == PolicyCode::UnknownUnit)
        .unwrap();
    assert_eq!(unit.path, "descriptors[0].rate_limit.unit");
}

/// What is found, where in the tree, and which rules there are.
fn said(yaml: &str) -> (Vec<(String, String, DiagnosticCode)>, String) {
    let loaded = load_text("test.yaml".as_ref(), yaml);
    let found = loaded.diagnostics.into_iter();
    let mut found: Vec<_> = found.map(|one| (one.path, one.message, one.code)).collect();
    found.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    let domains = loaded.policy.iter().flat_map(Policy::domains);
    let rules: Vec<_> = domains.flat_map(|domain| domain.rules()).collect();
    (found, format!("{rules:?}"))
}

/// A list that has an anchor is read when all of it is there.
fn with_anchors(yaml: &str) -> String {
    yaml.replace("descriptors:\n", "descriptors: &whole\n")
}

/// Whether reading has ended early.
fn is_given_up(found: &[(String, String, DiagnosticCode)]) -> bool {
    let ends = [
        DocumentCode::YamlSyntax,
        DocumentCode::MultipleDocuments,
        DocumentCode::NestedTooDeeply,
        DocumentCode::RecursiveAlias,
        DocumentCode::TooLarge,
    ];
    found
        .iter()
        .any(|(.., code)| ends.iter().any(|end| code == end))
}

#[test]
fn reading_by_element_is_the_same_as_reading_all_of_a_list() {
    let yaml = "domain: d
descriptors:
- key: a
  descriptors:
  - key: b
    descriptors:
    - {key: c, rate_limit: {unit: day, requests_per_unit: 1}}
    - {kee: c}
    rate_limit: &limit {unit: hour, requests_per_unit: 2}
  - {key: d, value: x, rate_limit: *limit}
  descriptors:
  - {key: never}
- no mapping
- &anchor
  key: e
  unti: 1
  descriptors:
  - {key: f, vaule: 1, rate_limit: {unit: month, requests_per_unit: 3}}
- <<: *anchor
  key: g
- <<: *anchor
  key: h
  descriptors:
  - {key: i, value: [], rate_limit: *limit}
- *anchor
- key: j
  descriptors:
- key: k
  descriptors:
    key: l
  other:
    descriptors:
    - {kee: m}
descriptors:
- {kee: n}
";
    let (found, rules) = said(yaml);
    let paths: Vec<&str> = found.iter().map(|(path, ..)| &**path).collect();
    let below = "descriptors[0].descriptors[0].descriptors[1]";
    assert_eq!(paths[..4], ["", "", below, below]);
    assert_eq!(paths.len(), 16);
    assert_eq!(said(&with_anchors(yaml)), (found, rules));
}

#[test]
fn faults_before_a_syntax_error_are_reported_too() {
    let found = diagnostics("domain: d\ndescriptors:\n- {key: a, unti: hour}\n- {key: b\n");
    let codes: Vec<DiagnosticCode> = found.iter().map(|found| found.code).collect();
    assert_eq!(codes, [DocumentCode::UnknownKey, DocumentCode::YamlSyntax]);
}

const GOOD: [&str; 2] = [
    SHOP,
    include_str!("../../../tests/policies/good/everything.yaml"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn arbitrary_text_never_panics(text in "[-a-c:{}\\[\\],&*!|>'\"%@` \n\t#?<~0-9.]{0,60}") {
        load_text("test.yaml".as_ref(), &text);
    }

    #[test]
    fn arbitrary_unicode_never_panics(text in ".{0,40}") {
        load_text("test.yaml".as_ref(), &text);
    }

    #[test]
    fn mutated_good_files_never_panic(
        which in 0..GOOD.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..6_usize, "[-a-z:{}\\[\\],&*!|'\"% \n]{0,3}"), 1..4),
    ) {
        let mut chars: Vec<char> = GOOD[which].chars().collect();
        for (at, removed, added) in changes {
            let start = at.index(chars.len());
            let end = (start + removed).min(chars.len());
            chars.splice(start..end, added.chars());
            if chars.is_empty() {
                break;
            }
        }
        let text: String = chars.into_iter().collect();
        let (found, rules) = said(&text);
        if !is_given_up(&found) {
            prop_assert_eq!(said(&with_anchors(&text)), (found, rules));
        }
    }
}
