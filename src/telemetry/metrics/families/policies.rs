//! The policy in force, its loads, and the configuration server.

use std::sync::atomic::Ordering::Relaxed;

use super::{MetricFamily, counter, gauge};
use crate::xds::XdsStatus;

pub(super) const FAMILIES: &[MetricFamily] = &[
    gauge(
        "weir_policy_info",
        &["hash"],
        "1, labelled with a checksum of the policy files in force: instances with the same files have the same.",
        |scrape, out| {
            let hash = scrape.metrics.policy_hash().unwrap_or_default();
            out.labelled(&[&hash], 1);
        },
    ),
    gauge(
        "weir_policy_source_info",
        &["source"],
        "Where policies come from: files, or xds, a configuration server; always 1.",
        |scrape, out| {
            let source = scrape.metrics.xds().map_or("files", |_| "xds");
            out.labelled(&[source], 1);
        },
    ),
    gauge(
        "weir_policy_generation",
        &[],
        "Number of the policy in force; the first is 1.",
        |scrape, out| out.value(scrape.metrics.generation()),
    ),
    gauge(
        "weir_policy_domains",
        &[],
        "Domains of the policy in force.",
        |scrape, out| out.value(scrape.policy.domain_count()),
    ),
    gauge(
        "weir_policy_rules",
        &[],
        "Rules of the policy in force.",
        |scrape, out| out.value(scrape.policy.rule_count()),
    ),
    gauge(
        "weir_policy_loaded_timestamp_seconds",
        &[],
        "Unix time at which the policy in force was loaded.",
        |scrape, out| out.value(scrape.metrics.reloads.loaded_at_secs.load(Relaxed)),
    ),
    gauge(
        "weir_policy_last_load_successful",
        &[],
        "1 if the last load of the policies is in force, 0 if it was rejected and the previous policy stays in force.",
        |scrape, out| {
            let load = scrape.metrics.last_load();
            out.value(u8::from(load.is_none_or(|load| load.error.is_none())));
        },
    ),
    gauge(
        "weir_policy_check_running_seconds",
        &[],
        "Seconds that the running check of the policy files has taken so far; above 10, the files cannot be read in time and changes are not loaded.",
        |scrape, out| out.value(scrape.metrics.policy_check_secs(scrape.now)),
    ),
    counter(
        "weir_reloads_total",
        &["outcome"],
        "Policy loads: success, or failure if the previous policy stays in force.",
        |scrape, out| {
            let reloads = &scrape.metrics.reloads;
            out.labelled(&["success"], reloads.successes.load(Relaxed));
            out.labelled(&["failure"], reloads.failures.load(Relaxed));
        },
    ),
    gauge(
        "weir_xds_connected",
        &[],
        "1 if policies come from files or the configuration server is connected, 0 if it is not.",
        |scrape, out| {
            let xds = scrape.metrics.xds();
            out.value(u64::from(xds.is_none_or(XdsStatus::is_connected)));
        },
    ),
    counter(
        "weir_xds_responses_total",
        &["result"],
        "Configurations from the configuration server: accepted, unchanged, or rejected because a domain has errors.",
        |scrape, out| {
            let xds = scrape.metrics.xds();
            let none = XdsStatus::default;
            for (result, count) in xds.map_or_else(|| none().responses(), XdsStatus::responses) {
                out.labelled(&[result], count);
            }
        },
    ),
];
