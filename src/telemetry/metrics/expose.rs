//! How metrics are read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::families::{FAMILIES, MetricFamily};
use super::histogram::{BOUNDS_NS, Histogram};
use super::registry::{self, Detail};
use super::text::PrometheusText;
use super::{MatchKind, Metrics, RuleHits, envoy_ratelimit};
use crate::engine::Engine;
use crate::limit::{Limit, Quota, Window};
use crate::policy::{Domain, Limits, Policy, Rule, RuleName};

/// Above so many rules, those that nothing has met yet are left out.
const MOST_IDLE_RULES: usize = 10_000;

impl Metrics {
    /// All metrics in Prometheus' text format, with the names of envoyproxy/ratelimit beside weir's own if asked for.
    pub fn text(&self, engine: &Engine, with_reference: bool) -> String {
        let policy = &*engine.policy();
        let rules = self.rules(policy);
        let mut exposed = Exposed {
            metrics: self,
            policy,
            engine,
            rules: &rules,
            text: PrometheusText::default(),
        };
        for family in FAMILIES {
            exposed.family(family);
        }
        let mut text = exposed.text;
        if with_reference {
            envoy_ratelimit::expose(self, policy, &rules, &mut text);
        }
        text.finish()
    }

    fn rules<'p>(&self, policy: &'p Policy) -> Vec<Exposable<'p>> {
        let has_many = policy.rule_count() > MOST_IDLE_RULES;
        let mut rules = Vec::new();
        for domain in policy.domains() {
            for (rule, name) in registry::named_rules(domain) {
                let hits = self.rule(rule);
                if has_many && hits.total() == 0 {
                    continue;
                }
                let is_detailed = rule.metric.detailed || rule.metric.value_levels != 0;
                rules.push(Exposable {
                    domain,
                    rule,
                    name,
                    hits,
                    details: is_detailed.then(|| self.details(rule)),
                });
            }
        }
        rules
    }

    fn details(&self, rule: &Rule) -> Vec<(Option<Arc<Detail>>, RuleHits)> {
        let Some(number) = rule.metric_ids.get().first() else {
            return Vec::new();
        };
        let (details, other) = self.registry.lock().details(*number);
        let details = details
            .into_iter()
            .map(|(values, number)| (Some(values), number));
        let all = details.chain(other.map(|number| (None, number)));
        all.map(|(values, number)| (values, self.hits(number)))
            .collect()
    }
}

/// A rule and what was counted at it.
pub(super) struct Exposable<'p> {
    pub(super) domain: &'p Domain,
    pub(super) rule: &'p Rule,
    name: Arc<str>,
    pub(super) hits: RuleHits,
    /// By what was sent, if the policy asks for it; the last may be of all others.
    pub(super) details: Option<Vec<(Option<Arc<Detail>>, RuleHits)>>,
}

struct Exposed<'a> {
    metrics: &'a Metrics,
    policy: &'a Policy,
    engine: &'a Engine,
    rules: &'a [Exposable<'a>],
    text: PrometheusText,
}

impl Exposed<'_> {
    fn family(&mut self, family: &MetricFamily) {
        self.text.family(family);
        let (name, metrics) = (family.name, self.metrics);
        match name {
            "weir_info" => {
                let version = env!("CARGO_PKG_VERSION");
                self.text.sample(name, &[("version", version)], 1);
            }
            "weir_decisions_total" | "weir_decisions_shadowed_total" => self.decisions(name),
            "weir_decision_duration_seconds" => {
                histogram(name, &[], &metrics.took(), &mut self.text);
            }
            "weir_descriptors_total" => {
                for meets in MatchKind::ALL {
                    let sum = metrics.sum(|shard| shard.descriptors[meets as usize].get());
                    self.text.sample(name, &[("match", meets.as_str())], sum);
                }
            }
            "weir_rule_hits_total" => self.of_rules(name, |hits| hits.total()),
            "weir_rule_within_limit_total" => self.of_rules(name, |hits| hits.within),
            "weir_rule_near_limit_total" => self.of_rules(name, |hits| hits.near),
            "weir_rule_over_limit_total" => self.of_rules(name, |hits| hits.over),
            "weir_rule_shadow_total" => self.of_rules(name, |hits| hits.shadow),
            "weir_limit_over_total" => self.over_limits(name),
            "weir_limit_requests" => self.of_limits(name, |limit| match limit.quota() {
                Quota::Rate(rate) => Some(rate.requests),
                Quota::Concurrent(_) => None,
            }),
            "weir_limit_window_seconds" => {
                self.of_limits(name, |limit| limit.window().map(Window::secs));
            }
            "weir_limit_slots" => self.of_limits(name, |limit| match limit.quota() {
                Quota::Rate(_) => None,
                Quota::Concurrent(slots) => Some(slots),
            }),
            "weir_errors_total" => {
                for (code, text) in CODES.iter().enumerate().skip(1) {
                    let sum = metrics.sum(|shard| shard.errors[code].get());
                    self.text.sample(name, &[("code", text)], sum);
                }
            }
            "weir_decisions_degraded_total" => {
                let answered = metrics.sum(|shard| shard.degraded.get());
                self.text.sample(name, &[("outcome", "answered")], answered);
                let failed = metrics.sum(|shard| shard.failed.get());
                self.text.sample(name, &[("outcome", "failed")], failed);
            }
            "weir_reloads_total" => {
                let reloads = &metrics.reloads;
                let outcomes = [("success", &reloads.replaced), ("failure", &reloads.kept)];
                for (outcome, count) in outcomes {
                    let count = count.load(Ordering::Relaxed);
                    self.text.sample(name, &[("outcome", outcome)], count);
                }
            }
            "weir_lease_releases_invalid_total" => {
                let stats = self.engine.lease_stats();
                for (reason, count) in [("unknown", stats.not_held), ("missing", stats.unnamed)] {
                    self.text.sample(name, &[("reason", reason)], count);
                }
            }
            "weir_connections" => {
                for (worker, connections) in metrics.connections().iter().enumerate() {
                    let worker = worker.to_string();
                    self.text.sample(name, &[("worker", &worker)], connections);
                }
            }
            "process_resident_memory_bytes" => {
                if let Some(bytes) = resident_bytes() {
                    self.text.sample(name, &[], bytes);
                }
            }
            _ => {
                if let Some(value) = single(name, metrics, self.engine, self.policy) {
                    self.text.sample(name, &[], value);
                }
            }
        }
    }

    fn decisions(&mut self, name: &str) {
        let domains = self.policy.domains();
        let domains = domains
            .into_iter()
            .map(|domain| (&*domain.name, Some(domain)));
        for (label, domain) in domains.chain([("", None)]) {
            let decisions = self.metrics.domain(domain);
            if name == "weir_decisions_shadowed_total" {
                let labels = [("domain", label)];
                self.text.sample(name, &labels, decisions.shadow);
                continue;
            }
            for (code, count) in [("ok", decisions.ok), ("over_limit", decisions.over_limit)] {
                let labels = [("domain", label), ("code", code)];
                self.text.sample(name, &labels, count);
            }
        }
    }

    fn of_rules(&mut self, name: &str, of: impl Fn(&RuleHits) -> u64) {
        for one in self.rules {
            let labels = [("domain", &*one.domain.name), ("rule", &one.name)];
            let Some(details) = &one.details else {
                self.text.sample(name, &labels, of(&one.hits));
                continue;
            };
            for (values, hits) in details {
                let values = values
                    .as_ref()
                    .map(|values| in_words(&one.rule.name, values));
                let values = values.as_deref().unwrap_or("other");
                let labels = [labels[0], labels[1], ("values", values)];
                self.text.sample(name, &labels, of(hits));
            }
        }
    }

    fn over_limits(&mut self, name: &str) {
        for one in self.rules {
            let limits = registry::list(one.rule).unwrap_or_default();
            let numbers = one.rule.metric_ids.get().get(1..).unwrap_or_default();
            for (limit, number) in registry::limit_names(limits).iter().zip(numbers) {
                let labels = one.limit_labels(limit);
                self.text
                    .sample(name, &labels, self.metrics.over_limit(*number));
            }
        }
    }

    /// A sample for each limit that has such a number.
    fn of_limits(&mut self, name: &str, number: impl Fn(&Limit) -> Option<u32>) {
        for one in self.rules {
            let Limits::Counted(set) = &one.rule.limits else {
                continue;
            };
            for (limit, label) in set.limits.iter().zip(registry::limit_names(&set.limits)) {
                if let Some(number) = number(limit) {
                    let labels = one.limit_labels(&label);
                    self.text.sample(name, &labels, u64::from(number));
                }
            }
        }
    }
}

impl Exposable<'_> {
    fn limit_labels<'a>(&'a self, limit: &'a str) -> [(&'static str, &'a str); 3] {
        [
            ("domain", &*self.domain.name),
            ("rule", &self.name),
            ("limit", limit),
        ]
    }
}

/// A metric of one sample without labels; none if there is no such.
fn single(name: &str, metrics: &Metrics, engine: &Engine, policy: &Policy) -> Option<u64> {
    let stats = engine.stats();
    let shared = stats.shared.unwrap_or_default();
    let reloads = &metrics.reloads;
    Some(match name {
        "weir_requests_cancelled_total" => metrics.sum(|shard| shard.abandoned.get()),
        "weir_series_capped_total" => metrics.registry.lock().capped,
        "weir_policy_generation" => metrics.generation(),
        "weir_policy_domains" => policy.domain_count() as u64,
        "weir_policy_rules" => policy.rule_count() as u64,
        "weir_policy_loaded_timestamp_seconds" => reloads.replaced_at_secs.load(Ordering::Relaxed),
        "weir_store_counters" => stats.counters,
        "weir_store_bytes" => stats.bytes,
        "weir_store_pinned" => stats.pinned,
        "weir_store_evicted_total" => stats.evicted,
        "weir_store_evicted_over_limit_total" => stats.unpinned_early,
        "weir_store_up" => stats.shared.is_none_or(|shared| shared.is_up).into(),
        "weir_store_connections" => shared.connections,
        "weir_store_connects_total" => shared.connects,
        "weir_store_round_trips_total" => shared.round_trips,
        "weir_store_local_answers_total" => shared.local_answers,
        "weir_store_fallback_hits_total" => shared.fallback_hits,
        "weir_store_writeback_hits_total" => shared.writeback_hits,
        "weir_store_writeback_dropped_hits_total" => shared.writeback_dropped_hits,
        _ => return None,
    })
}

/// The levels of a name, with what was sent at those that show it.
fn in_words(name: &RuleName, values: &Detail) -> String {
    let shown = name.levels.iter().zip(values);
    let shown = shown.filter(|(_, value)| !value.is_empty());
    let shown: Vec<String> = shown
        .map(|(level, value)| format!("{}={value}", level.key))
        .collect();
    shown.join(", ")
}

pub(super) fn histogram(
    name: &str,
    labels: &[(&str, &str)],
    histogram: &Histogram,
    text: &mut PrometheusText,
) {
    let (bucket, sum, count) = (
        format!("{name}_bucket"),
        format!("{name}_sum"),
        format!("{name}_count"),
    );
    let mut so_far = 0;
    let bounds = BOUNDS_NS
        .iter()
        .map(|bound| (*bound as f64 / 1e9).to_string());
    for (bound, counted) in bounds.chain(["+Inf".to_owned()]).zip(histogram.counts) {
        so_far += counted;
        let labels = [labels, &[("le", bound.as_str())]].concat();
        text.sample(&bucket, &labels, so_far);
    }
    text.sample(&sum, labels, histogram.sum_ns as f64 / 1e9);
    text.sample(&count, labels, so_far);
}

/// gRPC's status codes by number.
pub(super) const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// As Linux tells it; none elsewhere.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
