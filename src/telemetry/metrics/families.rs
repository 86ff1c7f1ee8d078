//! Every metric there is.

/// Metrics of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricFamily {
    /// The name that Prometheus knows it by.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: MetricKind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, in a sentence.
    pub help: &'static str,
}

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Goes up only.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

impl MetricKind {
    /// Its name in Prometheus' format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> MetricFamily {
    MetricFamily {
        name,
        kind: MetricKind::Counter,
        labels,
        help,
    }
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> MetricFamily {
    MetricFamily {
        name,
        kind: MetricKind::Gauge,
        labels,
        help,
    }
}

const OF_RULE: &[&str] = &["domain", "rule", "values"];
const OF_LIMIT: &[&str] = &["domain", "rule", "limit"];

/// All of them, in the order in which they are written.
pub const FAMILIES: &[MetricFamily] = &[
    gauge("weir_info", &["version"], "1, with the version of weir."),
    counter(
        "weir_decisions_total",
        &["domain", "code"],
        "Calls that were decided: code is ok or over_limit; domain is empty if no policy has the one that was asked.",
    ),
    counter(
        "weir_decisions_shadowed_total",
        &["domain"],
        "Calls that are OK only because the domain is in shadow mode.",
    ),
    MetricFamily {
        name: "weir_decision_duration_seconds",
        kind: MetricKind::Histogram,
        labels: &["le"],
        help: "Time from a request read to its decision. Beyond 1000 calls a second and worker one of 64 is measured and counts for all.",
    },
    counter(
        "weir_descriptors_total",
        &["match"],
        "Descriptors by what they matched: rule, unlimited, override, none or unknown_domain.",
    ),
    counter("weir_rule_hits_total", OF_RULE, "Hits that met a rule."),
    counter(
        "weir_rule_within_limit_total",
        OF_RULE,
        "Hits that were within all limits of the rule.",
    ),
    counter(
        "weir_rule_near_limit_total",
        OF_RULE,
        "Hits within, after which more than 0.8 of a limit was used up.",
    ),
    counter(
        "weir_rule_over_limit_total",
        OF_RULE,
        "Hits of calls that were over a limit of the rule, let pass by shadow mode or not.",
    ),
    counter(
        "weir_rule_shadow_total",
        OF_RULE,
        "Hits over a limit that shadow mode, the rule's or its domain's, let pass.",
    ),
    counter(
        "weir_limit_over_total",
        OF_LIMIT,
        "Hits over one limit of a rule that has a list of them, limits in shadow mode included.",
    ),
    gauge(
        "weir_limit_requests",
        OF_LIMIT,
        "Hits that a limit allows per window.",
    ),
    gauge(
        "weir_limit_window_seconds",
        OF_LIMIT,
        "The length of a limit's window.",
    ),
    gauge(
        "weir_limit_slots",
        OF_LIMIT,
        "Slots of a concurrency limit.",
    ),
    counter(
        "weir_errors_total",
        &["code"],
        "Calls that were answered with an error, by gRPC status code.",
    ),
    counter(
        "weir_requests_cancelled_total",
        &[],
        "Calls that their client gave up before they were decided.",
    ),
    counter(
        "weir_series_capped_total",
        &[],
        "Hits counted under values=\"other\", because the rule has 1000 series by value already.",
    ),
    gauge(
        "weir_policy_generation",
        &[],
        "How many policies were in force since the start.",
    ),
    gauge(
        "weir_policy_domains",
        &[],
        "Domains of the policy in force.",
    ),
    gauge("weir_policy_rules", &[], "Rules of the policy in force."),
    gauge(
        "weir_policy_loaded_timestamp_seconds",
        &[],
        "When the policy in force was loaded, in Unix seconds.",
    ),
    counter(
        "weir_reloads_total",
        &["outcome"],
        "Policy loads: success, or failure if the files have errors and the previous policy stays in force.",
    ),
    gauge("weir_store_counters", &[], "Counters in the store."),
    gauge(
        "weir_store_bytes",
        &[],
        "Bytes that the counters are reckoned to take.",
    ),
    gauge(
        "weir_store_pinned",
        &[],
        "Counters over their limit that are kept whatever else comes.",
    ),
    counter(
        "weir_store_evicted_total",
        &[],
        "Counters that were forgotten for want of memory.",
    ),
    counter(
        "weir_store_evicted_over_limit_total",
        &[],
        "Counters over their limit that were forgotten for want of memory.",
    ),
    counter(
        "weir_decisions_degraded_total",
        &["outcome"],
        "Decisions with hits that could not be counted where they should be: answered as on_store_error says, or failed.",
    ),
    gauge(
        "weir_store_up",
        &[],
        "1 if counters are in memory or Redis is reachable, 0 if it is not; the log says why.",
    ),
    gauge(
        "weir_store_connections",
        &[],
        "Connections to Redis that take calls.",
    ),
    counter(
        "weir_store_connects_total",
        &[],
        "Connections to Redis that were made.",
    ),
    counter(
        "weir_store_round_trips_total",
        &[],
        "Commands that were sent to Redis.",
    ),
    counter(
        "weir_store_local_answers_total",
        &[],
        "Hits that were answered without asking Redis.",
    ),
    counter(
        "weir_store_fallback_hits_total",
        &[],
        "Hits that could not be counted in Redis, so that the rules' on_store_error held.",
    ),
    counter(
        "weir_store_writeback_hits_total",
        &[],
        "Hits that were counted here, in an outage or a batch, and added in Redis afterwards.",
    ),
    counter(
        "weir_store_writeback_dropped_hits_total",
        &[],
        "Hits that were counted here in an outage and never added in Redis: of too many counters.",
    ),
    counter(
        "weir_lease_releases_invalid_total",
        &["reason"],
        "Releases that freed no slot: unknown if the lease holds none (expired, already released, or of another key), missing if the request names no lease.",
    ),
    gauge(
        "weir_connections",
        &["worker"],
        "Connections that a worker has.",
    ),
    gauge(
        "process_resident_memory_bytes",
        &[],
        "Resident memory of the process.",
    ),
];
