//! Rules and their limits.

use super::{MetricFamily, counter, gauge};
use crate::limit::Quota;

const RULE: &[&str] = &["domain", "rule", "values"];
const LIMIT: &[&str] = &["domain", "rule", "limit"];

pub(super) const FAMILIES: &[MetricFamily] = &[
    counter(
        "weir_rule_hits_total",
        RULE,
        "Hits that matched a rule.",
        |scrape, out| scrape.rule_samples(out, |hits| hits.total()),
    ),
    counter(
        "weir_rule_within_limit_total",
        RULE,
        "Hits that were within all limits of the rule.",
        |scrape, out| scrape.rule_samples(out, |hits| hits.within),
    ),
    counter(
        "weir_rule_near_limit_total",
        RULE,
        "Hits within all limits after which more than 80 % of a limit was used.",
        |scrape, out| scrape.rule_samples(out, |hits| hits.near),
    ),
    counter(
        "weir_rule_over_limit_total",
        RULE,
        "Hits of requests that were over a limit of the rule, whether refused, let through over a soft limit, or allowed by shadow mode.",
        |scrape, out| scrape.rule_samples(out, |hits| hits.over),
    ),
    counter(
        "weir_rule_shadow_total",
        RULE,
        "Hits over a limit that were allowed by shadow mode of the rule or its domain.",
        |scrape, out| scrape.rule_samples(out, |hits| hits.shadow),
    ),
    counter(
        "weir_rule_soft_total",
        RULE,
        "Hits over a soft limit that were let through, because the response of the rule has over_limit.allow.",
        |scrape, out| scrape.rule_samples(out, |hits| hits.allowed),
    ),
    counter(
        "weir_rule_blocks_total",
        RULE,
        "Blocks that began because a limit of the rule with block_seconds was exceeded.",
        |scrape, out| scrape.rule_samples(out, |hits| hits.blocks),
    ),
    counter(
        "weir_series_capped_total",
        &[],
        "Hits counted under values=\"other\" because the rule already has 1000 series by value, or all rules together have --max-series.",
        |scrape, out| out.value(scrape.metrics.registry.lock().capped),
    ),
    counter(
        "weir_limit_over_total",
        LIMIT,
        "Hits over one limit of a rule that has several, limits in shadow mode included.",
        |scrape, out| scrape.over_limit_samples(out),
    ),
    gauge(
        "weir_limit_requests",
        LIMIT,
        "Hits that a limit allows per window.",
        |scrape, out| {
            scrape.limit_samples(out, |limit| match limit.quota() {
                Quota::Rate(rate) => Some(rate.requests),
                Quota::Concurrent(_) => None,
            });
        },
    ),
    gauge(
        "weir_limit_window_seconds",
        LIMIT,
        "Length of the window of a limit; of a calendar the present one.",
        |scrape, out| scrape.limit_samples(out, |limit| limit.window_secs_at(scrape.now)),
    ),
    gauge(
        "weir_limit_slots",
        LIMIT,
        "Slots of a concurrency limit.",
        |scrape, out| {
            scrape.limit_samples(out, |limit| match limit.quota() {
                Quota::Rate(_) => None,
                Quota::Concurrent(slots) => Some(slots),
            });
        },
    ),
    gauge(
        "weir_slots_in_use",
        &["domain", "rule"],
        "Slots of a rule's concurrency limits that this instance granted and that are in use.",
        |scrape, out| scrape.slot_samples(out),
    ),
    counter(
        "weir_lease_releases_invalid_total",
        &["reason"],
        "Releases that freed no slot: unknown if the lease holds none (expired, already released, or of another key), missing if the request names no lease.",
        |scrape, out| {
            out.labelled(&["unknown"], scrape.leases.unknown);
            out.labelled(&["missing"], scrape.leases.missing);
        },
    ),
];
