//! Descriptors that match no rule, by their keys, in bounded memory. Their values are not kept.

use std::cmp::Reverse;
use std::hash::{BuildHasher, RandomState};

use crate::policy::printable;
use crate::request::Descriptor;
use crate::top_k::TopK;

/// Lists of keys that are counted.
const CAPACITY: usize = 256;

/// Counts the descriptors that match no rule.
#[derive(Debug)]
pub(super) struct UnmatchedCounts {
    hash: RandomState,
    by_keys: TopK<UnmatchedKeys>,
}

#[derive(Clone, Debug)]
struct UnmatchedKeys {
    domain: String,
    keys: String,
    has_domain: bool,
    line: u64,
}

/// Descriptors with the same keys that match no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmatchedDescriptor {
    /// The domain of the requests.
    pub domain: String,
    /// Whether a policy has the domain.
    pub has_domain: bool,
    /// The keys, in the order of the request.
    pub keys: String,
    /// How many there were, never too few.
    pub descriptors: u64,
    /// By how much `descriptors` may be too high.
    pub overcount: u64,
    /// The line of the first of those that are counted for certain.
    pub line: u64,
}

impl Default for UnmatchedCounts {
    fn default() -> Self {
        Self {
            hash: RandomState::new(),
            by_keys: TopK::new(CAPACITY),
        }
    }
}

impl UnmatchedCounts {
    /// Counts a descriptor on that line.
    pub(super) fn add(
        &mut self,
        domain: &[u8],
        descriptor: &Descriptor,
        has_domain: bool,
        line: u64,
    ) {
        let keys = || descriptor.entries.iter().map(|entry| &entry.key);
        let begin = self.hash.hash_one(domain);
        let subject = keys().fold(begin, |subject, key| self.hash.hash_one((subject, key)));
        self.by_keys.add(subject, 1, || UnmatchedKeys {
            domain: printable(domain),
            keys: keys()
                .map(|key| printable(key))
                .collect::<Vec<_>>()
                .join(", "),
            has_domain,
            line,
        });
    }

    /// All of them, the most frequent first.
    pub(super) fn report(&self) -> Vec<UnmatchedDescriptor> {
        let entries = self.by_keys.entries().iter();
        let mut unmatched: Vec<UnmatchedDescriptor> = entries
            .map(|entry| UnmatchedDescriptor {
                domain: entry.value.domain.clone(),
                has_domain: entry.value.has_domain,
                keys: entry.value.keys.clone(),
                descriptors: entry.count,
                overcount: entry.overcount,
                line: entry.value.line,
            })
            .collect();
        unmatched.sort_by_key(|one| (Reverse(one.descriptors), one.line));
        unmatched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_counted_by_domain_and_keys() {
        let mut counts = UnmatchedCounts::default();
        let mut add = |domain: &str, keys: &[&'static str], line| {
            let entries = keys.iter().map(|key| (*key, "v"));
            counts.add(domain.as_bytes(), &Descriptor::new(entries), true, line);
        };
        add("a", &["x", "y"], 1);
        add("a", &["y", "x"], 2);
        add("b", &["x", "y"], 3);
        add("a", &["y", "x"], 4);
        let report = counts.report();
        let of = |one: &UnmatchedDescriptor| {
            (
                one.domain.clone(),
                one.keys.clone(),
                one.descriptors,
                one.line,
            )
        };
        let owned = |domain: &str, keys: &str, count, line| {
            (domain.to_owned(), keys.to_owned(), count, line)
        };
        assert_eq!(
            report.iter().map(of).collect::<Vec<_>>(),
            [
                owned("a", "y, x", 2, 2),
                owned("a", "x, y", 1, 1),
                owned("b", "x, y", 1, 3)
            ]
        );
    }
}
