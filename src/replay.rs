//! Replay: recorded traffic through a policy, on the real engine, in the time of the record.
//!
//! lines (bytes) → record (a request and its moment) → engine → tally → report. Memory is bounded whatever the record
//! holds: a line's length, the counters, and what is remembered of who is refused. No value of a secret key is kept.

mod ahead;
mod changes;
mod fields;
mod lines;
mod names;
mod record;
mod tally;
mod template;
mod time;
mod top_refused;

use std::sync::Arc;

pub use ahead::{Batch, Said, read_ahead};
pub use changes::Change;
pub use names::RuleId;
pub use record::{Fault, Mapping, Record, Shape};
pub use tally::{Peak, RuleTally};
pub use template::{DescriptorTemplate, InvalidTemplate};
pub use top_refused::RefusedClient;

use crate::clock::{Clock, ManualClock, Timestamp};
use crate::engine::{Code, Engine};
use crate::policy::Policy;
use crate::request::Request;
use crate::store::{MemoryConfig, RngError, Stats, Store};
use changes::Changes;
use names::Masks;
use tally::{Seen, Tally};

/// One policy, or two side by side, and what became of the traffic so far.
#[derive(Debug)]
pub struct Replay {
    clock: ManualClock,
    policy: Side,
    against: Option<Side>,
    changes: Changes,
    /// Of the first and the last record.
    span: Option<(Timestamp, Timestamp)>,
}

/// A policy, its engine and its counts.
#[derive(Debug)]
struct Side {
    policy: Arc<Policy>,
    engine: Engine,
    tally: Tally,
    /// What each descriptor of the request at hand has met.
    seen: Vec<Seen>,
}

/// What became of the traffic.
#[derive(Clone, Debug)]
pub struct Report {
    /// Under the policy.
    pub policy: Outcome,
    /// Under the other one, if there is one.
    pub against: Option<Outcome>,
    /// How the two differ, by what a descriptor met in each, the largest difference first.
    pub changes: Vec<Change>,
    /// The moments of the first and the last request.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// What became of it under one policy.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How many there were.
    pub requests: u64,
    /// How many of them were refused.
    pub refused: u64,
    /// How many of them no rule had anything to say to.
    pub unmatched: u64,
    /// Each rule that was met, the one that refused most first.
    pub rules: Vec<RuleTally>,
    /// How the counters stand in the end.
    pub store: Stats,
}

impl Replay {
    /// Through `policy`, and through `against` if there is one, each with counters of its own within that memory.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(
        policy: Policy,
        against: Option<Policy>,
        memory: MemoryConfig,
    ) -> Result<Self, RngError> {
        let clock = ManualClock::new(Timestamp::default());
        let masks = Masks::default();
        let side = |policy| Side::new(policy, memory, (&clock, &masks));
        Ok(Self {
            policy: side(policy)?,
            against: against.map(side).transpose()?,
            changes: Changes::default(),
            span: None,
            clock,
        })
    }

    /// Takes one request; `line` is where it stands in the record.
    ///
    /// Time never goes back: a request that is recorded late counts at the latest moment so far.
    pub async fn take(&mut self, record: &Record, line: u64) {
        let now = self.clock.now().max(record.at);
        self.clock.set(now);
        let first = self.span.map_or(now, |(first, _)| first);
        self.span = Some((first, now));
        self.policy.take(&record.request, line).await;
        if let Some(against) = &mut self.against {
            against.take(&record.request, line).await;
            self.changes.add(&self.policy.seen, &against.seen);
        }
    }

    /// What became of the traffic.
    pub fn report(&self) -> Report {
        Report {
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
        (clock, masks): (&ManualClock, &Masks),
    ) -> Result<Self, RngError> {
        let policy = Arc::new(policy);
        let (store, clock) = (Store::memory(memory)?, Clock::Manual(clock.clone()));
        Ok(Self {
            engine: Engine::new(Arc::clone(&policy), store, clock),
            policy,
            tally: Tally::new(masks.clone()),
            seen: Vec::new(),
        })
    }

    async fn take(&mut self, request: &Request, line: u64) {
        let domain = self.policy.domain(&request.domain);
        let (tally, seen) = (&mut self.tally, &mut self.seen);
        seen.clear();
        let deciding = self.engine.decide_observed(request, |met| {
            seen.push(tally.add((request, domain), met, line));
        });
        let refused = deciding.await.code == Code::OverLimit;
        tally.end(refused, seen);
    }

    fn outcome(&self) -> Outcome {
        self.tally.outcome(self.engine.stats())
    }
}
