//! Why a replay has no result.

use std::fmt;

use super::LogSummary;
use crate::replay::{PolicyOutcome, ReplayReport};

/// The most names in a message.
const MAX_NAMES: usize = 20;

/// A replay that cannot be made, or that says nothing about the policies.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplayError {
    #[error("no policy has the domain {domain:?} of --domain; the policies define {defined}")]
    UnknownDomain { domain: String, defined: NameList },
    #[error("{malformed} of {lines} lines are malformed, more than 1 %")]
    Malformed { lines: u64, malformed: u64 },
    #[error("nothing was replayed: the log is empty")]
    Empty,
    #[error(
        "nothing was replayed: no line is a request; \
         for an access log, describe what Envoy sends: --domain NAME --descriptor 'KEY={{FIELD}}'"
    )]
    NoRequest,
    #[error(
        "nothing was replayed: no line could be used; lines are JSON objects or the default text format of Envoy or \
         Istio, and --time names the field with the time"
    )]
    NoLine,
    #[error(
        "nothing was replayed: no line has a value for {without_value}; the first line has the fields {present}"
    )]
    NoField {
        without_value: NameList,
        present: NameList,
    },
    #[error("nothing was replayed: no line has values for all fields of a descriptor")]
    NoDescriptor,
    #[error(
        "nothing was limited: no policy has the domain of any request; the policies define {defined}"
    )]
    NoDomain { defined: NameList },
    #[error(
        "nothing was limited: no request matches a rule; --unmatched lists the keys of the descriptors"
    )]
    NoRule,
}

/// Names in a message, such as `` `a`, `b` ``.
#[derive(Debug)]
pub(super) struct NameList(Vec<String>);

impl NameList {
    pub(super) fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for NameList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.0.iter().take(MAX_NAMES).enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}`{}`", name.escape_debug())?;
        }
        match self.0.len() {
            0 => f.write_str("none"),
            len if len > MAX_NAMES => write!(f, " and {} more", len - MAX_NAMES),
            _ => Ok(()),
        }
    }
}

/// Whether a replay says something about the policies. `defined` are the names of their domains.
pub(super) fn verify(
    report: &ReplayReport,
    read: &LogSummary,
    is_access_log: bool,
    defined: NameList,
) -> Result<(), ReplayError> {
    let &LogSummary {
        lines, malformed, ..
    } = read;
    let policy = &report.policy;
    if policy.requests == 0 {
        let without_value = NameList::new(read.fields.without_value());
        return Err(match (lines, is_access_log) {
            (0, _) => ReplayError::Empty,
            (_, false) => ReplayError::NoRequest,
            _ if lines == malformed => ReplayError::NoLine,
            _ if without_value.is_empty() => ReplayError::NoDescriptor,
            _ => ReplayError::NoField {
                without_value,
                present: NameList::new(&read.fields.names),
            },
        });
    }
    if malformed * 100 > lines {
        return Err(ReplayError::Malformed { lines, malformed });
    }
    let mut outcomes = report.against.iter().chain([policy]);
    if outcomes
        .clone()
        .any(|outcome| outcome.unmatched < outcome.requests)
    {
        return Ok(());
    }
    let is_known = |outcome: &PolicyOutcome| {
        outcome
            .unmatched_descriptors
            .iter()
            .any(|one| one.has_domain)
    };
    match outcomes.any(is_known) {
        true => Err(ReplayError::NoRule),
        false => Err(ReplayError::NoDomain { defined }),
    }
}
