//! "Calls time out": Envoy's timeouts and circuit breaker, rejected calls, Redis, and slow decisions.

use crate::cli::doctor::envoy::EnvoyView;
use crate::cli::doctor::finding::{Finding, Symptom};
use crate::cli::doctor::observations::{Observations, ServerView};
use crate::cli::output::{count, count_u64, escape};

const SYMPTOM: Symptom = Symptom::CallsTimeOut;

/// A decision that takes longer, in seconds, uses up a good part of Envoy's default timeout of 20 ms.
const SLOW_SECS: f64 = 0.005;
/// The share of slow decisions that is worth a finding.
const MANY: f64 = 0.01;
/// Decisions below which a share says nothing.
const MIN_DECISIONS: f64 = 100.0;

pub(super) fn findings(seen: &Observations) -> Vec<Finding> {
    let mut findings: Vec<Finding> = seen
        .envoy
        .iter()
        .flat_map(|envoy| of_envoy(seen, envoy))
        .collect();
    if let Ok(server) = &seen.server {
        findings.extend(rejections(seen, server));
        findings.extend(redis(seen, server));
        findings.extend(slow_decisions(seen, server));
    }
    findings
}

fn of_envoy(seen: &Observations, envoy: &EnvoyView) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in envoy.rate_limit_clusters() {
        let stat = |counter| envoy.stats.of_cluster(name, counter);
        let period = seen.envoy_period();
        let timeouts = stat("upstream_rq_timeout");
        if timeouts > 0 {
            let filter = envoy
                .filters()
                .find(|filter| filter.cluster.as_deref() == Some(name));
            let timeout = filter.and_then(|filter| filter.timeout.as_deref());
            findings.push(SYMPTOM.finding(
                format!("Envoy waits no longer than its `timeout`, {}", timeout.unwrap_or("20 ms by default")),
                [format!("`cluster.{name}.upstream_rq_timeout` {timeouts} of {} {period}", count_u64(stat("upstream_rq_total"), "call"))],
                "set `timeout` of the filter to 50 ms or more, and a health check with `no_traffic_interval`, so that a connection exists",
            ));
        }
        let overflow = stat("upstream_rq_pending_overflow");
        if overflow > 0 {
            findings.push(SYMPTOM.finding(
                "too many calls at once: Envoy's circuit breaker lets requests pass beyond `max_requests`",
                [format!("`cluster.{name}.upstream_rq_pending_overflow` {overflow} {period}")],
                "raise `max_requests` in `circuit_breakers` of the cluster",
            ));
        }
        let refused = stat("upstream_cx_connect_fail");
        if refused > 0 {
            findings.push(SYMPTOM.finding(
                format!("Envoy cannot always connect to its cluster `{name}`"),
                [format!("`cluster.{name}.upstream_cx_connect_fail` {refused} {period}")],
                "compare the addresses of the cluster with the gRPC port of weir, the line `serving` of its log",
            ));
        }
    }
    findings
}

fn rejections(seen: &Observations, server: &ServerView) -> impl Iterator<Item = Finding> {
    let rejected = server.samples.of("weir_rejections_total").iter();
    rejected.filter(|sample| sample.value > 0.0).map(|sample| {
        let reason = sample.label("reason");
        let next_step = match reason {
            "http1" => "add `http2_protocol_options` to the cluster of Envoy, as in examples/envoy",
            "http2" => "let the cluster of Envoy use the port of `--grpc`, not that of `--http`",
            _ => "docs/http2.md describes the reason, and the log says what to do",
        };
        SYMPTOM.finding(
            format!("calls are rejected: `{reason}`"),
            [format!(
                "`weir_rejections_total` {} {}",
                sample.value,
                seen.period()
            )],
            next_step,
        )
    })
}

fn redis(seen: &Observations, server: &ServerView) -> Option<Finding> {
    let redis = server.overview.status.store.redis.as_ref()?;
    let fallback = server.samples.sum("weir_store_fallback_hits_total");
    let cause = match &redis.unavailable_reason {
        Some(_) => {
            "Redis is unavailable, and the circuit is open: `on_store_error` of each rule applies"
        }
        None if fallback > 0.0 => {
            "Redis is slow: some hits were not counted within `--redis-deadline`"
        }
        None => return None,
    };
    let reason = redis.unavailable_reason.as_deref().map(escape);
    let fallback = format!(
        "{} not counted in Redis {}",
        count(fallback, "hit"),
        seen.period()
    );
    Some(SYMPTOM.finding(
        cause,
        reason.into_iter().chain([fallback]),
        "look at Redis and the network to it; keep Envoy's `timeout` above `--redis-deadline`, see docs/redis.md",
    ))
}

fn slow_decisions(seen: &Observations, server: &ServerView) -> Option<Finding> {
    const HISTOGRAM: &str = "weir_decision_duration_seconds";
    let decisions = server.samples.sum("weir_decision_duration_seconds_count");
    let share = server.samples.share_above(HISTOGRAM, SLOW_SECS)?;
    (share > MANY && decisions >= MIN_DECISIONS).then(|| {
        SYMPTOM.finding(
            "decisions are slow: the processor is busy, or throttled",
            [format!("{:.1} % took longer than 5 ms {}", share * 100.0, seen.period())],
            "give weir more processor time: set requests of the container, not limits; with Redis, look at its latency",
        )
    })
}
