//! What a request would meet and why, without counting it.
//!
//! The same plan and the same conclusion as a decision, between them a step that nobody keeps. All
//! that is told is owned, and values of secret keys are left out of it: it may be shown to anybody
//! who may see the policy.

mod json;
mod scene;

use std::path::PathBuf;

use super::Decision;
use crate::clock::Timestamp;
use crate::limit::Limit;
use crate::policy::Position;
use crate::request::Cost;

/// What a request would meet.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The moment for which it is told.
    pub at: Timestamp,
    /// The domain that was asked.
    pub domain: String,
    /// Whether it is told by what a server has counted, rather than with fresh counters.
    pub is_live: bool,
    /// Whether the policy has that domain.
    pub is_known: bool,
    /// One per descriptor of the request.
    pub descriptors: Vec<Explained>,
    /// What would be answered.
    pub decision: Decision,
}

/// What one descriptor would meet.
#[derive(Clone, Debug)]
pub struct Explained {
    /// Its entries; a value is none if its key is secret.
    pub entries: Vec<(String, Option<String>)>,
    /// What it costs.
    pub cost: Cost,
    /// One per entry, up to the one where the walk of the tree ended.
    pub levels: Vec<ExplainedLevel>,
    /// What was found there.
    pub end: End,
    /// The rule that was found.
    pub rule: Option<RulePlace>,
    /// Each limit that it counts against.
    pub limits: Vec<ExplainedLimit>,
}

/// What one entry met in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExplainedLevel {
    /// The tree has no level for it.
    TooDeep,
    /// No descriptor of the level has its key, but these.
    UnknownKey(Vec<String>),
    /// Descriptors with its key.
    Known {
        /// In the order in which they are tried.
        candidates: Vec<ExplainedCandidate>,
        /// What the counter is known by at this level.
        counter: Vec<String>,
        /// The one that was taken has a rule, for requests that end here.
        has_rule: bool,
    },
}

/// A descriptor of the policy that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedCandidate {
    /// `value`, `sha256`, `pattern`, `cidr`, `wildcard` or `any value`.
    pub kind: &'static str,
    /// Its text in the policy; of values only how many there are.
    pub text: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fits, and was taken.
    Taken,
    /// It fits, but another one goes first.
    PassedOver,
    /// It does not fit.
    DoesNotFit,
}

/// What a descriptor meets in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The policy does not have the domain.
    UnknownDomain,
    /// The walk ended before the last entry, or there was none.
    NotFound,
    /// The descriptor of the last entry has no `rate_limit`.
    NoRule,
    /// A rule that another descriptor's rule replaces.
    Replaced,
    /// A rule that is `unlimited`.
    Unlimited,
    /// The limits of a rule.
    Rule,
    /// The limit that came with the request.
    Override,
}

/// A rule and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulePlace {
    /// Its path in the tree.
    pub path: String,
    /// Its file.
    pub file: Option<PathBuf>,
    /// The place of its `rate_limit` there.
    pub position: Option<Position>,
    /// Counted and reported, never refused.
    pub shadow_mode: bool,
    /// Refuses only when every quota of the request is over.
    pub quota_mode: bool,
}

/// A limit and how it would stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedLimit {
    /// The limit.
    pub limit: Limit,
    /// How it would stand; none if it is replaced, and so not counted.
    pub standing: Option<LimitStanding>,
}

/// How a limit would stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitStanding {
    /// Hits that would pass before the request.
    pub before: u32,
    /// Whether the request is over it.
    pub over: bool,
    /// Hits that would pass after it.
    pub after: u32,
    /// Seconds, rounded up, until there is room again.
    pub reset_after_secs: u64,
}
