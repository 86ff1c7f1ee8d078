//! Replay: runs recorded traffic through policies, on the real engine, at the recorded times.
//!
//! log → decompressed → lines (bytes) → unwrapped → record (a request and its time) → engine → tally → report. Memory is bounded for any log: the length
//! of a line, the counters, and the refused clients. Values of secret keys are not kept.
//!
//! ```
//! use std::path::Path;
//! use weir::replay::{LineDecoder, RecordFormat, Replay, TimeField};
//! use weir::store::MemoryConfig;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let yaml = "
//! domain: shop
//! descriptors:
//!   - {key: api_key, rate_limit: {unit: day, requests_per_unit: 1}}";
//! let policy = weir::policy::load_text(Path::new("shop.yaml"), yaml).policy.ok_or("see diagnostics")?;
//! let mut replay = Replay::new(policy, None, MemoryConfig::default())?;
//! let line = br#"{"time": 0, "domain": "shop", "descriptors": [{"api_key": "k"}]}"#;
//! let mut decoder = LineDecoder::new(RecordFormat::Requests { domain: None, time: TimeField::Usual });
//! let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! for number in 1..=3 {
//!     if let Some(record) = decoder.decode(line)? {
//!         runtime.block_on(replay.push(&record, number));
//!     }
//! }
//! assert_eq!(replay.report().policy.refused, 2);
//! # Ok(())
//! # }
//! ```

mod ahead;
mod changes;
mod compression;
mod containers;
mod costs;
mod envoy_text;
mod fields;
mod line_error;
mod lines;
mod log_fields;
mod mapping;
mod names;
mod ports;
mod record;
mod requests;
mod tally;
mod template;
mod time;
mod top_refused;
mod unmatched;

use std::sync::Arc;

pub use ahead::{LineBatch, LineResult, read_ahead};
pub use changes::Change;
pub use compression::{CompressedLogError, LogReader, decompressed};
pub use line_error::LineError;
pub use log_fields::{LogField, LogFields};
pub use mapping::Mapping;
pub use names::RuleLabel;
pub use record::{LineDecoder, Record, RecordFormat};
pub use tally::{Peak, RuleTally};
pub use template::{DescriptorTemplate, DescriptorTemplateError};
pub use time::TimeField;
pub use top_refused::RefusedClient;
pub use unmatched::UnmatchedDescriptor;

use crate::clock::{Clock, ManualClock, Timestamp};
use crate::engine::{Code, Engine};
use crate::policy::Policy;
use crate::request::Request;
use crate::store::{MemoryConfig, RngError, Stats, Store};
use changes::Changes;
use names::ValueTags;
use tally::{DescriptorTally, Tally};

/// Runs requests through one policy, or through two side by side.
#[derive(Debug)]
pub struct Replay {
    clock: ManualClock,
    policy: Side,
    against: Option<Side>,
    changes: Changes,
    /// The times of the first and the last record.
    span: Option<(Timestamp, Timestamp)>,
}

/// A policy, its engine and its counts.
#[derive(Debug)]
struct Side {
    policy: Arc<Policy>,
    engine: Engine,
    tally: Tally,
    /// The results of the descriptors of the current request.
    seen: Vec<DescriptorTally>,
}

/// The results of a replay.
#[derive(Clone, Debug)]
pub struct ReplayReport {
    /// The results of the policy.
    pub policy: PolicyOutcome,
    /// The results of the other policy, if there is one.
    pub against: Option<PolicyOutcome>,
    /// The differences by matched rules, the largest first.
    pub changes: Vec<Change>,
    /// The times of the first and the last request.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// The results of one policy.
#[derive(Clone, Debug)]
pub struct PolicyOutcome {
    /// The number of requests.
    pub requests: u64,
    /// Refused requests.
    pub refused: u64,
    /// Requests that no rule matched.
    pub unmatched: u64,
    /// Descriptors that no rule matched, by their keys, the most frequent first.
    pub unmatched_descriptors: Vec<UnmatchedDescriptor>,
    /// Each rule that was matched, those that refused most first.
    pub rules: Vec<RuleTally>,
    /// The state of the store at the end.
    pub store: Stats,
}

impl Replay {
    /// A replay through `policy` and, if there is one, `against`; each has its own counters in `memory`.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn new(
        policy: Policy,
        against: Option<Policy>,
        memory: MemoryConfig,
    ) -> Result<Self, RngError> {
        let clock = ManualClock::new(Timestamp::default());
        let tags = ValueTags::default();
        let side = |policy| Side::new(policy, memory, &clock, &tags);
        Ok(Self {
            policy: side(policy)?,
            against: against.map(side).transpose()?,
            changes: Changes::default(),
            span: None,
            clock,
        })
    }

    /// Runs one request; `line` is its line in the log.
    ///
    /// Time never goes back: a request that was logged late counts at the latest time so far.
    pub async fn push(&mut self, record: &Record, line: u64) {
        let now = self.clock.now().max(record.at);
        self.clock.set(now);
        let first = self.span.map_or(now, |(first, _)| first);
        self.span = Some((first, now));
        self.policy.push(&record.request, line).await;
        if let Some(against) = &mut self.against {
            against.push(&record.request, line).await;
            self.changes.add(&self.policy.seen, &against.seen);
        }
    }

    /// The results of a replay.
    pub fn report(&self) -> ReplayReport {
        ReplayReport {
            policy: self.policy.outcome(),
            against: self.against.as_ref().map(Side::outcome),
            changes: match &self.against {
                Some(against) => self.changes.report(&self.policy.tally, &against.tally),
                None => Vec::new(),
            },
            span: self.span,
        }
    }
}

impl Side {
    fn new(
        policy: Policy,
        memory: MemoryConfig,
        clock: &ManualClock,
        tags: &ValueTags,
    ) -> Result<Self, RngError> {
        let policy = Arc::new(policy);
        let (store, clock) = (Store::memory(memory)?, Clock::Manual(clock.clone()));
        Ok(Self {
            engine: Engine::new(Arc::clone(&policy), store, clock),
            policy,
            tally: Tally::new(tags.clone()),
            seen: Vec::new(),
        })
    }

    async fn push(&mut self, request: &Request, line: u64) {
        let domain = self.policy.domain(&request.domain);
        let (tally, seen) = (&mut self.tally, &mut self.seen);
        seen.clear();
        let deciding = self.engine.decide_observed(request, |result| {
            seen.push(tally.add(request, domain, result, line));
        });
        let refused = deciding.await.code == Code::OverLimit;
        tally.end(refused, seen);
    }

    fn outcome(&self) -> PolicyOutcome {
        self.tally.outcome(self.engine.stats())
    }
}
