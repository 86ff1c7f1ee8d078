//! Labels of rules and clients in a report.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use smallvec::SmallVec;

use crate::limit::Limit;
use crate::policy::{Domain, Limits, Redactor, Rule};
use crate::request::{Descriptor, Entry};

/// A rule as a report shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleLabel {
    /// The domain's name.
    pub domain: String,
    /// The keys of its descriptors, in their order.
    pub keys: String,
    /// Its limits, such as `600 per minute`.
    pub limits: String,
    /// File and line.
    pub position: String,
}

impl RuleLabel {
    pub(super) fn new(rule: &Rule, domain: &Domain, descriptor: &Descriptor) -> Self {
        let keys = descriptor.entries.iter();
        let keys: Vec<_> = keys
            .map(|entry| String::from_utf8_lossy(&entry.key))
            .collect();
        let limits = match &rule.limits {
            Limits::Unlimited { .. } => "unlimited".to_owned(),
            Limits::Counted(set) => {
                let limits: Vec<_> = set.limits.iter().map(Limit::to_string).collect();
                limits.join(", ")
            }
        };
        let file = rule.file.as_ref().and_then(|file| file.file_name());
        let file = file.unwrap_or_default().to_string_lossy();
        Self {
            domain: domain.name.as_ref().to_owned(),
            keys: keys.join(" "),
            limits,
            position: match rule.position {
                Some(position) => format!("{file}:{}", position.line),
                None => file.into_owned(),
            },
        }
    }
}

impl fmt::Display for RuleLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            domain,
            keys,
            limits,
            position,
        } = self;
        write!(f, "{domain}: {keys} {limits} ({position})")
    }
}

/// Tags hidden values. Its key differs in each run, so that a tag proves nothing about a guess.
#[derive(Clone, Debug, Default)]
pub(super) struct ValueTags(RandomState);

impl ValueTags {
    /// Identifies a descriptor.
    pub(super) fn hash(&self, entries: &[Entry]) -> u64 {
        let parts = entries.iter().map(|entry| (&entry.key, &entry.value));
        self.0.hash_one(parts.collect::<SmallVec<[_; 4]>>())
    }

    /// The descriptor, without hidden values.
    pub(super) fn describe(&self, entries: &[Entry], domain: &Domain) -> String {
        let tag = |entry: &Entry| (self.0.hash_one(&entry.value) >> 48) as u16;
        Redactor::new(Some(domain)).describe(entries, tag)
    }
}
