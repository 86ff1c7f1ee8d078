//! "Everything is refused": a limit of 0, one counter for everybody, and refusals without a limit.

use crate::api::DomainOverview;
use crate::cli::doctor::finding::{Finding, Symptom};
use crate::cli::doctor::observations::{Observations, ServerView};
use crate::cli::output::{count, count_u64};

const SYMPTOM: Symptom = Symptom::EverythingIsRefused;

/// Requests below which a share says nothing.
const MIN_REQUESTS: f64 = 20.0;
/// The share of refused requests that is nearly all.
const NEARLY_ALL: f64 = 0.8;

pub(super) fn findings(seen: &Observations) -> Vec<Finding> {
    let mut findings = match &seen.server {
        Ok(server) => by_weir(seen, server),
        Err(_) => Vec::new(),
    };
    findings.extend(by_envoy(seen));
    findings
}

fn by_weir(seen: &Observations, server: &ServerView) -> Vec<Finding> {
    let of_domain = |domain| {
        let zero = zero_limits(seen, server, domain);
        match zero.is_empty() {
            true => nearly_all(seen, server, domain).into_iter().collect(),
            false => zero,
        }
    };
    let findings = server.overview.domains.iter().flat_map(of_domain);
    findings.chain(by_store(seen, server)).collect()
}

/// Rules that refuse everything that matches them, and that something has matched.
fn zero_limits(seen: &Observations, server: &ServerView, domain: &DomainOverview) -> Vec<Finding> {
    let zero = server
        .samples
        .of("weir_limit_requests")
        .iter()
        .filter(|sample| sample.value == 0.0 && sample.label("domain") == domain.name);
    let mut names: Vec<&str> = zero.map(|sample| sample.label("rule")).collect();
    names.dedup();
    let findings = names.into_iter().filter_map(|name| {
        let over = server
            .samples
            .of("weir_rule_over_limit_total")
            .iter()
            .filter(|sample| sample.label("domain") == domain.name && sample.label("rule") == name);
        let over: f64 = over.map(|sample| sample.value).sum();
        (over > 0.0).then(|| {
            SYMPTOM.finding(
                format!("rule `{name}` of domain `{}` has a limit of 0", domain.name),
                [format!(
                    "{} over the limit {}",
                    count(over, "hit"),
                    seen.period()
                )],
                "set `requests_per_unit`; 0 refuses everything, which `weir check` warns of",
            )
        })
    });
    findings.collect()
}

/// A domain that refuses nearly all requests, and whether they are of one counter.
fn nearly_all(
    seen: &Observations,
    server: &ServerView,
    domain: &DomainOverview,
) -> Option<Finding> {
    let decisions = |code| {
        let of_domain = server.samples.of("weir_decisions_total").iter();
        let of_domain = of_domain.filter(|sample| sample.label("domain") == domain.name);
        let of_code = of_domain.filter(|sample| sample.label("code") == code);
        of_code.map(|sample| sample.value).sum::<f64>()
    };
    let (ok, refused) = (decisions("ok"), decisions("over_limit"));
    let all = ok + refused;
    if all < MIN_REQUESTS || refused < all * NEARLY_ALL {
        return None;
    }
    let mut evidence = vec![format!("{refused} of {all} requests {}", seen.period())];
    let busiest = domain.rules.iter().max_by_key(|rule| rule.hits.refused());
    evidence.extend(busiest.map(|rule| {
        let limits: Vec<&str> = rule.limits.iter().map(|limit| &*limit.text).collect();
        let hits = count_u64(rule.hits.refused(), "hit");
        format!(
            "rule `{}` ({}) refused {hits} since weir started",
            rule.name,
            limits.join(", ")
        )
    }));
    let top = server.top.as_ref().ok();
    let top = top.and_then(|top| top.domains.iter().find(|top| top.name == domain.name));
    let (is_one_counter, note) = match top.map(|top| top.clients.refused.as_slice()) {
        Some([only]) => (
            true,
            Some(format!(
                "all refused hits are of one client: {}",
                only.client
            )),
        ),
        Some([]) | None => (false, None),
        Some(many) => (
            false,
            Some(format!("they are of {} or more clients", many.len())),
        ),
    };
    evidence.extend(note);
    let next_step = match is_one_counter {
        true => {
            "if clients that have nothing in common are refused together, count them by an entry whose value differs; `weir keys show` has the counters"
        }
        false => {
            "compare the limit with the traffic: `weir top` lists clients and rules, `weir replay` tries another limit"
        }
    };
    Some(SYMPTOM.finding(
        format!("domain `{}` refuses nearly all requests", domain.name),
        evidence,
        next_step,
    ))
}

/// Envoy refuses requests while weir does not answer.
fn by_envoy(seen: &Observations) -> Option<Finding> {
    let envoy = seen.envoy.as_ref()?;
    let errors = envoy.stats.of_filters("error");
    let denies = envoy.filters().any(|filter| filter.denies_on_failure);
    (denies && errors > 0).then(|| {
        SYMPTOM.finding(
            "Envoy refuses by itself: it gets no answer, and has `failure_mode_deny: true`",
            [format!("`ratelimit.error` {errors} {}", seen.envoy_period())],
            "such answers have no rate-limit headers and the response flag `RLSE`; see the findings about its cluster, and \"Calls time out\"",
        )
    })
}

/// Redis does not count, and rules may refuse then.
fn by_store(seen: &Observations, server: &ServerView) -> Option<Finding> {
    let failed = server
        .samples
        .sum_where("weir_decisions_degraded_total", "outcome", "failed");
    (failed > 0.0).then(|| {
        SYMPTOM.finding(
            "calls fail because Redis does not count, and `on_store_error: error` applies",
            [format!("{} {}", count(failed, "decision"), seen.period())],
            "repair Redis, or choose another `on_store_error`, see docs/redis.md",
        )
    })
}
