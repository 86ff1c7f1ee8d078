//! Metrics: what is counted, by whom, and how it is read.
//!
//! Each thread that decides has a [`Recorder`] with numbers of its own, which nobody else writes: counting a decision
//! is a few additions. Rules know their numbers ([`crate::policy::MetricIds`]) before they are served, so nothing is looked
//! up by name. Who reads adds up the numbers of all threads.

mod envoy_ratelimit;
mod expose;
mod families;
mod histogram;
mod recorder;
mod registry;
mod text;
mod thread_metrics;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

pub use families::{FAMILIES, MetricFamily, MetricKind};
pub use recorder::{CallRecorder, Recorder};

use super::heavy_hitters::{HeavyHitters, TopClients};
use super::refused_log::RefusedLog;
use crate::clock::Timestamp;
use crate::engine::DescriptorResult;
use crate::policy::{Domain, Limits, Policy, Rule};
use histogram::Histogram;
use registry::Registry;
use thread_metrics::{RuleCounters, ThreadMetrics};

/// A hit is near a limit when more than so many tenths of it are used up.
const NEAR_TENTHS: u64 = 8;

/// The number of what no domain of the policy was asked for.
const UNKNOWN_DOMAIN: u32 = 0;

/// gRPC's status code UNKNOWN.
const UNKNOWN: usize = 2;

/// All that is counted.
#[derive(Debug, Default)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    shards: Mutex<Vec<Arc<ThreadMetrics>>>,
    reloads: ReloadStats,
    hitters: HeavyHitters,
    refusals: Arc<RefusedLog>,
}

/// How loading the policies went.
#[derive(Debug, Default)]
struct ReloadStats {
    generation: AtomicU64,
    replaced: AtomicU64,
    kept: AtomicU64,
    replaced_at_secs: AtomicU64,
    last: Mutex<Option<PolicyLoad>>,
}

/// What came of loading the policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyLoad {
    /// The number of the policy in force since then; the first is 1.
    pub generation: u64,
    /// When it was.
    pub at: Timestamp,
    /// Why what was loaded is not served, if so.
    pub refused: Option<String>,
    /// What was found in the files, as the log has it.
    pub diagnostics: Vec<String>,
}

/// What a descriptor met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MatchKind {
    Rule,
    Unlimited,
    Override,
    Nothing,
    UnknownDomain,
}

/// Hits at a rule, over all threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleHits {
    /// Within all its limits.
    pub within: u64,
    /// Of those the ones that came near one.
    pub near: u64,
    /// Over one of its limits.
    pub over: u64,
    /// Of those the ones that shadow mode let pass.
    pub shadow: u64,
}

/// Decisions of a domain, over all threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DomainDecisions {
    /// The client may go on.
    pub ok: u64,
    /// It may not.
    pub over_limit: u64,
    /// Of those that are OK the ones that the domain's shadow mode made so.
    pub shadow: u64,
}

impl Metrics {
    /// Metrics of a server whose first policy is this.
    pub fn new(policy: &Policy) -> Self {
        let metrics = Self::default();
        metrics.adopt(policy);
        metrics.reloads.generation.store(1, Ordering::Relaxed);
        metrics
    }

    /// Makes ready to count what meets the rules of a policy that is not in force yet.
    pub fn adopt(&self, policy: &Policy) {
        self.registry.lock().adopt(policy);
    }

    /// Says refusals in the log, at most so many a second.
    pub fn log_refused_per_second(&self, per_second: u64) {
        self.refusals
            .per_second
            .store(per_second, Ordering::Relaxed);
    }

    /// Counts for a thread that decides and has connections.
    pub fn worker_recorder(&self) -> Recorder {
        self.recorder(true)
    }

    /// Counts for a thread that decides now and then.
    pub fn admin_recorder(&self) -> Recorder {
        self.recorder(false)
    }

    fn recorder(&self, is_worker: bool) -> Recorder {
        let shard = Arc::new(ThreadMetrics {
            is_worker,
            ..ThreadMetrics::default()
        });
        self.shards.lock().push(Arc::clone(&shard));
        let heard = (self.hitters.notes(), Arc::clone(&self.refusals));
        Recorder::new(shard, Arc::clone(&self.registry), heard)
    }

    /// The policies were loaded, the first time or anew.
    pub fn loaded(&self, load: PolicyLoad) {
        let reloads = &self.reloads;
        reloads.generation.store(load.generation, Ordering::Relaxed);
        match load.refused {
            Some(_) => reloads.kept.fetch_add(1, Ordering::Relaxed),
            None => {
                let at_secs = load.at.micros() / 1_000_000;
                reloads.replaced_at_secs.store(at_secs, Ordering::Relaxed);
                reloads.replaced.fetch_add(1, Ordering::Relaxed)
            }
        };
        *reloads.last.lock() = Some(load);
    }

    /// The last time that the policies were loaded.
    pub fn last_load(&self) -> Option<PolicyLoad> {
        self.reloads.last.lock().clone()
    }

    /// Counts the policies that were in force; the first is 1.
    pub fn generation(&self) -> u64 {
        self.reloads.generation.load(Ordering::Relaxed)
    }

    /// What was counted at a rule.
    pub fn rule(&self, rule: &Rule) -> RuleHits {
        let number = rule.metric_ids.get().first();
        number.map_or_else(RuleHits::default, |number| self.hits(*number))
    }

    /// What was decided in a domain; none for all that no domain was found for.
    pub fn domain(&self, domain: Option<&Domain>) -> DomainDecisions {
        let number = domain.map_or(Some(UNKNOWN_DOMAIN), |domain| {
            domain.metric_ids.get().first().copied()
        });
        let mut sum = DomainDecisions::default();
        let Some(number) = number else { return sum };
        for shard in self.shards.lock().iter() {
            if let Some(tally) = shard.domains.peek(number) {
                sum.ok += tally.ok.get();
                sum.over_limit += tally.over_limit.get();
                sum.shadow += tally.shadow.get();
            }
        }
        sum
    }

    /// Who asks most in a domain, and who is refused most.
    pub fn top(&self, domain: &Domain, now: Timestamp) -> TopClients {
        let number = domain.metric_ids.get().first();
        number.map_or_else(TopClients::default, |number| self.hitters.top(*number, now))
    }

    /// How many connections each worker has.
    fn connections(&self) -> Vec<usize> {
        let shards = self.shards.lock();
        let of = |shard: &Arc<ThreadMetrics>| shard.connections.load(Ordering::Relaxed);
        shards
            .iter()
            .filter(|shard| shard.is_worker)
            .map(of)
            .collect()
    }

    fn hits(&self, number: u32) -> RuleHits {
        let mut sum = RuleHits::default();
        for shard in self.shards.lock().iter() {
            if let Some(tally) = shard.rules.peek(number) {
                sum.add(tally);
            }
        }
        sum
    }

    fn over_limit(&self, number: u32) -> u64 {
        self.sum(|shard| {
            shard
                .limits
                .peek(number)
                .map_or(0, thread_metrics::ThreadCounter::get)
        })
    }

    fn sum(&self, of: impl Fn(&ThreadMetrics) -> u64) -> u64 {
        self.shards.lock().iter().map(|shard| of(shard)).sum()
    }

    fn took(&self) -> Histogram {
        let mut all = Histogram::default();
        for shard in self.shards.lock().iter() {
            shard.took.add_to(&mut all);
        }
        all
    }
}

impl RuleHits {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.within + self.over
    }

    fn add_all(&mut self, other: &Self) {
        self.within += other.within;
        self.near += other.near;
        self.over += other.over;
        self.shadow += other.shadow;
    }

    fn add(&mut self, tally: &RuleCounters) {
        self.within += tally.within.get();
        self.near += tally.near.get();
        self.over += tally.over.get();
        self.shadow += tally.shadow.get();
    }
}

impl MatchKind {
    const ALL: [Self; 5] = [
        Self::Rule,
        Self::Unlimited,
        Self::Override,
        Self::Nothing,
        Self::UnknownDomain,
    ];

    fn of(met: &DescriptorResult<'_>) -> Self {
        match (met.rule, met.outcomes.is_empty()) {
            _ if met.domain.is_none() => Self::UnknownDomain,
            (Some(rule), _) => match rule.limits {
                Limits::Unlimited { .. } => Self::Unlimited,
                Limits::Counted(_) => Self::Rule,
            },
            (None, false) => Self::Override,
            (None, true) => Self::Nothing,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Unlimited => "unlimited",
            Self::Override => "override",
            Self::Nothing => "none",
            Self::UnknownDomain => "unknown_domain",
        }
    }
}
