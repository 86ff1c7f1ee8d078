//! Where a decision is counted: in numbers that only the thread has that decides.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::registry::{Detail, Registry};
use super::thread_metrics::{RuleCounters, ThreadMetrics};
use super::{MatchKind, NEAR_TENTHS, UNKNOWN_DOMAIN};
use crate::clock::{Stopwatch, Timestamp};
use crate::engine::{Code, CountingStatus, Decision, DescriptorResult};
use crate::limit::{Limit, Outcome};
use crate::policy::{Limits, Rule};
use crate::request::{Cost, Descriptor, Request};
use crate::telemetry::heavy_hitters::{ClientHits, HitterRecorder};
use crate::telemetry::refused_log::RefusedLog;

/// Calls of a second that are looked at one by one, to take their time and note who asks …
const SAMPLE_ALL_BELOW: u64 = 1_000;
/// … and of how many beyond them one is, which then stands for all.
const SAMPLE_ONE_IN: u64 = 64;

/// Bytes of a value that a metric shows.
const LONGEST_SHOWN: usize = 128;

/// Counts what one thread decides.
#[derive(Clone, Debug)]
pub struct Recorder {
    shard: Arc<ThreadMetrics>,
    pace: Arc<SampleCounts>,
    notes: HitterRecorder,
    refusals: Arc<RefusedLog>,
    registry: Arc<Mutex<Registry>>,
    /// Numbers of details that this thread has met, so that it need not ask the registry.
    details: Arc<Mutex<HashMap<u32, SeriesCache>>>,
}

/// Numbers of one rule's details.
type SeriesCache = HashMap<Box<Detail>, u32>;

/// How often the thread decides.
#[derive(Debug, Default)]
struct SampleCounts {
    second: AtomicU64,
    in_second: AtomicU64,
    refused_in_second: AtomicU64,
}

/// A call, from its beginning to its end.
#[derive(Debug)]
pub struct CallRecorder<'r> {
    recorder: &'r Recorder,
    watch: Option<Stopwatch>,
    weight: u64,
    now: Timestamp,
    domain: u32,
    in_shadow: bool,
    has_ended: bool,
}

impl Recorder {
    pub(super) fn new(
        shard: Arc<ThreadMetrics>,
        registry: Arc<Mutex<Registry>>,
        (notes, refusals): (HitterRecorder, Arc<RefusedLog>),
    ) -> Self {
        Self {
            shard,
            notes,
            refusals,
            registry,
            pace: Arc::default(),
            details: Arc::default(),
        }
    }

    /// How many connections the thread has; whoever gives it some counts them.
    pub fn connections(&self) -> &Arc<AtomicUsize> {
        &self.shard.connections
    }

    /// A call has failed with that gRPC status code.
    pub fn failed(&self, code: usize) {
        let unknown = &self.shard.errors[super::UNKNOWN];
        self.shard.errors.get(code).unwrap_or(unknown).add(1);
    }

    /// A call begins. If it is dropped before its end, its client gave it up.
    pub fn begin(&self) -> CallRecorder<'_> {
        let weight = weight_of_next(&self.pace.in_second);
        CallRecorder {
            recorder: self,
            watch: (weight > 0).then(Stopwatch::start),
            weight,
            now: Timestamp::default(),
            domain: UNKNOWN_DOMAIN,
            in_shadow: false,
            has_ended: false,
        }
    }
}

/// For how many the next one stands; 0 if it is not looked at.
#[inline]
fn weight_of_next(count: &AtomicU64) -> u64 {
    let before = count.load(Ordering::Relaxed);
    count.store(before + 1, Ordering::Relaxed);
    match before {
        ..SAMPLE_ALL_BELOW => 1,
        _ if before.is_multiple_of(SAMPLE_ONE_IN) => SAMPLE_ONE_IN,
        _ => 0,
    }
}

impl CallRecorder<'_> {
    /// What a descriptor has met.
    #[inline]
    pub fn met(&mut self, request: &Request, met: &DescriptorResult<'_>) {
        self.now = met.now;
        if let Some(domain) = met.domain {
            self.domain = domain
                .metric_ids
                .get()
                .first()
                .copied()
                .unwrap_or(UNKNOWN_DOMAIN);
            self.in_shadow |= domain.shadow_mode && met.status.code == Code::OverLimit;
        }
        let shard = &self.recorder.shard;
        shard.descriptors[MatchKind::of(met) as usize].add(1);
        let Some(descriptor) = request.descriptors.get(met.descriptor) else {
            return;
        };
        self.note(met, descriptor);
        let Some(rule) = met.rule else { return };
        let (Cost::Hits(hits), Some((&number, limits))) =
            (descriptor.cost, rule.metric_ids.get().split_first())
        else {
            return;
        };
        let seen = HitClass::of(rule, met);
        if let Some(tally) = shard.rules.get(number) {
            seen.count(tally, hits);
        }
        for number in over(limits, met.outcomes) {
            if let Some(over) = shard.limits.get(number) {
                over.add(hits.into());
            }
        }
        if rule.metric.detailed || rule.metric.value_levels != 0 {
            let number = self.recorder.detail(number, detail(rule, descriptor));
            if let Some(tally) = shard.rules.get(number) {
                seen.count(tally, hits);
            }
        }
    }

    /// HitterRecorder who asks, and who is refused.
    #[inline]
    fn note(&self, met: &DescriptorResult<'_>, descriptor: &Descriptor) {
        let is_refused = met.status.code == Code::OverLimit && !self.in_shadow;
        let Recorder {
            pace,
            notes,
            refusals,
            ..
        } = self.recorder;
        let mut refused = 0;
        if is_refused {
            refused = weight_of_next(&pace.refused_in_second);
            refusals.say(met, descriptor, || notes.hash(descriptor));
        }
        let Cost::Hits(hits) = descriptor.cost else {
            return;
        };
        if (self.weight > 0 || refused > 0) && self.domain != UNKNOWN_DOMAIN {
            let noted = ClientHits {
                asked: self.weight * u64::from(hits),
                refused: refused * u64::from(hits),
            };
            notes.note(self.domain, met, descriptor, noted);
        }
    }

    /// It was decided.
    #[inline]
    pub fn end(mut self, decision: &Decision) {
        self.has_ended = true;
        let Recorder { shard, pace, .. } = self.recorder;
        if let Some(tally) = shard.domains.get(self.domain) {
            match decision.code {
                Code::Ok => tally.ok.add(1),
                Code::OverLimit => tally.over_limit.add(1),
            }
            if self.in_shadow && decision.code == Code::Ok {
                tally.shadow.add(1);
            }
        }
        match decision.counting_status {
            CountingStatus::Degraded => shard.degraded.add(1),
            CountingStatus::Failed => shard.failed.add(1),
            CountingStatus::Counted | CountingStatus::Unmatched => {}
        }
        if let Some(watch) = self.watch {
            shard.took.record(watch.elapsed(), self.weight);
        }
        let second = self.now.micros() / 1_000_000;
        if pace.second.load(Ordering::Relaxed) != second {
            pace.second.store(second, Ordering::Relaxed);
            pace.in_second.store(0, Ordering::Relaxed);
            pace.refused_in_second.store(0, Ordering::Relaxed);
        }
    }
}

impl Drop for CallRecorder<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.recorder.shard.abandoned.add(1);
        }
    }
}

/// How the hits of a descriptor count.
#[derive(Clone, Copy, Debug)]
struct HitClass {
    near: bool,
    over: bool,
    shadow: bool,
}

impl HitClass {
    fn of(rule: &Rule, met: &DescriptorResult<'_>) -> Self {
        let mut seen = Self {
            near: false,
            over: false,
            shadow: false,
        };
        let Limits::Counted(set) = &rule.limits else {
            return seen;
        };
        for outcome in met.outcomes {
            match set.limits.get(usize::from(outcome.limit)) {
                Some(limit) if !limit.shadow_mode => {
                    seen.over |= outcome.over;
                    seen.near |= is_near(limit, outcome);
                }
                _ => {}
            }
        }
        let is_shadow = rule.shadow_mode || met.domain.is_some_and(|domain| domain.shadow_mode);
        seen.shadow = seen.over && is_shadow;
        seen
    }

    #[inline]
    fn count(self, tally: &RuleCounters, hits: u32) {
        let hits = u64::from(hits);
        if self.over {
            tally.over.add(hits);
            if self.shadow {
                tally.shadow.add(hits);
            }
            return;
        }
        tally.within.add(hits);
        if self.near {
            tally.near.add(hits);
        }
    }
}

/// Whether more than eight tenths of a limit are used up.
fn is_near(limit: &Limit, outcome: &Outcome) -> bool {
    let most = limit.capacity();
    let near = u64::from(most) * NEAR_TENTHS / 10;
    u64::from(most.saturating_sub(outcome.remaining)) > near
}

/// The numbers of those limits of a list that the call was over.
fn over(numbers: &[u32], outcomes: &[Outcome]) -> impl Iterator<Item = u32> {
    let over = outcomes.iter().filter(|outcome| outcome.over);
    over.filter_map(|outcome| numbers.get(usize::from(outcome.limit)).copied())
}

impl Recorder {
    /// The number of the series of a rule for what was sent.
    fn detail(&self, rule: u32, values: Box<Detail>) -> u32 {
        let mut known = self.details.lock();
        let known = known.entry(rule).or_default();
        if let Some(number) = known.get(&values) {
            return *number;
        }
        let (number, is_own) = self.registry.lock().detail(rule, &values);
        // Of `other` there is no end: it is asked for each time.
        if is_own {
            known.insert(values, number);
        }
        number
    }
}

/// What was sent at those levels whose values the policy wants to see; nothing at the others.
fn detail(rule: &Rule, descriptor: &Descriptor) -> Box<Detail> {
    let levels = rule.name.levels.iter().zip(&descriptor.entries);
    let shown = levels.enumerate().map(|(at, (level, entry))| {
        let is_wanted = rule.metric.detailed || rule.metric.value_levels >> at & 1 == 1;
        match is_wanted && !level.is_shared && !level.is_secret {
            true => shown(&entry.value),
            false => "".into(),
        }
    });
    shown.collect()
}

/// A value as text of a bounded length.
fn shown(value: &[u8]) -> Box<str> {
    let begin = value.get(..LONGEST_SHOWN).unwrap_or(value);
    String::from_utf8_lossy(begin).into()
}
