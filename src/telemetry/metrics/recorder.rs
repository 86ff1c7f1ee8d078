//! Recording of decisions by one thread, in counters that only this thread writes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::hit_class::HitClass;
use super::match_kind::MatchKind;
use super::registry::{Detail, Registry};
use super::thread::ThreadMetrics;
use super::{GRPC_UNKNOWN, UNKNOWN_DOMAIN};
use crate::clock::{Stopwatch, Timestamp};
use crate::engine::{Code, CountingStatus, Decision, DescriptorResult};
use crate::limit::{Limit, Window};
use crate::policy::{Limits, Rule};
use crate::request::{Cost, Descriptor, Request};
use crate::server::http2::Rejection;
use crate::telemetry::heavy_hitters::{ClientHits, HitterRecorder};
use crate::telemetry::refused_log::RefusedLog;
use crate::telemetry::rejection_log::RejectionLog;
use crate::telemetry::server_port::ServerPort;
use crate::telemetry::unmatched::UnmatchedRecorder;

/// Calls per second that are all measured, for the decision time and the heavy hitters …
const SAMPLE_ALL_BELOW: u64 = 1_000;
/// … and one in how many of the calls beyond those, with a weight of that many.
const SAMPLE_ONE_IN: u64 = 64;

/// The longest value in a label, in bytes.
const MAX_VALUE_LEN: usize = 128;

/// Records what one thread decides. Clones record for the same thread.
#[derive(Clone, Debug)]
pub struct Recorder {
    thread: Arc<ThreadMetrics>,
    counts: Arc<SampleCounts>,
    hitters: HitterRecorder,
    unmatched: UnmatchedRecorder,
    refused_log: Arc<RefusedLog>,
    near_limit_ratio: f32,
    port: ServerPort,
    rejection_log: Arc<RejectionLog>,
    registry: Arc<Mutex<Registry>>,
    forgets: Arc<AtomicU64>,
    /// Series by value that this thread has used.
    details: Arc<Mutex<SeriesCaches>>,
}

/// Series by value, by the number of the rule.
#[derive(Debug, Default)]
struct SeriesCaches {
    /// How often numbers had been given back when the caches were filled.
    forgets: u64,
    by_rule: HashMap<u32, SeriesCache>,
}

/// What a recorder is made of.
#[derive(Debug)]
pub(super) struct RecorderParts {
    pub(super) thread: Arc<ThreadMetrics>,
    pub(super) registry: Arc<Mutex<Registry>>,
    /// How often the registry has forgotten names.
    pub(super) forgets: Arc<AtomicU64>,
    pub(super) hitters: HitterRecorder,
    pub(super) unmatched: UnmatchedRecorder,
    pub(super) refused_log: Arc<RefusedLog>,
    pub(super) near_limit_ratio: f32,
    pub(super) port: ServerPort,
    pub(super) rejection_log: Arc<RejectionLog>,
}

/// Numbers of the series of one rule.
type SeriesCache = HashMap<Box<Detail>, u32>;

/// What the thread has decided in the present second.
#[derive(Debug, Default)]
struct SampleCounts {
    second: AtomicU64,
    calls: AtomicU64,
    refused: AtomicU64,
}

/// Records one call, from the request read to its decision.
#[derive(Debug)]
pub struct CallRecorder<'r> {
    recorder: &'r Recorder,
    /// Running if the call is sampled.
    stopwatch: Option<Stopwatch>,
    /// The number of calls that this one represents; 0 if it is not sampled.
    weight: u64,
    now: Timestamp,
    domain: u32,
    is_shadowed: bool,
    is_decided: bool,
}

impl Recorder {
    pub(super) fn new(parts: RecorderParts) -> Self {
        Self {
            thread: parts.thread,
            hitters: parts.hitters,
            unmatched: parts.unmatched,
            refused_log: parts.refused_log,
            near_limit_ratio: parts.near_limit_ratio,
            port: parts.port,
            rejection_log: parts.rejection_log,
            registry: parts.registry,
            forgets: parts.forgets,
            counts: Arc::default(),
            details: Arc::default(),
        }
    }

    /// The number of open connections of the thread, maintained by the acceptor.
    pub fn connections(&self) -> &Arc<AtomicUsize> {
        &self.thread.connections
    }

    /// Records a call that failed with that gRPC status code.
    pub fn failed(&self, code: usize) {
        let unknown = &self.thread.errors[GRPC_UNKNOWN];
        self.thread.errors.get(code).unwrap_or(unknown).add(1);
    }

    /// Records a call or a connection that was rejected before a decision, and logs it at most once a
    /// minute for each reason.
    pub fn rejected(&self, reason: Rejection, now: Timestamp) {
        self.thread.rejections.get(reason).add(1);
        self.rejection_log.log(self.port, reason, now);
    }

    /// Starts to record a call. Dropping it before [`CallRecorder::end`] records a cancelled call.
    pub fn begin(&self) -> CallRecorder<'_> {
        let weight = next_weight(&self.counts.calls);
        CallRecorder {
            recorder: self,
            stopwatch: (weight > 0).then(Stopwatch::start),
            weight,
            now: Timestamp::default(),
            domain: UNKNOWN_DOMAIN,
            is_shadowed: false,
            is_decided: false,
        }
    }

    /// The number of a rule's series for these values.
    fn detail(&self, rule: u32, values: Box<Detail>) -> u32 {
        let mut details = self.details.lock();
        let forgets = self.forgets.load(Ordering::Relaxed);
        if details.forgets != forgets {
            // Numbers may be those of other rules by now.
            details.by_rule.clear();
            details.forgets = forgets;
        }
        let cache = details.by_rule.entry(rule).or_default();
        if let Some(number) = cache.get(&values) {
            return *number;
        }
        let (number, is_own) = self.registry.lock().detail(rule, &values);
        // The series for all others is not cached: that cache would grow with every value.
        if is_own {
            cache.insert(values, number);
        }
        number
    }
}

/// The number of events that the next one represents; 0 if it is not sampled.
#[inline]
fn next_weight(count: &AtomicU64) -> u64 {
    let before = count.load(Ordering::Relaxed);
    count.store(before + 1, Ordering::Relaxed);
    match before {
        ..SAMPLE_ALL_BELOW => 1,
        _ if before.is_multiple_of(SAMPLE_ONE_IN) => SAMPLE_ONE_IN,
        _ => 0,
    }
}

impl CallRecorder<'_> {
    /// Records the result of one descriptor.
    #[inline]
    pub fn record(&mut self, request: &Request, result: &DescriptorResult<'_>) {
        self.now = result.now;
        if let Some(domain) = result.domain {
            let ids = domain.metric_ids.get();
            self.domain = ids.first().copied().unwrap_or(UNKNOWN_DOMAIN);
            self.is_shadowed |= domain.shadow_mode && result.status.code == Code::OverLimit;
        } else if result.descriptor == 0 {
            self.recorder.unmatched.record_domain(request, result.now);
        }
        let thread = &self.recorder.thread;
        let matched = MatchKind::new(result);
        thread.descriptors[matched as usize].add(1);
        let Some(descriptor) = request.descriptors.get(result.descriptor) else {
            return;
        };
        if matched == MatchKind::None {
            self.record_unmatched(result, descriptor);
        }
        self.record_client(result, descriptor);
        let Some(rule) = result.rule else { return };
        let (Cost::Hits(hits), Some((&number, limits))) =
            (descriptor.cost, rule.metric_ids.get().split_first())
        else {
            return;
        };
        let class = HitClass::new(rule, result, hits, self.recorder.near_limit_ratio);
        if let Some(counters) = thread.rules.get_or_insert(number) {
            class.count(counters);
        }
        for number in limits_over(rule, limits, result) {
            if let Some(over) = thread.limits.get_or_insert(number) {
                over.add(hits.into());
            }
        }
        if rule.metric.detailed || rule.metric.value_levels != 0 {
            let number = self.recorder.detail(number, detail(rule, descriptor));
            if let Some(counters) = thread.rules.get_or_insert(number) {
                class.count(counters);
            }
        }
    }

    /// Records a descriptor that no rule matched.
    fn record_unmatched(&self, result: &DescriptorResult<'_>, descriptor: &Descriptor) {
        let Recorder {
            thread, unmatched, ..
        } = self.recorder;
        if let Some(counters) = thread.domains.get_or_insert(self.domain) {
            counters.unmatched.add(1);
        }
        if self.weight > 0 {
            unmatched.record_descriptor(result, descriptor, self.weight);
        }
    }

    /// Records the client among the heavy hitters, and in the log if it was refused.
    #[inline]
    fn record_client(&self, result: &DescriptorResult<'_>, descriptor: &Descriptor) {
        let is_refused = result.status.code == Code::OverLimit && !self.is_shadowed;
        let Recorder {
            counts,
            hitters,
            refused_log,
            ..
        } = self.recorder;
        let mut refused_weight = 0;
        if is_refused {
            refused_weight = next_weight(&counts.refused);
            refused_log.log(result, descriptor, || hitters.hash(descriptor));
        }
        let Cost::Hits(hits) = descriptor.cost else {
            return;
        };
        if (self.weight > 0 || refused_weight > 0) && self.domain != UNKNOWN_DOMAIN {
            let hits = ClientHits {
                requested: self.weight * u64::from(hits),
                refused: refused_weight * u64::from(hits),
            };
            hitters.record(self.domain, result, descriptor, hits);
        }
    }

    /// Records the decision.
    #[inline]
    pub fn end(mut self, decision: &Decision) {
        self.is_decided = true;
        let Recorder { thread, counts, .. } = self.recorder;
        if let Some(counters) = thread.domains.get_or_insert(self.domain) {
            match decision.code {
                Code::Ok => counters.ok.add(1),
                Code::OverLimit => counters.over_limit.add(1),
            }
            if self.is_shadowed && decision.code == Code::Ok {
                counters.shadow.add(1);
            }
            if decision.is_exempt {
                counters.exempt.add(1);
            }
        }
        match decision.counting_status {
            CountingStatus::Degraded => thread.degraded.add(1),
            CountingStatus::Failed => thread.failed.add(1),
            CountingStatus::Counted | CountingStatus::Unmatched => {}
        }
        if let Some(stopwatch) = self.stopwatch {
            thread
                .decision_time
                .record(stopwatch.elapsed(), self.weight);
        }
        let second = self.now.micros() / 1_000_000;
        if counts.second.load(Ordering::Relaxed) != second {
            counts.second.store(second, Ordering::Relaxed);
            counts.calls.store(0, Ordering::Relaxed);
            counts.refused.store(0, Ordering::Relaxed);
        }
    }
}

impl Drop for CallRecorder<'_> {
    fn drop(&mut self) {
        if !self.is_decided {
            self.recorder.thread.cancelled.add(1);
        }
    }
}

/// The metric IDs of those limits that the hits were over.
///
/// The limits of an assignment count as those limits of the rule that have their name, or else their window.
fn limits_over<'r>(
    rule: &'r Rule,
    ids: &'r [u32],
    result: &'r DescriptorResult<'_>,
) -> impl Iterator<Item = u32> + 'r {
    let over = result.outcomes.iter().filter(|outcome| outcome.over);
    over.filter_map(move |outcome| {
        let index = usize::from(outcome.limit);
        let (Limits::Counted(own), Some(set)) = (&rule.limits, result.limits) else {
            return None;
        };
        if std::ptr::eq(own, set) {
            return ids.get(index).copied();
        }
        let limit = set.limits.get(index)?;
        let secs = |limit: &Limit| limit.window().map(Window::secs);
        let is_alike = |own: &Limit| match &limit.name {
            Some(name) => own.name.as_ref() == Some(name),
            None => own.name.is_none() && secs(own) == secs(limit),
        };
        let index = own.limits.iter().position(is_alike)?;
        ids.get(index).copied()
    })
}

/// The values at the levels that the policy shows in metrics, empty at the others.
fn detail(rule: &Rule, descriptor: &Descriptor) -> Box<Detail> {
    let levels = rule.name.levels.iter().zip(&descriptor.entries);
    let shown = levels.enumerate().map(|(index, (level, entry))| {
        let is_shown = rule.metric.detailed || rule.metric.value_levels >> index & 1 == 1;
        match is_shown && !level.is_shared && !level.is_secret {
            true => truncated(&entry.value),
            false => "".into(),
        }
    });
    shown.collect()
}

/// A value as text of bounded length.
fn truncated(value: &[u8]) -> Box<str> {
    let start = value.get(..MAX_VALUE_LEN).unwrap_or(value);
    String::from_utf8_lossy(start).into()
}
