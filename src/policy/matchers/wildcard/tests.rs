use proptest::prelude::*;

use super::*;

fn naive(wildcard: &[u8], value: &[u8]) -> bool {
    match wildcard.split_first() {
        None => value.is_empty(),
        Some((b'*', rest)) => (0..=value.len()).any(|at| naive(rest, &value[at..])),
        Some((byte, rest)) => value.first() == Some(byte) && naive(rest, &value[1..]),
    }
}

#[test]
fn examples_of_the_reference() {
    let fits = |wildcard: &str, value: &str| {
        Wildcard::new(wildcard.as_bytes())
            .unwrap()
            .matches(value.as_bytes())
    };
    for value in ["barab", "bar123b", "barb"] {
        assert!(fits("bar*b", value));
    }
    for value in ["bara", "xbarb", "ba"] {
        assert!(!fits("bar*b", value));
    }
    assert!(fits("foo*bar*baz", "foo1bar2baz"));
    assert!(fits("foo*bar*baz", "foobarbaz"));
    assert!(!fits("foo*bar*baz", "foo1baz"));
    assert!(!fits("a*a", "a"));
    assert!(fits("*", ""));
}

#[test]
fn a_huge_value_is_searched_once() {
    let wildcard = Wildcard::new(b"*aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab*").unwrap();
    assert!(!wildcard.matches(&vec![b'a'; 1 << 20]));
}

proptest! {
    #[test]
    fn a_wildcard_agrees_with_a_naive_matcher(wildcard in "[ab*]{0,8}", value in "[ab]{0,10}") {
        prop_assume!(wildcard.contains('*'));
        let expected = naive(wildcard.as_bytes(), value.as_bytes());
        prop_assert_eq!(Wildcard::new(wildcard.as_bytes()).unwrap().matches(value.as_bytes()), expected);
    }

    #[test]
    fn the_index_finds_the_first_in_file_order(
        wildcards in prop::collection::vec("[ab]{0,3}\\*[ab*]{0,4}", 0..12),
        value in "[ab]{0,8}",
    ) {
        let expected = wildcards.iter().position(|wildcard| naive(wildcard.as_bytes(), value.as_bytes()));
        let index = wildcards.iter().map(|wildcard| (Wildcard::new(wildcard.as_bytes()).unwrap(), ()));
        prop_assert_eq!(WildcardIndex::new(index.collect()).position(value.as_bytes()), expected);
    }

    #[test]
    fn one_glob_covers_another_that_it_matches_as_text(
        wide in "[ab*]{0,5}", narrow in "[ab*]{0,5}", value in "[abc]{0,7}",
    ) {
        prop_assume!(wide.contains('*') && narrow.contains('*'));
        if Wildcard::new(wide.as_bytes()).unwrap().matches(narrow.as_bytes()) && naive(narrow.as_bytes(), value.as_bytes()) {
            prop_assert!(naive(wide.as_bytes(), value.as_bytes()));
        }
    }
}
