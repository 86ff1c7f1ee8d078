//! The names that envoyproxy/ratelimit's own Prometheus mapping gives, so that existing graphs go on.
//!
//! A rule is known there by the first two levels of its path: `key`, or `key_value` where the policy has a value. What
//! is deeper is added up.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;

use super::expose::{Exposable, histogram};
use super::families::MetricKind;
use super::registry::Detail;
use super::text::PrometheusText;
use super::{Metrics, RuleHits};
use crate::policy::{LevelName, Limits, Policy};

/// The rpc, as the reference's interceptor names it.
const METHOD: (&str, &str) = ("grpc_method", "ShouldRateLimit");

/// Domain, first level, second level.
type Path = (String, String, Option<String>);

pub(super) fn expose(
    metrics: &Metrics,
    policy: &Policy,
    rules: &[Exposable<'_>],
    text: &mut PrometheusText,
) {
    let by_path = by_path(rules);
    type Of = fn(&RuleHits) -> u64;
    let of_rules: [(&str, Of); 5] = [
        ("total_hits", |hits| hits.total()),
        ("within_limit", |hits| hits.within),
        ("near_limit", |hits| hits.near),
        ("over_limit", |hits| hits.over),
        ("shadow_mode", |hits| hits.shadow),
    ];
    for (what, of) in of_rules {
        let name = format!("ratelimit_service_rate_limit_{what}");
        text.begin(&name, MetricKind::Counter);
        for ((domain, first, second), hits) in &by_path {
            let mut labels = vec![("domain", domain.as_str()), ("key1", first)];
            labels.extend(second.iter().map(|second| ("key2", second.as_str())));
            text.sample(&name, &labels, of(hits));
        }
    }
    let took = metrics.took();
    text.begin("ratelimit_service_total_requests", MetricKind::Counter);
    let failed = metrics.sum(|shard| {
        shard
            .errors
            .iter()
            .map(super::thread_metrics::ThreadCounter::get)
            .sum()
    });
    let decided: u64 = {
        let domains = policy.domains().into_iter().map(Some).chain([None]);
        let decisions = domains.map(|domain| metrics.domain(domain));
        decisions.map(|one| one.ok + one.over_limit).sum()
    };
    text.sample(
        "ratelimit_service_total_requests",
        &[METHOD],
        decided + failed,
    );
    text.begin(
        "ratelimit_service_response_time_seconds",
        MetricKind::Histogram,
    );
    histogram(
        "ratelimit_service_response_time_seconds",
        &[METHOD],
        &took,
        text,
    );
    text.begin(
        "ratelimit_service_should_rate_limit_error",
        MetricKind::Counter,
    );
    let failed = metrics.sum(|shard| shard.failed.get());
    for (kind, count) in [
        ("service_error", failed - failed.min(failed)),
        ("redis_error", failed),
    ] {
        let labels = [("err_type", kind)];
        text.sample("ratelimit_service_should_rate_limit_error", &labels, count);
    }
    let loads = [
        (
            "ratelimit_service_config_load_success",
            &metrics.reloads.replaced,
        ),
        ("ratelimit_service_config_load_error", &metrics.reloads.kept),
    ];
    for (name, count) in loads {
        text.begin(name, MetricKind::Counter);
        text.sample(name, &[], count.load(Ordering::Relaxed));
    }
}

fn by_path(rules: &[Exposable<'_>]) -> BTreeMap<Path, RuleHits> {
    let mut sums: BTreeMap<Path, RuleHits> = BTreeMap::new();
    // The reference counts nothing of a rule that is unlimited.
    let counted = |one: &&Exposable<'_>| matches!(one.rule.limits, Limits::Counted(_));
    for one in rules.iter().filter(counted) {
        let levels = &*one.rule.name.levels;
        let mut add = |values: Option<&Detail>, hits: &RuleHits| {
            let level = |at: usize| {
                let value = values.and_then(|values| values.get(at));
                levels
                    .get(at)
                    .map(|level| key(level, value.map(AsRef::as_ref)))
            };
            let path = (
                one.domain.name.to_string(),
                level(0).unwrap_or_default(),
                level(1),
            );
            sums.entry(path).or_default().add_all(hits);
        };
        match &one.details {
            None => add(None, &one.hits),
            Some(details) => {
                for (values, hits) in details {
                    add(values.as_deref(), hits);
                }
            }
        }
    }
    sums
}

/// `key` or `key_value`, without what statsd takes for its own.
fn key(level: &LevelName, sent: Option<&str>) -> String {
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
