//! Metrics under the names of envoyproxy/ratelimit's Prometheus mapping, so that existing
//! dashboards keep working.
//!
//! That server names a rule by the first two levels of its path, as `key` or `key_value` if the
//! policy has a value. Rules with deeper paths are summed.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;

use super::RuleHits;
use super::registry::Detail;
use super::scrape::Scrape;
use super::text::{MetricKind, PrometheusText};
use crate::policy::{LevelName, Limits};

/// The RPC, as the interceptor of envoyproxy/ratelimit labels it.
const METHOD: (&str, &str) = ("grpc_method", "ShouldRateLimit");

/// Domain, first level, second level.
type RulePath = (String, String, Option<String>);

type ReadHits = fn(&RuleHits) -> u64;

/// Metrics of rules, by the end of their names.
const RULE_METRICS: [(&str, ReadHits); 5] = [
    ("total_hits", |hits| hits.total()),
    ("within_limit", |hits| hits.within),
    ("near_limit", |hits| hits.near),
    ("over_limit", |hits| hits.over),
    ("shadow_mode", |hits| hits.shadow),
];

/// Writes all of them.
pub(super) fn expose(scrape: &Scrape<'_>, text: &mut PrometheusText) {
    let by_path = sum_by_path(scrape);
    for (what, value) in RULE_METRICS {
        let name = format!("ratelimit_service_rate_limit_{what}");
        text.begin(&name, MetricKind::Counter);
        for ((domain, first, second), hits) in &by_path {
            let mut labels = vec![("domain", domain.as_str()), ("key1", first)];
            labels.extend(second.iter().map(|second| ("key2", second.as_str())));
            text.sample(&name, &labels, value(hits));
        }
    }
    let metrics = scrape.metrics;
    let errors = metrics.sum(|thread| thread.errors.iter().map(|count| count.get()).sum());
    let store_errors = metrics.sum(|thread| thread.failed.get());
    let decisions = scrape.decisions();
    let decided: u64 = decisions.map(|(_, one)| one.ok + one.over_limit).sum();

    let name = "ratelimit_service_total_requests";
    text.begin(name, MetricKind::Counter);
    text.sample(name, &[METHOD], decided + errors);
    let name = "ratelimit_service_response_time_seconds";
    text.begin(name, MetricKind::Histogram);
    text.histogram(name, &[METHOD], &metrics.decision_time());
    let name = "ratelimit_service_should_rate_limit_error";
    text.begin(name, MetricKind::Counter);
    let service_errors = errors.saturating_sub(store_errors);
    text.sample(name, &[("err_type", "service_error")], service_errors);
    text.sample(name, &[("err_type", "redis_error")], store_errors);
    for (name, count) in [
        (
            "ratelimit_service_config_load_success",
            &metrics.reloads.successes,
        ),
        (
            "ratelimit_service_config_load_error",
            &metrics.reloads.failures,
        ),
    ] {
        text.begin(name, MetricKind::Counter);
        text.sample(name, &[], count.load(Ordering::Relaxed));
    }
}

fn sum_by_path(scrape: &Scrape<'_>) -> BTreeMap<RulePath, RuleHits> {
    let mut sums: BTreeMap<RulePath, RuleHits> = BTreeMap::new();
    for series in &scrape.rules {
        // envoyproxy/ratelimit does not count hits at unlimited rules.
        if !matches!(series.rule.limits, Limits::Counted(_)) {
            continue;
        }
        let levels = &*series.rule.name.levels;
        let mut add = |values: Option<&Detail>, hits: &RuleHits| {
            let level = |index: usize| {
                let value = values.and_then(|values| values.get(index));
                levels
                    .get(index)
                    .map(|level| label(level, value.map(AsRef::as_ref)))
            };
            let path = (
                series.domain.name.to_string(),
                level(0).unwrap_or_default(),
                level(1),
            );
            sums.entry(path).or_default().add(hits);
        };
        match &series.details {
            None => add(None, &series.hits),
            Some(details) => {
                for (values, hits) in details {
                    add(values.as_deref(), hits);
                }
            }
        }
    }
    sums
}

/// `key` or `key_value`, without the characters that statsd reserves.
fn label(level: &LevelName, sent: Option<&str>) -> String {
    let sent = sent.filter(|value| !value.is_empty());
    let text = match sent.or(level.matcher_text.as_deref()) {
        Some(value) if value.parse::<Ipv4Addr>().is_ok() => {
            format!("{}_{}", level.key, value.replace('.', "_"))
        }
        Some(value) => format!("{}_{value}", level.key),
        None => level.key.to_string(),
    };
    text.replace([':', '|'], "_")
}
