//! Metrics: counters of decisions, and their text for Prometheus.
//!
//! Each thread that decides has a [`Recorder`] whose counters nobody else writes, so counting a
//! decision takes a few additions. Rules know the IDs of their counters
//! ([`crate::policy::MetricIds`]) before they are served, so nothing is looked up by name. A request
//! for `/metrics` sums the counters of all threads. The list of all metrics is [`FAMILIES`].

mod certificates;
mod counter;
mod envoy_ratelimit;
mod families;
mod histogram;
mod hit_class;
mod http_rejections;
mod recorder;
mod registry;
mod scrape;
mod text;
mod thread;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

pub use families::{FAMILIES, MetricFamily};
pub use recorder::{CallRecorder, Recorder};
pub use registry::DEFAULT_MAX_SERIES;
pub use text::MetricKind;

use super::heavy_hitters::{HeavyHitters, TopClients};
use super::logs::DroppedLines;
use super::refused_log::RefusedLog;
use super::rejection_log::RejectionLog;
use super::server_port::ServerPort;
use super::unmatched::{UnknownDomain, UnmatchedDescriptors, UnmatchedTraffic};
use crate::clock::{Clock, Timestamp};
use crate::engine::{DescriptorResult, Engine};
use crate::policy::{Domain, Limits, Policy, Rule};
use crate::xds::XdsStatus;
use certificates::PortCertificates;
use histogram::Histogram;
use http_rejections::HttpRejections;
use recorder::RecorderParts;
use registry::{ForgottenIds, Registry};
use scrape::Scrape;
use text::PrometheusText;
use thread::{RuleCounters, ThreadMetrics};

/// The number under which requests for unknown domains are counted.
const UNKNOWN_DOMAIN: u32 = 0;

/// The gRPC status code UNKNOWN.
const GRPC_UNKNOWN: usize = 2;

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    /// How often the registry has forgotten names.
    forgets: Arc<AtomicU64>,
    /// What had been counted under a number when it was given back: a number can be given again.
    forgotten: ThreadMetrics,
    /// Numbers that were given back since the last [`Metrics::take_forgotten`].
    forgotten_ids: Mutex<ForgottenIds>,
    threads: Mutex<Vec<Arc<ThreadMetrics>>>,
    reloads: ReloadStats,
    hitters: HeavyHitters,
    refused_log: Arc<RefusedLog>,
    certificates: [PortCertificates; ServerPort::ALL.len()],
    /// By [`ServerPort`].
    rejection_logs: [Arc<RejectionLog>; ServerPort::ALL.len()],
    unmatched: UnmatchedTraffic,
    dropped_lines: OnceLock<DroppedLines>,
    xds: OnceLock<Arc<XdsStatus>>,
    http_connections_closed: AtomicU64,
    http_rejections: HttpRejections,
    started: Timestamp,
}

/// Statistics of policy loads.
#[derive(Debug, Default)]
struct ReloadStats {
    generation: AtomicU64,
    successes: AtomicU64,
    failures: AtomicU64,
    loaded_at_secs: AtomicU64,
    /// The checksum of the files of the policy in force.
    hash: Mutex<Option<String>>,
    /// When the running check of the files began, in microseconds; 0 if none is running.
    check_began_micros: AtomicU64,
    last: Mutex<Option<PolicyLoad>>,
}

/// The result of loading the policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyLoad {
    /// The number of the policy in force afterwards; the first is 1.
    pub generation: u64,
    /// When it was loaded.
    #[serde(rename = "at_micros")]
    pub at: Timestamp,
    /// A checksum of the loaded files; `None` if they were rejected.
    #[serde(default)]
    pub hash: Option<String>,
    /// Why the loaded policy was rejected; `None` if it is in force.
    pub error: Option<String>,
    /// The diagnostics of the files, as logged.
    pub diagnostics: Vec<String>,
}

/// What a descriptor matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MatchKind {
    Rule,
    Unlimited,
    Exempt,
    Override,
    Replaced,
    None,
    UnknownDomain,
}

/// Hits at a rule, over all threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleHits {
    /// Within all limits of the rule.
    pub within: u64,
    /// Part of `within`: near one of the limits.
    pub near: u64,
    /// Over one of the limits.
    pub over: u64,
    /// Part of `over`: allowed by shadow mode.
    pub shadow: u64,
    /// Part of `over`: let through, because the limits are soft.
    #[serde(default)]
    pub allowed: u64,
    /// Part of `over`: hits for which there was room.
    #[serde(skip)]
    pub room: HitsWithRoom,
}

/// Hits of requests that were over a limit, for which there was room: of requests of several hits. envoyproxy/ratelimit
/// does not count them as over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HitsWithRoom {
    /// All of them.
    pub hits: u64,
    /// Those that would have been near the limit.
    pub near: u64,
    /// Those that were allowed by shadow mode.
    pub shadow: u64,
}

/// Decisions in a domain, over all threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainDecisions {
    /// Requests that were allowed.
    pub ok: u64,
    /// Requests that were refused.
    pub over_limit: u64,
    /// Part of `ok`: would be refused without the domain's shadow mode.
    pub shadow: u64,
    /// Part of `ok`: exempt from all limits.
    #[serde(default)]
    pub exempt: u64,
}

impl Metrics {
    /// Metrics of a server that starts with this policy.
    pub fn new(policy: &Policy) -> Self {
        let metrics = Self {
            started: Clock::System.now(),
            ..Self::default()
        };
        metrics.register(policy);
        metrics.reloads.generation.store(1, Ordering::Relaxed);
        metrics
    }

    /// Assigns metric IDs to the rules of a policy, before it comes into force.
    ///
    /// Names that some policies in a row did not have are forgotten.
    pub fn register(&self, policy: &Policy) {
        let mut registry = self.registry.lock();
        let forgotten = registry.register(policy);
        if forgotten.is_empty() {
            return;
        }
        for &number in &forgotten.rules {
            if let Some(counters) = self.forgotten.rules.get_or_insert(number) {
                counters.add(self.hits(number));
            }
        }
        for &number in &forgotten.limits {
            if let Some(over) = self.forgotten.limits.get_or_insert(number) {
                over.add(self.over_limit(number));
            }
        }
        for &number in &forgotten.domains {
            if let Some(counters) = self.forgotten.domains.get_or_insert(number) {
                let decisions = self.decisions(number);
                counters.ok.add(decisions.ok);
                counters.over_limit.add(decisions.over_limit);
                counters.shadow.add(decisions.shadow);
                counters.exempt.add(decisions.exempt);
                counters.unmatched.add(self.unmatched_of(number));
            }
        }
        self.hitters.forget(&forgotten.domains);
        self.forgets.fetch_add(1, Ordering::Relaxed);
        self.forgotten_ids.lock().extend(forgotten);
    }

    /// The IDs of domains and rules that were forgotten since the last call.
    pub(super) fn take_forgotten(&self) -> ForgottenIds {
        std::mem::take(&mut *self.forgotten_ids.lock())
    }

    /// Sets the maximum number of series by value of all rules together.
    pub fn limit_series(&self, max_series: usize) {
        self.registry.lock().max_series = max_series;
    }

    /// Sets the maximum number of refused requests that are logged per second; 0 disables that.
    pub fn log_refused_per_second(&self, per_second: u64) {
        self.refused_log.set_rate(per_second);
    }

    /// Exposes the number of log lines that were dropped; the first call counts.
    pub fn expose_dropped_lines(&self, dropped: DroppedLines) {
        let _ = self.dropped_lines.set(dropped);
    }

    /// Exposes what the client of a configuration server does; the first call counts.
    pub fn expose_xds(&self, status: Arc<XdsStatus>) {
        let _ = self.xds.set(status);
    }

    /// A recorder for a worker thread, which has connections.
    pub fn worker_recorder(&self) -> Recorder {
        self.recorder(ServerPort::Grpc, true)
    }

    /// A recorder for the admin server, which seldom decides.
    pub fn admin_recorder(&self) -> Recorder {
        self.recorder(ServerPort::Http, false)
    }

    /// A recorder for the thread that accepts connections, which decides nothing.
    pub fn acceptor_recorder(&self) -> Recorder {
        self.recorder(ServerPort::Grpc, false)
    }

    fn recorder(&self, port: ServerPort, is_worker: bool) -> Recorder {
        let thread = Arc::new(ThreadMetrics {
            is_worker,
            ..ThreadMetrics::default()
        });
        self.threads.lock().push(Arc::clone(&thread));
        Recorder::new(RecorderParts {
            thread,
            registry: Arc::clone(&self.registry),
            forgets: Arc::clone(&self.forgets),
            hitters: self.hitters.recorder(),
            unmatched: self.unmatched.recorder(),
            refused_log: Arc::clone(&self.refused_log),
            port,
            rejection_log: Arc::clone(&self.rejection_logs[port as usize]),
        })
    }

    /// Records an HTTP connection that was closed because there were too many.
    pub fn http_connection_closed(&self) {
        self.http_connections_closed.fetch_add(1, Ordering::Relaxed);
    }

    /// Records an HTTP request that was rejected with this status.
    pub fn http_rejected(&self, status: u16) {
        self.http_rejections.add(status);
    }

    /// HTTP connections that were closed because there were too many.
    pub fn http_connections_closed(&self) -> u64 {
        self.http_connections_closed.load(Ordering::Relaxed)
    }

    /// Records that the certificate of a port was loaded, and when it and the CA of its clients expire.
    pub fn certificate_loaded(&self, port: ServerPort, expiries: [Option<Timestamp>; 2]) {
        self.certificates[port as usize].loaded(expiries);
    }

    /// Records that the files of a port's certificate could not be loaded.
    pub fn certificate_failed(&self, port: ServerPort) {
        self.certificates[port as usize].failed();
    }

    /// Records that the policies were loaded.
    pub fn loaded(&self, load: PolicyLoad) {
        let reloads = &self.reloads;
        if load.hash.is_some() {
            reloads.hash.lock().clone_from(&load.hash);
        }
        reloads.generation.store(load.generation, Ordering::Relaxed);
        match load.error {
            Some(_) => reloads.failures.fetch_add(1, Ordering::Relaxed),
            None => {
                let at_secs = load.at.micros() / 1_000_000;
                reloads.loaded_at_secs.store(at_secs, Ordering::Relaxed);
                reloads.successes.fetch_add(1, Ordering::Relaxed)
            }
        };
        *reloads.last.lock() = Some(load);
    }

    /// The checksum of the files of the policy in force; `None` if it comes from no files.
    pub fn policy_hash(&self) -> Option<String> {
        self.reloads.hash.lock().clone()
    }

    /// Records that a check of the policy files, or a load, has begun.
    pub fn policy_check_began(&self, now: Timestamp) {
        let began = &self.reloads.check_began_micros;
        began.store(now.micros().max(1), Ordering::Relaxed);
    }

    /// Records that the check has ended.
    pub fn policy_check_ended(&self) {
        self.reloads.check_began_micros.store(0, Ordering::Relaxed);
    }

    /// Seconds that the running check of the policy files has taken so far; 0 if none is running.
    pub fn policy_check_secs(&self, now: Timestamp) -> u64 {
        match self.reloads.check_began_micros.load(Ordering::Relaxed) {
            0 => 0,
            began => now.micros().saturating_sub(began) / 1_000_000,
        }
    }

    /// The last load of the policies.
    pub fn last_load(&self) -> Option<PolicyLoad> {
        self.reloads.last.lock().clone()
    }

    /// The number of the policy in force; the first is 1.
    pub fn generation(&self) -> u64 {
        self.reloads.generation.load(Ordering::Relaxed)
    }

    /// The hits at a rule since the start.
    pub fn rule(&self, rule: &Rule) -> RuleHits {
        let number = rule.metric_ids.get().first();
        number.map_or_else(RuleHits::default, |number| self.hits(*number))
    }

    /// The decisions in a domain since the start; `None` for unknown domains.
    pub fn domain(&self, domain: Option<&Domain>) -> DomainDecisions {
        let number = domain.map_or(Some(UNKNOWN_DOMAIN), |domain| {
            domain.metric_ids.get().first().copied()
        });
        number.map_or_else(DomainDecisions::default, |number| self.decisions(number))
    }

    fn decisions(&self, number: u32) -> DomainDecisions {
        let mut sum = DomainDecisions::default();
        for thread in self.threads.lock().iter() {
            if let Some(counters) = thread.domains.get(number) {
                sum.ok += counters.ok.get();
                sum.over_limit += counters.over_limit.get();
                sum.shadow += counters.shadow.get();
                sum.exempt += counters.exempt.get();
            }
        }
        if let Some(counters) = self.forgotten.domains.get(number) {
            sum.ok = sum.ok.saturating_sub(counters.ok.get());
            sum.over_limit = sum.over_limit.saturating_sub(counters.over_limit.get());
            sum.shadow = sum.shadow.saturating_sub(counters.shadow.get());
            sum.exempt = sum.exempt.saturating_sub(counters.exempt.get());
        }
        sum
    }

    /// The heavy hitters of a domain.
    pub fn top(&self, domain: &Domain, now: Timestamp) -> TopClients {
        let number = domain.metric_ids.get().first();
        number.map_or_else(TopClients::default, |number| self.hitters.top(*number, now))
    }

    /// The domains of recent requests that `policy` does not define, the most frequent first.
    pub fn unknown_domains(&self, policy: &Policy, now: Timestamp) -> Vec<UnknownDomain> {
        self.unmatched.domains(policy, now)
    }

    /// The keys of recent descriptors that match no rule, the most frequent first.
    pub fn unmatched(&self, policy: &Policy, now: Timestamp) -> Vec<UnmatchedDescriptors> {
        self.unmatched.descriptors(policy, now)
    }

    /// All metrics in Prometheus' text format, one family after the other; with `envoy_names`, also
    /// those of envoyproxy/ratelimit. `policy` is the one in force.
    pub fn text<'s>(
        &'s self,
        engine: &Engine,
        policy: &'s Policy,
        envoy_names: bool,
    ) -> impl Iterator<Item = String> + Send + use<'s> {
        let scrape = Arc::new(Scrape::new(self, engine, policy));
        let of_envoy = envoy_names.then(|| Arc::clone(&scrape));
        let families = FAMILIES.iter().map(move |family| {
            let mut text = PrometheusText::default();
            let mut samples = text.family(family.name, family.kind, family.help, family.labels);
            (family.read)(&scrape, &mut samples);
            text.into_string()
        });
        families.chain(of_envoy.into_iter().map(|scrape| {
            let mut text = PrometheusText::default();
            envoy_ratelimit::expose(&scrape, &mut text);
            text.into_string()
        }))
    }

    /// Descriptors that matched no rule of a domain since the start.
    fn unmatched_total(&self, domain: &Domain) -> u64 {
        let number = domain.metric_ids.get().first();
        number.map_or(0, |number| self.unmatched_of(*number))
    }

    /// The number of open connections of each worker.
    fn connections(&self) -> Vec<usize> {
        let threads = self.threads.lock();
        let workers = threads.iter().filter(|thread| thread.is_worker);
        workers
            .map(|thread| thread.connections.load(Ordering::Relaxed))
            .collect()
    }

    fn hits(&self, number: u32) -> RuleHits {
        let mut sum = RuleHits::default();
        for thread in self.threads.lock().iter() {
            if let Some(counters) = thread.rules.get(number) {
                sum.add(&counters.into());
            }
        }
        if let Some(counters) = self.forgotten.rules.get(number) {
            sum.subtract(&counters.into());
        }
        sum
    }

    fn over_limit(&self, number: u32) -> u64 {
        self.sum_since_forgotten(|thread| thread.limits.get(number).map_or(0, |count| count.get()))
    }

    fn unmatched_of(&self, domain: u32) -> u64 {
        self.sum_since_forgotten(|thread| {
            let counters = thread.domains.get(domain);
            counters.map_or(0, |counters| counters.unmatched.get())
        })
    }

    fn sum_since_forgotten(&self, value: impl Fn(&ThreadMetrics) -> u64) -> u64 {
        self.sum(&value).saturating_sub(value(&self.forgotten))
    }

    fn sum(&self, value: impl Fn(&ThreadMetrics) -> u64) -> u64 {
        self.threads.lock().iter().map(|thread| value(thread)).sum()
    }

    fn decision_time(&self) -> Histogram {
        let mut sum = Histogram::default();
        for thread in self.threads.lock().iter() {
            thread.decision_time.add_to(&mut sum);
        }
        sum
    }
}

impl RuleHits {
    /// All hits, within the limits or over one.
    pub fn total(&self) -> u64 {
        self.within + self.over
    }

    /// Part of `over`: refused.
    pub fn refused(&self) -> u64 {
        self.over.saturating_sub(self.shadow + self.allowed)
    }

    fn add(&mut self, other: &Self) {
        self.within += other.within;
        self.near += other.near;
        self.over += other.over;
        self.shadow += other.shadow;
        self.allowed += other.allowed;
        self.room.hits += other.room.hits;
        self.room.near += other.room.near;
        self.room.shadow += other.room.shadow;
    }

    fn subtract(&mut self, other: &Self) {
        self.within = self.within.saturating_sub(other.within);
        self.near = self.near.saturating_sub(other.near);
        self.over = self.over.saturating_sub(other.over);
        self.shadow = self.shadow.saturating_sub(other.shadow);
        self.allowed = self.allowed.saturating_sub(other.allowed);
    }
}

impl From<&RuleCounters> for RuleHits {
    fn from(counters: &RuleCounters) -> Self {
        Self {
            within: counters.within.get(),
            near: counters.near.get(),
            over: counters.over.get(),
            shadow: counters.shadow.get(),
            allowed: counters.allowed.get(),
            room: HitsWithRoom {
                hits: counters.room.get(),
                near: counters.near_room.get(),
                shadow: counters.shadow_room.get(),
            },
        }
    }
}

impl MatchKind {
    const ALL: [Self; 7] = [
        Self::Rule,
        Self::Unlimited,
        Self::Exempt,
        Self::Override,
        Self::Replaced,
        Self::None,
        Self::UnknownDomain,
    ];

    fn new(result: &DescriptorResult<'_>) -> Self {
        match (result.rule, result.outcomes.is_empty()) {
            _ if result.domain.is_none() => Self::UnknownDomain,
            (Some(rule), _) => match rule.limits {
                Limits::Unlimited { .. } => Self::Unlimited,
                Limits::Exempt => Self::Exempt,
                Limits::Counted(_) => Self::Rule,
            },
            (None, _) if result.is_exempted => Self::Exempt,
            (None, false) => Self::Override,
            (None, true) if result.is_replaced => Self::Replaced,
            (None, true) => Self::None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Unlimited => "unlimited",
            Self::Exempt => "exempt",
            Self::Override => "override",
            Self::Replaced => "replaced",
            Self::None => "none",
            Self::UnknownDomain => "unknown_domain",
        }
    }
}

#[cfg(test)]
mod tests;
