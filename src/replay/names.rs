//! Labels of rules and clients in a report.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use smallvec::SmallVec;

use crate::limit::Limit;
use crate::policy::{Domain, Limits, Redactor, Rule};
use crate::request::Entry;

/// A rule as a report shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleLabel {
    /// The domain's name.
    pub domain: String,
    /// The keys and matchers of its levels, such as `account, endpoint=GET /sites/{site}`.
    pub name: String,
    /// Its path in the file, such as `descriptors[2].descriptors[0]`.
    pub path: String,
    /// Its limits with their names, such as `600 per minute (site)`.
    pub limits: String,
    /// File and line.
    pub position: String,
}

impl RuleLabel {
    pub(super) fn new(rule: &Rule, domain: &Domain) -> Self {
        let limits = match &rule.limits {
            Limits::Unlimited { .. } => "unlimited".to_owned(),
            Limits::Exempt => "exempt".to_owned(),
            Limits::Counted(set) => {
                let limits: Vec<_> = set.limits.iter().map(limit).collect();
                limits.join(", ")
            }
        };
        let file = rule.file.as_ref().and_then(|file| file.file_name());
        let file = file.unwrap_or_default().to_string_lossy();
        Self {
            domain: domain.name.as_ref().to_owned(),
            name: rule.name.to_string(),
            path: rule.path(),
            limits,
            position: match rule.position {
                Some(position) => format!("{file}:{}", position.line),
                None => file.into_owned(),
            },
        }
    }
}

fn limit(limit: &Limit) -> String {
    match &limit.name {
        Some(name) => format!("{limit} ({name})"),
        None => limit.to_string(),
    }
}

impl fmt::Display for RuleLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            domain,
            name,
            limits,
            position,
            ..
        } = self;
        write!(f, "{domain}: {name}: {limits}, {position}")
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
