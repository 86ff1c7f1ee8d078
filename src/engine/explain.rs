//! Explanations: what a request would meet and why, without counting it.
//!
//! An explanation matches and concludes as a decision does, with an update of the counters
//! in between that is thrown away. It is owned and serializable (its JSON is the derive), and it
//! contains no hidden values (see [`crate::policy::Redactor`]): everybody who may see the policy
//! may see it. `build` makes it, `text` prints it.

mod build;
mod text;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Code, Header};
use crate::clock::Timestamp;
use crate::limit::{Algorithm, CalendarStart, Limit, LimitKind, Quota};
use crate::policy::TracedLevel;
use crate::request::Cost;

/// What a request would meet.
///
/// Its [`Display`](std::fmt::Display) is for people, its JSON for programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Explanation {
    /// The time it is for.
    #[serde(rename = "at_micros")]
    pub at: Timestamp,
    /// The domain of the request.
    pub domain: String,
    /// Whether the policy has that domain.
    pub domain_is_known: bool,
    /// The counters it is based on.
    pub counters: CounterSource,
    /// One per descriptor of the request.
    pub descriptors: Vec<ExplainedDescriptor>,
    /// The code of the response.
    pub code: Code,
    /// The headers of the response, in the order of the policy.
    pub headers: Vec<Header>,
    /// The headers for the upstream: the request is over a soft limit.
    #[serde(default)]
    pub request_headers: Vec<Header>,
    /// The body of the response.
    pub body: Option<String>,
    /// Whether the request would get a lease for its slots.
    pub lease_granted: bool,
}

/// The counters that an explanation is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CounterSource {
    /// Nothing has been counted.
    Fresh,
    /// The counters of the server.
    Live,
}

/// What one descriptor would meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExplainedDescriptor {
    /// Its entries, and what each met in the tree.
    pub entries: Vec<ExplainedEntry>,
    /// What it costs.
    pub cost: Cost,
    /// Where the walk of the tree ended.
    pub result: MatchResult,
    /// The rule that was found.
    pub rule: Option<ExplainedRule>,
    /// The row of a table that gives the client other limits than the rule's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment: Option<ExplainedAssignment>,
    /// The limits that it counts against.
    pub limits: Vec<ExplainedLimit>,
    /// Its status in the response.
    pub status: ExplainedStatus,
}

/// An entry of a descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExplainedEntry {
    /// Its key.
    pub key: String,
    /// Its value; `None` if it is hidden.
    pub value: Option<String>,
    /// What it met; `None` if the walk ended at an earlier entry.
    pub level: Option<TracedLevel>,
}

/// What a descriptor matches in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MatchResult {
    /// The policy does not have the domain.
    UnknownDomain,
    /// No node: one of the entries matches none, or there is no entry.
    NotFound,
    /// A node without `rate_limit`.
    NoRule,
    /// A rule that another descriptor's rule replaces.
    Replaced,
    /// A rule that is `unlimited`.
    Unlimited,
    /// A rule that exempts the request.
    Exempt,
    /// Anything, in a request that another descriptor exempts.
    Exempted,
    /// A rule with limits.
    Rule,
    /// The limit that came with the request.
    Override,
}

/// A rule and where it is in the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExplainedRule {
    /// Its path in the tree, such as `descriptors[2].descriptors[0]`.
    pub path: String,
    /// Its file.
    pub file: Option<PathBuf>,
    /// The line of its `rate_limit` or `plan`, from 1.
    pub line: Option<u32>,
    /// The column of its `rate_limit` or `plan`, from 1.
    pub column: Option<u32>,
    /// The name of the plan that its limits are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Counted and reported, never refused.
    pub shadow_mode: bool,
    /// Refuses only when every quota of the request is over limit.
    pub quota_mode: bool,
    /// Requests over the limit are let through, as the response says.
    #[serde(default)]
    pub is_soft: bool,
}

/// The row of a table that is in force for a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExplainedAssignment {
    /// The name of the plan; `None` for limits of its own.
    pub plan: Option<String>,
    /// When it ends, in RFC 3339; `None` if it does not.
    pub until: Option<String>,
    /// Why the client has it.
    pub note: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// Its file; `None` if it was added while weir served.
    pub file: Option<PathBuf>,
    /// Its line in the file, from 1.
    pub line: Option<u32>,
}

/// A limit and its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExplainedLimit {
    /// Its name in the policy.
    pub name: Option<String>,
    /// The limit as text, such as `60 per minute, burst 90`.
    pub text: String,
    /// How hits are counted.
    pub algorithm: Algorithm,
    /// The numbers in the policy that `text` is made from.
    #[serde(flatten)]
    pub numbers: LimitNumbers,
    /// Counted, never refused.
    pub shadow_mode: bool,
    /// Its state; `None` if the limit is replaced, and so not counted.
    pub state: Option<LimitState>,
}

/// The numbers of a limit, under their keys in a policy. Keys that do not belong to its algorithm
/// are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct LimitNumbers {
    /// Hits per window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_unit: Option<u32>,
    /// The unit of the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The length of the window in units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_multiplier: Option<u32>,
    /// True for windows of a calendar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calendar: Option<bool>,
    /// The time zone of the calendar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The day on which weeks begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub week_starts: Option<String>,
    /// The day of the month on which months begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor: Option<u8>,
    /// The size of the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// How long a breach blocks, in seconds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub block_seconds: Vec<u32>,
    /// Slots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
    /// Seconds until a lease that is not released expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<u32>,
}

/// The state of a limit around a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LimitState {
    /// Hits that would be admitted before the request, at most the number of the limit.
    pub remaining_before: u32,
    /// The same after it.
    pub remaining: u32,
    /// Hits that would be admitted before the request, those of a token bucket's burst included.
    pub available_before: u32,
    /// The same after it.
    pub available: u32,
    /// Whether the hits are more than the limit ever admits at once.
    pub over_capacity: bool,
    /// Whether the request exceeds the limit.
    pub over_limit: bool,
    /// Whether a breach of the limit has begun a block that is in force, or this request would.
    #[serde(default)]
    pub is_blocked: bool,
    /// Seconds, rounded up, until the limit has room again.
    pub reset_after_secs: u64,
}

/// The status of a descriptor in the response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExplainedStatus {
    /// The code of this descriptor alone.
    pub code: Code,
    /// The reported limit, such as `60 per minute`; `None` if no limit applies.
    pub limit: Option<String>,
    /// Hits that would be admitted after the request, at most the number of the limit.
    pub remaining: u32,
    /// The same, those of a token bucket's burst included.
    pub available: u32,
    /// Whether the hits are more than the limit ever admits at once, so that no wait helps.
    pub over_capacity: bool,
    /// Seconds, rounded up, until the limit has room again.
    pub reset_after_secs: Option<u64>,
}

impl MatchResult {
    /// Its name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownDomain => "unknown_domain",
            Self::NotFound => "not_found",
            Self::NoRule => "no_rule",
            Self::Replaced => "replaced",
            Self::Unlimited => "unlimited",
            Self::Exempt => "exempt",
            Self::Exempted => "exempted",
            Self::Rule => "rule",
            Self::Override => "override",
        }
    }
}

impl From<&Limit> for LimitNumbers {
    fn from(limit: &Limit) -> Self {
        let mut numbers = Self::default();
        match limit.quota() {
            Quota::Rate(rate) => {
                numbers.requests_per_unit = Some(rate.requests);
                numbers.unit = Some(rate.window.unit().name().to_owned());
                numbers.unit_multiplier = Some(rate.window.multiplier());
            }
            Quota::Concurrent(slots) => numbers.max_in_flight = Some(slots),
        }
        match &limit.kind {
            LimitKind::TokenBucket(bucket) => numbers.burst = Some(bucket.burst()),
            LimitKind::Concurrency { lease_secs, .. } => numbers.lease_seconds = Some(*lease_secs),
            LimitKind::Calendar(rate) => {
                numbers.calendar = Some(true);
                numbers.time_zone = Some(rate.calendar.zone().name().to_owned());
                match rate.calendar.start() {
                    CalendarStart::Week(first) => {
                        numbers.week_starts = Some(first.name().to_owned());
                    }
                    CalendarStart::Month(anchor) => numbers.anchor = Some(anchor),
                    CalendarStart::Day | CalendarStart::Year => {}
                }
            }
            LimitKind::FixedWindow(_) | LimitKind::SlidingWindow(_) => {}
        }
        if let Some(penalty) = &limit.penalty {
            numbers.block_seconds = penalty.block_secs().to_vec();
        }
        numbers
    }
}
