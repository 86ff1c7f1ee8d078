//! The JSON of the admin API: types that the server serializes and its clients deserialize.
//!
//! One module for both sides, so that neither builds or takes apart JSON by hand. The handlers are
//! in `server::admin`; `weir keys` and `weir top` are clients, and so is the page, whose script
//! uses the same names.

mod assignments;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use assignments::{
    AssignedClient, AssignmentAnswer, AssignmentList, AssignmentSet, AssignmentStorage,
    ListedAssignment,
};

use crate::clock::Timestamp;
use crate::engine::Explanation;
use crate::limit::Algorithm;
use crate::telemetry::{
    DomainDecisions, HistoryStep, PolicyLoad, RuleHits, TopClients, UnknownDomain,
    UnmatchedDescriptors,
};

/// `GET /api/overview`: everything that the page shows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Overview {
    /// The version of weir.
    pub version: String,
    /// What can change with every step.
    #[serde(flatten)]
    pub status: ServerStatus,
    /// Rules of the policy in force. The domains list at most 1,000 of them.
    pub rules: usize,
    /// Length of a step of the history.
    pub step_secs: f64,
    /// Number of steps in a full history.
    pub max_steps: usize,
    /// The last load of the policies, whether it succeeded or not.
    pub last_load: PolicyLoad,
    /// Whether the server has an admin token.
    pub has_token: bool,
    /// The domains of the policy in force, by name.
    pub domains: Vec<DomainOverview>,
}

/// An event of `GET /api/events`: one step of the history.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StepEvent {
    /// The status at the end of the step.
    #[serde(flatten)]
    pub status: ServerStatus,
    /// The step of each domain, in the order of [`Overview::domains`].
    pub domains: Vec<HistoryStep>,
    /// The step of each rule that was matched, by [`RuleOverview::id`].
    pub rules: BTreeMap<u32, HistoryStep>,
}

/// The status of the server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ServerStatus {
    /// The time of the server.
    #[serde(rename = "now_micros")]
    pub now: Timestamp,
    /// Whether it accepts calls.
    pub stage: ServingStage,
    /// The number of the policy in force; the first is 1.
    pub generation: u64,
    /// Slots in use of each rule with a concurrency limit, by [`RuleOverview::id`].
    pub slots_in_use: BTreeMap<String, u64>,
    /// A checksum of the policy files in force; `None` if the policy comes from no files.
    pub policy_hash: Option<String>,
    /// Where the policy comes from.
    pub policy_origin: PolicyOrigin,
    /// The time of the last load, whether it succeeded or not.
    #[serde(rename = "loaded_at_micros")]
    pub loaded_at: Option<Timestamp>,
    /// The counters.
    pub store: StoreStatus,
    /// The domains of recent requests that no policy defines, the most frequent first; at most 50.
    pub unknown_domains: Vec<UnknownDomain>,
    /// The keys of recent descriptors that match no rule, the most frequent first; at most 50.
    pub unmatched: Vec<UnmatchedDescriptors>,
}

/// Where policies come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum PolicyOrigin {
    /// Files.
    #[default]
    Files,
    /// A configuration server.
    Xds {
        /// Its address, as `HOST:PORT`.
        server: String,
        /// Why the connection to it failed; `None` while it is connected.
        problem: Option<String>,
    },
}

/// The status of the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StoreStatus {
    /// Counters in memory.
    pub counters: u64,
    /// Their estimated memory, in bytes.
    pub bytes: u64,
    /// Counters over their limit, which are not evicted.
    pub pinned: u64,
    /// Counters that were evicted since the start because memory was full.
    pub evicted: u64,
    /// Counters over their limit that were evicted.
    pub evicted_over_limit: u64,
    /// `None` if counters are in memory.
    pub redis: Option<RedisStatus>,
    /// The folder that they survive a restart in; `None` without `--state`.
    pub disk: Option<DiskStatus>,
}

/// The status of the connections to Redis.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RedisStatus {
    /// Why Redis is unavailable; `None` if it is available.
    pub unavailable_reason: Option<String>,
}

/// The status of the counters in the folder of `--state`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DiskStatus {
    /// Why counters are not written; `None` if they are.
    pub problem: Option<String>,
    /// Bytes of the counters on disk.
    pub bytes: u64,
    /// Counters that were restored at the start.
    pub restored: u64,
}

/// Whether a server accepts calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ServingStage {
    /// Not yet.
    #[default]
    Starting,
    /// It does.
    Serving,
    /// It still answers, but asks clients to go elsewhere.
    Draining,
}

/// A domain.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DomainOverview {
    /// Its name.
    pub name: String,
    /// Nothing is refused in the domain.
    pub shadow_mode: bool,
    /// Its rules are quotas.
    pub quota_mode: bool,
    /// Decisions since the start.
    pub decisions: DomainDecisions,
    /// The recent decisions, the oldest first.
    pub steps: Vec<HistoryStep>,
    /// Its rules.
    pub rules: Vec<RuleOverview>,
}

/// A rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RuleOverview {
    /// The number that [`StepEvent::rules`] refers to.
    pub id: u32,
    /// Its path in the policy.
    pub name: String,
    /// The levels of that path.
    pub levels: Vec<LevelOverview>,
    /// Its limits; none if it is unlimited or exempt.
    pub limits: Vec<LimitOverview>,
    /// Over-limit requests are allowed.
    pub shadow_mode: bool,
    /// The rule is a quota.
    pub quota_mode: bool,
    /// Requests over its limits are let through, as the response says.
    #[serde(default)]
    pub is_soft: bool,
    /// Requests that match it are exempt from all limits.
    #[serde(default)]
    pub is_exempt: bool,
    /// The policy file.
    pub file: Option<PathBuf>,
    /// The line there.
    pub line: Option<u32>,
    /// Hits since the start.
    pub hits: RuleHits,
    /// The recent hits, the oldest first; empty if there were none or there are too many rules.
    pub steps: Vec<HistoryStep>,
}

/// A level of the path of a rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LevelOverview {
    /// The key.
    pub key: String,
    /// What its value has to match; `None` for any value.
    pub matcher: Option<String>,
}

/// A limit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LimitOverview {
    /// Its name in the policy.
    pub name: Option<String>,
    /// The limit as text, such as `60 per minute, burst 90`.
    pub text: String,
    /// How it counts.
    pub algorithm: Algorithm,
    /// The size of a token bucket, in hits; `None` for other algorithms.
    pub burst: Option<u32>,
    /// It never refuses.
    pub shadow_mode: bool,
}

/// `GET /api/top`: heavy hitters.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Top {
    /// The time of the server.
    #[serde(rename = "now_micros")]
    pub now: Timestamp,
    /// One per domain, by name.
    pub domains: Vec<DomainTop>,
}

/// The heavy hitters of a domain.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DomainTop {
    /// The name of the domain.
    pub name: String,
    /// Its clients.
    #[serde(flatten)]
    pub clients: TopClients,
}

/// `POST /api/keys/…`: the counters of a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Keys {
    /// What was done, such as `2 counters deleted`; `None` if they were only shown.
    pub outcome: Option<String>,
    /// The state of the counters afterwards.
    #[serde(flatten)]
    pub explanation: Explanation,
}

/// `POST /api/reload`: the result, with status 200 or 409.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reload {
    /// Whether the files are in force.
    pub outcome: ReloadResult,
    /// The last load.
    #[serde(flatten)]
    pub load: PolicyLoad,
}

/// Whether a reload succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReloadResult {
    /// The files are in force.
    Success,
    /// The policy of before stays in force.
    Failure,
}

impl ReloadResult {
    /// Its name in JSON, metrics and the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

impl ServingStage {
    /// Its name in JSON and on the page.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Draining => "draining",
        }
    }
}
