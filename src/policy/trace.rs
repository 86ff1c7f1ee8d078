//! A walk of the tree, told level by level: what there was to choose from, and what was taken.
//!
//! It costs more the more there is to tell, so it is for people, never for a decision.

use std::sync::Arc;

use super::hash::Hash;
use super::pattern::{Pattern, PatternTrie};
use super::tree::{ByShape, Choice, Domain};
use super::{Found, Identity, Part, Rule};
use crate::request::Entry;

/// A walk and its end.
#[derive(Debug)]
pub struct Trace<'p> {
    /// One per entry, up to the one where the walk ended.
    pub levels: Vec<TracedLevel<'p>>,
    /// What [`Domain::walk`] finds.
    pub found: Option<Found<'p>>,
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
        /// The place among them of the one that was taken.
        taken: Option<usize>,
        /// What it adds to the counter's identity, the key excepted.
        counter: Vec<Counter>,
        /// The rule of the one that was taken, for requests that end here.
        rule: Option<&'p Arc<Rule>>,
    },
}

/// A descriptor of the policy, or several that are tried as one.
#[derive(Debug)]
pub struct Candidate<'p> {
    /// What it fits.
    pub written: Written<'p>,
    /// Whether that is the value.
    pub fits: bool,
}

/// How a policy says what a descriptor fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written<'p> {
    /// `value` or `values` without a wildcard, so many at this level together.
    Values(usize),
    /// `value_sha256`, so many at this level together.
    Hashes(usize),
    /// `pattern`.
    Pattern(&'p str),
    /// A block of `cidr`.
    Block(String),
    /// `value` with a wildcard.
    Wildcard(&'p [u8]),
    /// None of them: any value.
    Any,
}

/// A part of what makes a counter its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counter {
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
            found: self.walk(entries, &mut Parts::default()),
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
            let mut parts = Parts::default();
            let chosen = choice.choose(&entry.value, &mut parts);
            let node = chosen.map(|(node, _)| &self.nodes[node as usize]);
            let candidates = choice.candidates(&entry.value);
            trace.levels.push(TracedLevel::Known {
                taken: node.and_then(|_| taken(choice, &candidates, &entry.value)),
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

/// Which candidate a choice takes: the first that fits, but among patterns the most specific one.
fn taken(choice: &Choice, candidates: &[Candidate<'_>], value: &[u8]) -> Option<usize> {
    let first = candidates.iter().position(|candidate| candidate.fits)?;
    let best = choice.by_shape.as_ref().and_then(|by| by.pattern(value));
    let is_best = |candidate: &Candidate<'_>| {
        best.is_some_and(|best| candidate.written == Written::Pattern(best))
    };
    match candidates[first].written {
        Written::Pattern(_) => candidates.iter().position(is_best),
        _ => Some(first),
    }
}

impl Choice {
    fn candidates(&self, value: &[u8]) -> Vec<Candidate<'_>> {
        let mut candidates = Vec::new();
        let mut add = |written, fits| candidates.push(Candidate { written, fits });
        if self.exact.len() > 0 {
            add(
                Written::Values(self.exact.len()),
                self.exact.get(value).is_some(),
            );
        }
        if let Some(by) = &self.by_shape {
            if !by.hashes.is_empty() {
                let fits = by.hashes.contains_key(&Hash::of(value));
                add(Written::Hashes(by.hashes.len()), fits);
            }
            for pattern in &by.patterns {
                add(
                    Written::Pattern(&pattern.text),
                    fits_pattern(&pattern.text, value),
                );
            }
            for (block, fits) in by.blocks.tried(value) {
                add(Written::Block(block.to_string()), fits);
            }
            for (glob, _) in by.globs.iter() {
                add(Written::Wildcard(glob.text()), glob.matches(value));
            }
        }
        if self.any.is_some() {
            add(Written::Any, true);
        }
        candidates
    }
}

impl ByShape {
    /// The text of the pattern that a value meets.
    fn pattern(&self, value: &[u8]) -> Option<&str> {
        let found = self.trie.find(value)?;
        Some(&self.patterns[found.target as usize].text)
    }
}

/// Whether a value would fit if there were no other pattern.
fn fits_pattern(text: &str, value: &[u8]) -> bool {
    let mut alone = PatternTrie::default();
    let Ok(pattern) = Pattern::parse(text) else {
        return false;
    };
    alone.insert(&pattern, 0).is_ok() && alone.find(value).is_some()
}

/// Gathers what a counter depends on.
#[derive(Default)]
struct Parts(Vec<Counter>);

impl Identity for Parts {
    fn add(&mut self, part: Part<'_>) {
        match part {
            Part::Key(_) => {}
            Part::Value(_) => self.0.push(Counter::Value),
            Part::Pattern(_) => self.0.push(Counter::Pattern),
            Part::Capture(piece) => self.0.push(Counter::Capture(piece.to_vec())),
            Part::Shared(_) => self.0.push(Counter::Shared),
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

    /// The verdicts of the last level, one letter each: taken, passed over, no; and the counter.
    fn last(value: &str) -> (String, Vec<Counter>) {
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
            taken,
            counter,
            ..
        }) = trace.levels.last()
        else {
            panic!("{trace:?}");
        };
        let letters = candidates
            .iter()
            .enumerate()
            .map(|(at, candidate)| match candidate.fits {
                true if *taken == Some(at) => 't',
                true => 'p',
                false => 'n',
            });
        (letters.collect(), counter.clone())
    }

    #[test]
    fn what_is_taken_is_what_the_walk_takes() {
        let of_a = vec![Counter::Pattern, Counter::Capture(b"c".to_vec())];
        for (value, verdicts, counter) in [
            ("v", "tnnnnnnnp", vec![Counter::Value]),
            ("x", "tnnnnnnnp", vec![Counter::Value]),
            ("GET /a/c", "nnptnnnnp", of_a),
            ("PUT /a/c", "nntnnnnnp", vec![Counter::Pattern]),
            ("abc", "nnnnnntpp", vec![Counter::Shared]),
            ("foo", "ntnnnnnnp", vec![Counter::Value]),
            ("::ffff:10.1.2.3", "nnnntpnnp", vec![Counter::Shared]),
            ("10.2.0.0", "nnnnntnnp", vec![Counter::Shared]),
            ("other", "nnnnnnnnt", vec![Counter::Value]),
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
