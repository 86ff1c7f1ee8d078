//! "Nothing is limited", as far as Envoy knows: its filter, the cluster of that filter, and answers that it did not get.

use crate::cli::doctor::envoy::EnvoyView;
use crate::cli::doctor::finding::{Finding, Symptom};
use crate::cli::doctor::observations::Observations;
use crate::cli::output::count_u64;

const SYMPTOM: Symptom = Symptom::NothingIsLimited;

pub(super) fn findings(seen: &Observations) -> Vec<Finding> {
    let Some(envoy) = &seen.envoy else {
        return Vec::new();
    };
    if envoy.filters().next().is_none() {
        return vec![SYMPTOM.finding(
            "Envoy has no rate-limit filter",
            [format!(
                "HTTP connection managers in its configuration: {}",
                envoy.chains.len()
            )],
            "add `envoy.filters.http.ratelimit` to the chain, before the router",
        )];
    }
    let mut findings = Vec::new();
    for name in envoy.rate_limit_clusters() {
        findings.extend(cluster(envoy, name));
    }
    findings.extend(switched_off(envoy));
    findings.extend(not_asked(seen, envoy));
    findings.extend(let_through(seen, envoy));
    findings
}

/// A cluster that is missing, speaks HTTP/1, or has instances that Envoy does not use.
fn cluster(envoy: &EnvoyView, name: &str) -> Option<Finding> {
    let Some(cluster) = envoy.clusters.get(name) else {
        return Some(SYMPTOM.finding(
            format!("Envoy has no cluster `{name}`, which its rate-limit filter calls"),
            [],
            "define the cluster, or correct `cluster_name` of the filter",
        ));
    };
    let http1 = envoy.stats.of_cluster(name, "upstream_cx_http1_total");
    let http2 = envoy.stats.of_cluster(name, "upstream_cx_http2_total");
    if cluster.has_http2 == Some(false) || (http1 > 0 && http2 == 0) {
        return Some(SYMPTOM.finding(
            format!("Envoy's cluster `{name}` speaks HTTP/1, and gRPC needs HTTP/2"),
            [format!("it has no `http2_protocol_options`; connections: {http1} with HTTP/1, {http2} with HTTP/2")],
            "add `explicit_http_config: {http2_protocol_options: {}}` to the cluster, as in examples/envoy",
        ));
    }
    if cluster.hosts.is_empty() {
        return Some(SYMPTOM.finding(
            format!("Envoy's cluster `{name}` has no endpoint"),
            [],
            "check that its name resolves, or that the Service has endpoints",
        ));
    }
    let faults = cluster.hosts.iter().filter_map(|host| {
        let fault = host.fault.as_ref()?;
        Some(format!("{} is `{fault}`", host.address))
    });
    let faults: Vec<String> = faults.collect();
    let all = cluster.hosts.len();
    (!faults.is_empty()).then(|| {
        SYMPTOM.finding(
            format!("{} of {all} endpoints of Envoy's cluster `{name}` are unhealthy", faults.len()),
            faults,
            "compare the addresses with the gRPC port of weir, the line `serving` of its log; an instance that shuts down is unhealthy, too",
        )
    })
}

fn switched_off(envoy: &EnvoyView) -> impl Iterator<Item = Finding> {
    envoy.filters().filter_map(|filter| {
        let switch = filter.switched_off?;
        Some(SYMPTOM.finding(
            format!(
                "Envoy's filter for the domain `{}` has `{switch}` at 0 %",
                filter.domain
            ),
            [],
            format!("remove `{switch}` from the filter, or raise it"),
        ))
    })
}

/// Requests that Envoy received and did not ask about.
fn not_asked(seen: &Observations, envoy: &EnvoyView) -> Option<Finding> {
    let asked: u64 = ["ok", "over_limit", "error"]
        .iter()
        .map(|counter| envoy.stats.of_filters(counter))
        .sum();
    let with_filter = envoy
        .chains
        .iter()
        .filter(|chain| !chain.filters.is_empty());
    let requests: u64 = with_filter
        .map(|chain| envoy.stats.requests(&chain.name))
        .sum();
    (asked == 0 && requests > 0).then(|| {
        SYMPTOM.finding(
            "Envoy receives requests and asks weir about none of them",
            [format!("{} {}; `ratelimit.ok`, `over_limit` and `error` are 0", count_u64(requests, "request"), seen.envoy_period())],
            "no `rate_limits` applies: check that the headers that its actions name are sent, and that no `rate_limits` of the filter replaces that of the route",
        )
    })
}

/// Requests that passed, or were refused, because there was no answer.
fn let_through(seen: &Observations, envoy: &EnvoyView) -> Option<Finding> {
    let allowed = envoy.stats.of_filters("failure_mode_allowed");
    let errors = envoy.stats.of_filters("error");
    (allowed > 0).then(|| {
        SYMPTOM.finding(
            "Envoy lets requests pass unchecked, because it gets no answer",
            [format!("`ratelimit.error` {errors}, `failure_mode_allowed` {allowed} {}", seen.envoy_period())],
            "see the findings about its cluster, and \"Calls time out\"; `--during 10` shows whether the counters still grow",
        )
    })
}
