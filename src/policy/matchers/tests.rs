//! The cost of a lookup follows the value, not the policy: with twice the matchers, a lookup takes
//! the same number of steps. Exact values and hashes need no test: they are one lookup in a hash
//! table.

use std::collections::HashMap;

use super::cidr::{Cidr, CidrIndex};
use super::path::{PathPattern, PathTrie};
use super::wildcard::{Wildcard, WildcardIndex};
use super::*;

fn steps(lookup: impl FnOnce()) -> u64 {
    STEPS.with(|steps| steps.set(0));
    lookup();
    STEPS.with(std::cell::Cell::get)
}

fn wildcards(count: usize, text: impl Fn(usize) -> String) -> WildcardIndex<usize> {
    let wildcards = (0..count).map(|n| (Wildcard::new(text(n).as_bytes()).unwrap(), n));
    WildcardIndex::new(wildcards.collect())
}

/// A value that each wildcard of the tests below nearly matches, again and again.
fn hostile_value() -> Vec<u8> {
    b"botb bot000 agent/ ".repeat(3_000)
}

#[test]
fn twice_the_wildcards_take_the_same_steps() {
    let value = hostile_value();
    let notations: [fn(usize) -> String; 7] = [
        |n| format!("*bot{n:05}*"),
        |n| format!("*{n:05}bot*"),
        |n| format!("*bot*agent{n:05}*"),
        |n| format!("*{n:05}*bot*"),
        |n| format!("botb *x{n:05}"),
        |n| format!("bot*{n:05}*agent/ "),
        |n| format!("b{n:05}*"),
    ];
    for notation in notations {
        let few = wildcards(500, notation);
        let many = wildcards(1_000, notation);
        assert_eq!(few.position(&value), None, "{}", notation(0));
        let few = steps(|| assert!(few.position(&value).is_none()));
        let many = steps(|| assert!(many.position(&value).is_none()));
        // Of wildcards that all continue with another piece after the same one, each is noted once.
        assert!(many <= few + 500, "{}: {few}, {many}", notation(0));
        assert!(many <= 3 * value.len() as u64, "{}: {many}", notation(0));
    }
}

#[test]
fn many_wildcards_agree_with_one_by_one() {
    let index = wildcards(1_000, |n| format!("*bot{n:05}*"));
    let mut value = hostile_value();
    value.extend_from_slice(b"bot00999/1.0 bot00123");
    assert_eq!(index.position(&value), Some(123));
}

#[test]
fn twice_the_cidrs_take_the_same_steps() {
    let index = |count: u32| {
        let cidrs = (0..count).map(|n| format!("10.{}.{}.0/24", n / 256, n % 256));
        let cidrs: HashMap<Cidr, u32> = cidrs
            .zip(0..)
            .map(|(cidr, n)| (Cidr::parse(&cidr).unwrap(), n))
            .collect();
        CidrIndex::new(cidrs)
    };
    let (few, many) = (index(500), index(1_000));
    let few = steps(|| assert!(few.find(b"192.0.2.1").is_none()));
    let many = steps(|| assert!(many.find(b"192.0.2.1").is_none()));
    assert_eq!(few, many);
}

#[test]
fn twice_the_path_patterns_take_the_same_steps() {
    let trie = |count: u32| {
        let mut trie = PathTrie::default();
        for n in 0..count {
            let pattern =
                PathPattern::parse(&format!("GET /v1/{{user}}/part{n}/{{rest}}")).unwrap();
            trie.insert(&pattern, n).unwrap();
        }
        trie
    };
    let (few, many) = (trie(500), trie(1_000));
    let few = steps(|| assert!(few.find(b"GET /v1/a/part7/x/y").is_none()));
    let many = steps(|| assert!(many.find(b"GET /v1/a/part7/x/y").is_none()));
    assert_eq!(few, many);
}
