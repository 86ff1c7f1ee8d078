use std::path::Path;

use super::*;
use crate::policy::load_text;

const POLICY: &str = "
domain: d
descriptors:
  - {key: k, value: v, descriptors: [{key: l, rate_limit: {unit: day, requests_per_unit: 1}}]}
  - {key: k, values: [w, x]}
  - {key: k, pattern: '* /{*rest}'}
  - {key: k, pattern: 'GET /a/{b}', count_by: [b]}
  - {key: k, cidr: [10.0.0.0/8, 10.1.0.0/16], share_threshold: true}
  - {key: k, value_sha256: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae}
  - {key: k, value: 'a*', share_threshold: true}
  - {key: k, value: 'ab*'}
  - {key: k}
  - {key: s, value: '/k*'}
  - {key: s, cidr: 10.0.0.0/8}
  - {key: s, secret: true, pattern: '/{id}', count_by: [id], rate_limit: {unit: day, requests_per_unit: 1}}";

fn entry(key: &str, value: &str) -> Entry {
    Entry {
        key: key.to_owned().into(),
        value: value.to_owned().into(),
    }
}

/// The verdicts of the last level, one letter each, and what the counter depends on there.
fn last(value: &str) -> (String, Vec<CountedBy>) {
    let policy = load_text(Path::new("d.yaml"), POLICY).policy.unwrap();
    let levels = policy.domain(b"d").unwrap().trace(&[entry("k", value)]);
    let Some(TracedLevel::Selected {
        candidates,
        counted_by,
        ..
    }) = levels.last()
    else {
        panic!("{levels:?}");
    };
    let letters = candidates.iter().map(|candidate| match candidate.verdict {
        Verdict::Selected => 's',
        Verdict::Outranked => 'o',
        Verdict::NoMatch => 'n',
    });
    (letters.collect(), counted_by.clone())
}

#[test]
fn the_trace_and_the_walk_select_the_same_node() {
    let of_a = vec![CountedBy::Pattern, CountedBy::Capture("c".to_owned())];
    for (value, verdicts, counter) in [
        ("v", "snnnnnnno", vec![CountedBy::Value]),
        ("x", "snnnnnnno", vec![CountedBy::Value]),
        ("GET /a/c", "nnosnnnno", of_a),
        ("PUT /a/c", "nnsnnnnno", vec![CountedBy::Pattern]),
        ("abc", "nnnnnnsoo", vec![CountedBy::Shared]),
        ("foo", "nsnnnnnno", vec![CountedBy::Value]),
        ("::ffff:10.1.2.3", "nnnnsonno", vec![CountedBy::Shared]),
        ("10.2.0.0", "nnnnnsnno", vec![CountedBy::Shared]),
        ("other", "nnnnnnnns", vec![CountedBy::Value]),
    ] {
        assert_eq!(last(value), (verdicts.to_owned(), counter), "{value}");
    }
}

#[test]
fn a_walk_that_ends_early_says_why() {
    let policy = load_text(Path::new("d.yaml"), POLICY).policy.unwrap();
    let domain = policy.domain(b"d").unwrap();
    let ends = |entries: &[Entry]| format!("{:?}", domain.trace(entries).last());
    let unknown = ends(&[entry("k", "v"), entry("m", "v")]);
    assert_eq!(unknown, "Some(UnknownKey { known_keys: [\"l\"] })");
    assert_eq!(ends(&[entry("k", "w"), entry("l", "v")]), "Some(TooDeep)");
    assert_eq!(ends(&[]), "None");
}

#[test]
fn an_address_may_be_counted_by_its_prefix() {
    let text = "
domain: d
descriptors: [{key: k, cidr: [0.0.0.0/0, '::/0'], count_prefix: {v6: 64}}]";
    let policy = load_text(Path::new("d.yaml"), text).policy.unwrap();
    let domain = policy.domain(b"d").unwrap();
    for (value, expected) in [
        ("10.0.0.1", CountedBy::Value),
        ("10.1.0.0/16", CountedBy::Value),
        ("2001:db8::1", CountedBy::Prefix(64)),
    ] {
        let levels = domain.trace(&[entry("k", value)]);
        let [TracedLevel::Selected { counted_by, .. }] = &levels[..] else {
            panic!("{levels:?}");
        };
        assert_eq!(*counted_by, [expected], "{value}");
    }
}

#[test]
fn a_level_with_many_candidates_lists_some_and_the_selected_one() {
    let nodes = (0..1_000).map(|n| format!("{{key: k, value: '*x{n}x*'}}"));
    let nodes: Vec<_> = nodes.collect();
    let text = format!("{{domain: d, descriptors: [{}]}}", nodes.join(", "));
    let policy = load_text(Path::new("d.yaml"), &text).policy.unwrap();
    let levels = policy.domain(b"d").unwrap().trace(&[entry("k", "x999x")]);
    let [TracedLevel::Selected { candidates, .. }] = &levels[..] else {
        panic!("{levels:?}");
    };
    assert_eq!(candidates.len(), 101);
    let selected = candidates
        .iter()
        .find(|one| one.verdict == Verdict::Selected);
    assert_eq!(selected.unwrap().text, "*x999x*");
}

#[test]
fn patterns_and_captures_of_secret_keys_are_hidden() {
    let policy = load_text(Path::new("d.yaml"), POLICY).policy.unwrap();
    let levels = policy.domain(b"d").unwrap().trace(&[entry("s", "/k1")]);
    let [
        TracedLevel::Selected {
            candidates,
            counted_by,
            ..
        },
    ] = &levels[..]
    else {
        panic!("{levels:?}");
    };
    assert!(candidates.iter().all(|candidate| candidate.text == "***"));
    let hidden = CountedBy::Capture("***".to_owned());
    assert_eq!(*counted_by, [CountedBy::Pattern, hidden]);
}
