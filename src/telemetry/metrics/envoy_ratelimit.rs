//! What envoyproxy/ratelimit counts, under its names: those of statsd, and those of its Prometheus mapping, so that
//! existing dashboards keep working.
//!
//! That server names a rule by its path, with a dot between levels, a level being `key`, or `key_value` if the policy has
//! a value. Its mapping cuts this text at the dots, and makes labels of the first three pieces; what is deeper is summed.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::counts::RuleHits;
use super::registry::Detail;
use super::scrape::Scrape;
use super::text::{MetricKind, PrometheusText};
use crate::policy::{LevelName, Limits};

/// The RPC, as the interceptor of envoyproxy/ratelimit labels it.
const METHOD: (&str, &str) = ("grpc_method", "ShouldRateLimit");

/// Domain, first level, second level: the first pieces of a name.
type RulePath = (String, String, Option<String>);

type ReadHits = fn(&RuleHits) -> u64;

/// Metrics of rules, by the end of their names.
const RULE_METRICS: [(&str, ReadHits); 5] = [
    ("total_hits", |hits| hits.total()),
    ("within_limit", |hits| hits.within),
    ("near_limit", |hits| hits.near + hits.room.near),
    ("over_limit", |hits| {
        hits.over.saturating_sub(hits.room.hits)
    }),
    ("shadow_mode", |hits| {
        hits.shadow.saturating_sub(hits.room.shadow)
    }),
];

/// Writes them for Prometheus. What is zero has no series, as there.
pub(super) fn expose(scrape: &Scrape<'_>, text: &mut PrometheusText) {
    let metrics = scrape.metrics;
    let extra = metrics.extra_labels.get().map_or(&[][..], Vec::as_slice);
    let extra: Vec<_> = extra
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut by_path: BTreeMap<RulePath, RuleHits> = BTreeMap::new();
    for (name, hits) in sum_by_name(scrape) {
        by_path.entry(path(&name)).or_default().add(&hits);
    }
    for (what, value) in RULE_METRICS {
        let name = format!("ratelimit_service_rate_limit_{what}");
        text.begin(&name, MetricKind::Counter);
        for ((domain, first, second), hits) in &by_path {
            let mut labels = vec![("domain", domain.as_str()), ("key1", first)];
            labels.extend(second.iter().map(|second| ("key2", second.as_str())));
            labels.extend(&extra);
            match value(hits) {
                0 => {}
                count => text.sample(&name, &labels, count),
            }
        }
    }
    let calls = CallCounts::new(scrape);
    let method = [&[METHOD], &extra[..]].concat();
    let name = "ratelimit_service_total_requests";
    text.begin(name, MetricKind::Counter);
    text.sample(name, &method, calls.requests);
    let name = "ratelimit_service_response_time_seconds";
    text.begin(name, MetricKind::Histogram);
    text.histogram(name, &method, &metrics.decision_time());
    let name = "ratelimit_service_should_rate_limit_error";
    text.begin(name, MetricKind::Counter);
    for (kind, count) in [
        ("service_error", calls.service_errors),
        ("redis_error", calls.store_errors),
    ] {
        text.sample(name, &[&[("err_type", kind)], &extra[..]].concat(), count);
    }
    for (name, count) in [
        ("ratelimit_service_config_load_success", calls.loads),
        ("ratelimit_service_config_load_error", calls.failed_loads),
        ("ratelimit_service_global_shadow_mode", calls.shadowed),
    ] {
        text.begin(name, MetricKind::Counter);
        text.sample(name, &extra, count);
    }
}

/// All counters by their names in statsd, since the start.
pub(super) fn statsd_counters(scrape: &Scrape<'_>) -> Vec<(String, u64)> {
    let mut counters = Vec::new();
    for (name, hits) in sum_by_name(scrape) {
        for (what, value) in RULE_METRICS {
            let name = format!("ratelimit.service.rate_limit.{name}.{what}");
            counters.push((name, value(&hits)));
        }
    }
    let calls = CallCounts::new(scrape);
    for (name, count) in [
        (
            "ratelimit_server.ShouldRateLimit.total_requests",
            calls.requests,
        ),
        (
            "ratelimit.service.call.should_rate_limit.service_error",
            calls.service_errors,
        ),
        (
            "ratelimit.service.call.should_rate_limit.redis_error",
            calls.store_errors,
        ),
        ("ratelimit.service.config_load_success", calls.loads),
        ("ratelimit.service.config_load_error", calls.failed_loads),
        ("ratelimit.service.global_shadow_mode", calls.shadowed),
    ] {
        counters.push((name.to_owned(), count));
    }
    counters
}

/// What is counted of calls and loads.
struct CallCounts {
    requests: u64,
    service_errors: u64,
    store_errors: u64,
    loads: u64,
    failed_loads: u64,
    /// Refusals that shadow mode of the domain turned into OK.
    shadowed: u64,
}

impl CallCounts {
    fn new(scrape: &Scrape<'_>) -> Self {
        let metrics = scrape.metrics;
        let errors = metrics.sum(|thread| thread.errors.iter().map(|count| count.get()).sum());
        let store_errors = metrics.sum(|thread| thread.failed.get());
        let decisions = scrape.decisions();
        let decided: u64 = decisions.map(|(_, one)| one.ok + one.over_limit).sum();
        Self {
            requests: decided + errors,
            service_errors: errors.saturating_sub(store_errors),
            store_errors,
            loads: metrics.reloads.successes.load(Ordering::Relaxed),
            failed_loads: metrics.reloads.failures.load(Ordering::Relaxed),
            shadowed: scrape.decisions().map(|(_, one)| one.shadow).sum(),
        }
    }
}

/// The hits of each rule, by the domain and the path.
fn sum_by_name(scrape: &Scrape<'_>) -> BTreeMap<String, RuleHits> {
    let mut sums: BTreeMap<String, RuleHits> = BTreeMap::new();
    for series in &scrape.rules {
        // envoyproxy/ratelimit does not count hits at unlimited rules.
        if !matches!(series.rule.limits, Limits::Counted(_)) {
            continue;
        }
        let levels = &*series.rule.name.levels;
        let mut add = |values: Option<&Detail>, hits: &RuleHits| {
            let mut name = series.domain.name.to_string();
            for (index, level) in levels.iter().enumerate() {
                let value = values.and_then(|values| values.get(index));
                let is_shown = series.rule.metric.detailed && !level.is_shared && !level.is_secret;
                // An empty value is part of the name as well.
                let keeps_empty = is_shown && value.is_some();
                name.push('.');
                name.push_str(&label(level, value.map(AsRef::as_ref), keeps_empty));
            }
            sums.entry(sanitized(&name)).or_default().add(hits);
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

/// The labels that the mapping makes of a name.
fn path(name: &str) -> RulePath {
    let mut pieces = name.split('.').map(str::to_owned);
    let mut next = || pieces.next();
    (
        next().unwrap_or_default(),
        next().unwrap_or_default(),
        next(),
    )
}

/// `key` or `key_value`.
fn label(level: &LevelName, sent: Option<&str>, keeps_empty: bool) -> String {
    let sent = sent.filter(|value| keeps_empty || !value.is_empty());
    match sent.or(level.matcher_text.as_deref()) {
        Some(value) => format!("{}_{value}", level.key),
        None => level.key.to_string(),
    }
}

/// A text without the characters that statsd reserves, and without the dots of addresses.
fn sanitized(text: &str) -> String {
    let text = text.replace([':', '|'], "_");
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(next) = rest.chars().next() {
        let address = address_len(rest.as_bytes());
        let (done, behind) = rest.split_at(address.unwrap_or(next.len_utf8()));
        match address {
            Some(_) => clean.push_str(&done.replace('.', "_")),
            None => clean.push_str(done),
        }
        rest = behind;
    }
    clean
}

/// The length of four numbers of up to three digits with dots between them, at the start of a text.
fn address_len(text: &[u8]) -> Option<usize> {
    let mut end = 0;
    for number in 0..4 {
        if number > 0 {
            (text.get(end) == Some(&b'.')).then_some(())?;
            end += 1;
        }
        let digits = text[end..].iter().take(3);
        let digits = digits.take_while(|byte| byte.is_ascii_digit()).count();
        (digits > 0).then_some(())?;
        end += digits;
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_dots_separate_labels() {
        let path = |name: &str| {
            let (domain, first, second) = path(name);
            (domain, first, second.unwrap_or_default())
        };
        let expected = |domain: &str, first: &str, second: &str| {
            (domain.to_owned(), first.to_owned(), second.to_owned())
        };
        assert_eq!(path("shop.user"), expected("shop", "user", ""));
        assert_eq!(path("shop.a.b.c"), expected("shop", "a", "b"));
        // A Gateway called my.gw.
        assert_eq!(path("ns/my.gw/http.a.b"), expected("ns/my", "gw/http", "a"));
    }

    #[test]
    fn dots_of_addresses_are_replaced_wherever_they_are() {
        for (text, expected) in [
            (
                "masked_remote_address_0.0.0.0/0",
                "masked_remote_address_0_0_0_0/0",
            ),
            ("host_10.0.0.1:80", "host_10_0_0_1_80"),
            ("10.0.0.7", "10_0_0_7"),
            ("1234.5.6.7", "1234_5_6_7"),
            ("1.2.3.4567", "1_2_3_4567"),
            ("1.2.3.4.5.6.7.8", "1_2_3_4.5_6_7_8"),
            ("ü 999.999.999.999 x", "ü 999_999_999_999 x"),
            ("1.2.3", "1.2.3"),
            ("1.2.3.x", "1.2.3.x"),
            ("1.2345.6.7", "1.2345.6.7"),
            ("api.example.com", "api.example.com"),
            ("a:b|c", "a_b_c"),
            ("", ""),
        ] {
            assert_eq!(sanitized(text), expected);
        }
    }
}
