//! A walk of the tree, told level by level: what there was to choose from, and what was selected.
//!
//! It costs more the more there is to tell, so it is for people, never for a decision.

use std::sync::Arc;

use super::matchers::path::{PathPattern, PathTrie};
use super::matchers::sha256::Sha256Hash;
use super::tree::{Domain, KeyNodes, Matchers};
use super::{CounterIdentity, IdentityPart, MatchedNode, Rule};
use crate::request::Entry;

/// A walk and its end.
#[derive(Debug)]
pub struct Trace<'p> {
    /// One per entry, up to the one where the walk ended.
    pub levels: Vec<TracedLevel<'p>>,
    /// What [`Domain::walk`] finds.
    pub found: Option<MatchedNode<'p>>,
}

/// What one entry met.
#[derive(Debug)]
pub enum TracedLevel<'p> {
    /// The tree has no level for it.
    TooDeep,
    /// No descriptor of this level has its key.
    UnknownKey {
        /// The keys that they have, sorted.
        known: Vec<&'p [u8]>,
    },
    /// Descriptors with its key.
    Known {
        /// In the order in which they are tried.
        candidates: Vec<Candidate<'p>>,
        /// The position among them of the one that was selected.
        selected: Option<usize>,
        /// What it adds to the counter's identity, the key excepted.
        counter: Vec<CountedBy>,
        /// The rule of the one that was selected, for requests that end here.
        rule: Option<&'p Arc<Rule>>,
    },
}

/// A descriptor of the policy, or several that are tried as one.
#[derive(Debug)]
pub struct Candidate<'p> {
    /// What it matches.
    pub matcher: MatcherText<'p>,
    /// Whether that is the value.
    pub matches: bool,
}

/// How a policy says what a descriptor matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatcherText<'p> {
    /// `value` or `values` without a wildcard, so many at this level together.
    Values(usize),
    /// `value_sha256`, so many at this level together.
    Hashes(usize),
    /// `pattern`.
    Pattern(&'p str),
    /// A block of `cidr`.
    Cidr(String),
    /// `value` with a wildcard.
    Wildcard(&'p [u8]),
    /// None of them: any value.
    Any,
}

/// A part of what makes a counter its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CountedBy {
    /// Each value, or each address of a block, has its own.
    Value,
    /// One for the pattern …
    Pattern,
    /// … and this piece of the value.
    Capture(Vec<u8>),
    /// One for the wildcard or the block.
    Shared,
}

impl Domain {
    /// Walks the tree as [`Domain::walk`] does, and tells of it.
    pub fn trace(&self, entries: &[Entry]) -> Trace<'_> {
        let mut trace = Trace {
            levels: Vec::with_capacity(entries.len()),
            found: self.walk(entries, &mut TracedIdentity::default()),
        };
        let mut below = self.top;
        for entry in entries {
            let Some(level) = below else {
                trace.levels.push(TracedLevel::TooDeep);
                break;
            };
            let keys = &self.levels[level as usize].keys;
            let Some(choice) = keys.get(&entry.key) else {
                let known = keys.keys();
                trace.levels.push(TracedLevel::UnknownKey { known });
                break;
            };
            let mut parts = TracedIdentity::default();
            let chosen = choice.choose(&entry.value, &mut parts);
            let node = chosen.map(|(node, _)| &self.nodes[node as usize]);
            let candidates = choice.candidates(&entry.value);
            trace.levels.push(TracedLevel::Known {
                selected: node.and_then(|_| selected(choice, &candidates, &entry.value)),
                candidates,
                counter: parts.0,
                rule: node.and_then(|node| node.rule.as_ref()),
            });
            let Some(node) = node else { break };
            below = node.below;
        }
        trace
    }
}

/// Which candidate a choice takes: the first that matches, but among patterns the most specific one.
fn selected(choice: &KeyNodes, candidates: &[Candidate<'_>], value: &[u8]) -> Option<usize> {
    let first = candidates.iter().position(|candidate| candidate.matches)?;
    let best = choice.matchers.as_ref().and_then(|by| by.pattern(value));
    let is_best = |candidate: &Candidate<'_>| {
        best.is_some_and(|best| candidate.matcher == MatcherText::Pattern(best))
    };
    match candidates[first].matcher {
        MatcherText::Pattern(_) => candidates.iter().position(is_best),
        _ => Some(first),
    }
}

impl KeyNodes {
    fn candidates(&self, value: &[u8]) -> Vec<Candidate<'_>> {
        let mut candidates = Vec::new();
        let mut add = |matcher, matches| candidates.push(Candidate { matcher, matches });
        if self.exact.len() > 0 {
            add(
                MatcherText::Values(self.exact.len()),
                self.exact.get(value).is_some(),
            );
        }
        if let Some(by) = &self.matchers {
            if !by.hashes.is_empty() {
                let matches = by.hashes.contains_key(&Sha256Hash::of(value));
                add(MatcherText::Hashes(by.hashes.len()), matches);
            }
            for pattern in &by.patterns {
                add(
                    MatcherText::Pattern(&pattern.text),
                    matches_pattern(&pattern.text, value),
                );
            }
            for (cidr, matches) in by.cidrs.tried(value) {
                add(MatcherText::Cidr(cidr.to_string()), matches);
            }
            for (wildcard, _) in by.wildcards.iter() {
                add(
                    MatcherText::Wildcard(wildcard.text()),
                    wildcard.matches(value),
                );
            }
        }
        if self.any.is_some() {
            add(MatcherText::Any, true);
        }
        candidates
    }
}

impl Matchers {
    /// The text of the pattern that a value meets.
    fn pattern(&self, value: &[u8]) -> Option<&str> {
        let found = self.trie.find(value)?;
        Some(&self.patterns[found.target as usize].text)
    }
}

/// Whether a value would fit if there were no other pattern.
fn matches_pattern(text: &str, value: &[u8]) -> bool {
    let mut alone = PathTrie::default();
    let Ok(pattern) = PathPattern::parse(text) else {
        return false;
    };
    alone.insert(&pattern, 0).is_ok() && alone.find(value).is_some()
}

/// Gathers what a counter depends on.
#[derive(Default)]
struct TracedIdentity(Vec<CountedBy>);

impl CounterIdentity for TracedIdentity {
    fn add(&mut self, part: IdentityPart<'_>) {
        match part {
            IdentityPart::Key(_) => {}
            IdentityPart::Value(_) => self.0.push(CountedBy::Value),
            IdentityPart::Pattern(_) => self.0.push(CountedBy::Pattern),
            IdentityPart::Capture(piece) => self.0.push(CountedBy::Capture(piece.to_vec())),
            IdentityPart::Shared(_) => self.0.push(CountedBy::Shared),
        }
    }
}

#[cfg(test)]
mod tests {
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
  - {key: k}";

    /// The verdicts of the last level, one letter each: selected, passed over, no; and the counter.
    fn last(value: &str) -> (String, Vec<CountedBy>) {
        let policy = load_text(Path::new("d.yaml"), POLICY).policy.unwrap();
        let domain = policy.domain(b"d").unwrap();
        let entry = |key: &str, value: &str| Entry {
            key: key.to_owned().into(),
            value: value.to_owned().into(),
        };
        let trace = domain.trace(&[entry("k", value)]);
        assert!(trace.found.is_some());
        let Some(TracedLevel::Known {
            candidates,
            selected,
            counter,
            ..
        }) = trace.levels.last()
        else {
            panic!("{trace:?}");
        };
        let letters =
            candidates
                .iter()
                .enumerate()
                .map(|(at, candidate)| match candidate.matches {
                    true if *selected == Some(at) => 't',
                    true => 'p',
                    false => 'n',
                });
        (letters.collect(), counter.clone())
    }

    #[test]
    fn what_is_taken_is_what_the_walk_takes() {
        let of_a = vec![CountedBy::Pattern, CountedBy::Capture(b"c".to_vec())];
        for (value, verdicts, counter) in [
            ("v", "tnnnnnnnp", vec![CountedBy::Value]),
            ("x", "tnnnnnnnp", vec![CountedBy::Value]),
            ("GET /a/c", "nnptnnnnp", of_a),
            ("PUT /a/c", "nntnnnnnp", vec![CountedBy::Pattern]),
            ("abc", "nnnnnntpp", vec![CountedBy::Shared]),
            ("foo", "ntnnnnnnp", vec![CountedBy::Value]),
            ("::ffff:10.1.2.3", "nnnntpnnp", vec![CountedBy::Shared]),
            ("10.2.0.0", "nnnnntnnp", vec![CountedBy::Shared]),
            ("other", "nnnnnnnnt", vec![CountedBy::Value]),
        ] {
            assert_eq!(last(value), (verdicts.to_owned(), counter), "{value}");
        }
    }

    #[test]
    fn a_walk_that_ends_early_says_why() {
        let policy = load_text(Path::new("d.yaml"), POLICY).policy.unwrap();
        let domain = policy.domain(b"d").unwrap();
        let entry = |key: &'static str, value: &'static str| Entry {
            key: key.into(),
            value: value.into(),
        };
        let ends = |entries: &[Entry]| format!("{:?}", domain.trace(entries).levels.last());
        let unknown = ends(&[entry("k", "v"), entry("m", "v")]);
        assert_eq!(unknown, "Some(UnknownKey { known: [[108]] })");
        assert_eq!(ends(&[entry("k", "w"), entry("l", "v")]), "Some(TooDeep)");
        assert_eq!(ends(&[]), "None");
    }
}
