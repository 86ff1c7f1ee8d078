//! Metrics: counters of decisions, and their text for Prometheus.
//!
//! Each thread that decides has a [`Recorder`] whose counters nobody else writes, so counting a
//! decision takes a few additions. Rules know the IDs of their counters
//! ([`crate::policy::MetricIds`]) before they are served, so nothing is looked up by name. A request
//! for `/metrics` sums the counters of all threads. All metrics are listed by [`metric_families`].

mod certificates;
mod counter;
mod counts;
mod envoy_ratelimit;
mod families;
mod histogram;
mod hit_class;
mod http_rejections;
mod match_kind;
mod policy_loads;
mod recorder;
mod registry;
mod scrape;
mod text;
mod thread;
mod totals;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

pub use counts::{DomainDecisions, RuleHits};
pub use families::{MetricFamily, metric_families};
pub use policy_loads::PolicyLoad;
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
use crate::engine::Engine;
use crate::policy::{Domain, Policy};
use crate::state::StateStatus;
use crate::xds::XdsStatus;
use certificates::PortCertificates;
use http_rejections::HttpRejections;
use policy_loads::ReloadStats;
use recorder::RecorderParts;
use registry::{ForgottenIds, Registry};
use scrape::Scrape;
use text::PrometheusText;
use thread::ThreadMetrics;

/// The number under which requests for unknown domains are counted.
const UNKNOWN_DOMAIN: u32 = 0;

/// The share of a limit above which a hit is near it, as in envoyproxy/ratelimit.
const NEAR_LIMIT_RATIO: f32 = 0.8;

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
    state: OnceLock<Arc<StateStatus>>,
    near_limit_ratio: OnceLock<f32>,
    /// Labels of all metrics under the names of envoyproxy/ratelimit.
    extra_labels: OnceLock<Vec<(String, String)>>,
    http_connections_closed: AtomicU64,
    http_rejections: HttpRejections,
    started: Timestamp,
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

    /// Sets the share of a limit above which a hit is near it, from 0 to 1; for recorders that are made afterwards.
    pub fn set_near_limit_ratio(&self, ratio: f32) {
        let _ = self.near_limit_ratio.set(ratio);
    }

    /// Adds labels to all metrics under the names of envoyproxy/ratelimit; the first call counts.
    pub fn add_labels(&self, labels: Vec<(String, String)>) {
        let _ = self.extra_labels.set(labels);
    }

    /// Exposes the number of log lines that were dropped; the first call counts.
    pub fn expose_dropped_lines(&self, dropped: DroppedLines) {
        let _ = self.dropped_lines.set(dropped);
    }

    /// Exposes what the client of a configuration server does; the first call counts.
    pub fn expose_xds(&self, status: Arc<XdsStatus>) {
        let _ = self.xds.set(status);
    }

    /// What the client of a configuration server does; `None` if policies come from files.
    pub fn xds(&self) -> Option<&XdsStatus> {
        self.xds.get().map(Arc::as_ref)
    }

    /// Exposes how counters are written to the folder of `--state`; the first call counts.
    pub fn expose_state(&self, status: Arc<StateStatus>) {
        let _ = self.state.set(status);
    }

    /// How counters are written to the folder of `--state`; `None` without it.
    pub fn state(&self) -> Option<&StateStatus> {
        self.state.get().map(Arc::as_ref)
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
            near_limit_ratio: *self.near_limit_ratio.get().unwrap_or(&NEAR_LIMIT_RATIO),
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
        let families = metric_families().map(move |family| {
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

    /// Counters since the start, by the names of envoyproxy/ratelimit in statsd.
    pub(super) fn statsd_counters(&self, engine: &Engine) -> Vec<(String, u64)> {
        let policy = engine.policy();
        envoy_ratelimit::statsd_counters(&Scrape::new(self, engine, &policy))
    }
}

#[cfg(test)]
mod tests;
