//! Every metric of weir: its name, its labels, its help text, and the reader of its samples.
//!
//! A metric is one row of [`FAMILIES`]. A row contains its reader, so a metric that is listed is
//! exposed, and `docs/reference/metrics.md` is generated from the same rows.

use std::sync::atomic::Ordering::Relaxed;

use super::match_kind::MatchKind;
use super::scrape::Scrape;
use super::text::{MetricKind, Samples};
use crate::clock::system_clock_jumps;
use crate::limit::Quota;
use crate::server::http2::Rejection;
use crate::state::StateStatus;
use crate::telemetry::ServerPort;
use crate::telemetry::logs::DroppedLines;
use crate::xds::XdsStatus;

/// Metrics of one name.
#[derive(Clone, Copy, Debug)]
pub struct MetricFamily {
    /// Its name in Prometheus.
    pub name: &'static str,
    /// Its type in Prometheus.
    pub kind: MetricKind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// Its help text, one sentence.
    pub help: &'static str,
    pub(super) read: Read,
}

/// Writes all samples of a family.
type Read = fn(&Scrape<'_>, &mut Samples<'_>);

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    read: Read,
) -> MetricFamily {
    MetricFamily {
        name,
        kind: MetricKind::Counter,
        labels,
        help,
        read,
    }
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    read: Read,
) -> MetricFamily {
    MetricFamily {
        name,
        kind: MetricKind::Gauge,
        labels,
        help,
        read,
    }
}

const RULE: &[&str] = &["domain", "rule", "values"];
const LIMIT: &[&str] = &["domain", "rule", "limit"];

/// All metrics, in the order of `/metrics`.
pub const FAMILIES: &[MetricFamily] = &[
    gauge(
        "weir_info",
        &["version"],
        "1, labelled with the version of weir.",
        |_, out| out.labelled(&[env!("CARGO_PKG_VERSION")], 1),
    ),
    counter(
        "weir_decisions_total",
        &["domain", "code"],
        "Decisions by code, ok or over_limit; the domain is empty if no policy defines it.",
        |scrape, out| {
            for (domain, decisions) in scrape.decisions() {
                out.labelled(&[domain, "ok"], decisions.ok);
                out.labelled(&[domain, "over_limit"], decisions.over_limit);
            }
        },
    ),
    counter(
        "weir_decisions_shadowed_total",
        &["domain"],
        "Decisions that are OK only because the domain is in shadow mode.",
        |scrape, out| {
            for (domain, decisions) in scrape.decisions() {
                out.labelled(&[domain], decisions.shadow);
            }
        },
    ),
    counter(
        "weir_decisions_exempt_total",
        &["domain"],
        "Decisions on requests with a descriptor that is exempt, so that no limit applied.",
        |scrape, out| {
            for (domain, decisions) in scrape.decisions() {
                out.labelled(&[domain], decisions.exempt);
            }
        },
    ),
    MetricFamily {
        name: "weir_decision_duration_seconds",
        kind: MetricKind::Histogram,
        labels: &["le"],
        help: "Time from a request read to its decision. Above 1000 calls per second and worker, one in 64 is measured and weighted accordingly.",
        read: |scrape, out| out.histogram(&scrape.metrics.decision_time()),
    },
    counter(
        "weir_descriptors_total",
        &["match"],
        "Descriptors by what they matched: rule, unlimited, exempt (all of an exempt request), override, replaced (by other rules of the request), none or unknown_domain.",
        |scrape, out| {
            for kind in MatchKind::ALL {
                let sum = |index: usize| scrape.metrics.sum(|t| t.descriptors[index].get());
                out.labelled(&[kind.as_str()], sum(kind as usize));
            }
        },
    ),
    counter(
        "weir_descriptors_unmatched_total",
        &["domain"],
        "Descriptors that matched no rule of their domain, so that they were not limited; the log and the page have their keys.",
        |scrape, out| {
            for domain in scrape.policy.domains() {
                out.labelled(&[&domain.name], scrape.metrics.unmatched_total(domain));
            }
        },
    ),
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
        "weir_clock_jumps_total",
        &[],
        "Jumps of the system clock by more than a second that lasted for ten seconds.",
        |_, out| out.value(system_clock_jumps()),
    ),
    counter(
        "weir_errors_total",
        &["code"],
        "Calls that were read and answered with an error, by gRPC status code.",
        |scrape, out| {
            for (code, name) in GRPC_CODES.iter().enumerate().skip(1) {
                out.labelled(&[name], scrape.metrics.sum(|t| t.errors[code].get()));
            }
        },
    ),
    counter(
        "weir_rejections_total",
        &["reason"],
        "Calls and connections that were rejected before their message was read; the log has advice for each reason.",
        |scrape, out| {
            for reason in Rejection::ALL {
                let count = scrape.metrics.sum(|t| t.rejections.get(reason).get());
                out.labelled(&[reason.as_str()], count);
            }
        },
    ),
    counter(
        "weir_log_lines_dropped_total",
        &[],
        "Log lines that were dropped: stderr was read too slowly, or a library logged too much.",
        |scrape, out| {
            let dropped = scrape.metrics.dropped_lines.get();
            out.value(dropped.map_or(0, DroppedLines::get));
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
        "process_start_time_seconds",
        &[],
        "Unix time at which weir started.",
        |scrape, out| out.value(scrape.metrics.started.micros() as f64 / 1e6),
    ),
    counter(
        "weir_requests_cancelled_total",
        &[],
        "Requests that were cancelled before their decision.",
        |scrape, out| out.value(scrape.metrics.sum(|t| t.cancelled.get())),
    ),
    counter(
        "weir_series_capped_total",
        &[],
        "Hits counted under values=\"other\" because the rule already has 1000 series by value, or all rules together have --max-series.",
        |scrape, out| out.value(scrape.metrics.registry.lock().capped),
    ),
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
        "weir_policy_check_running_seconds",
        &[],
        "Seconds that the running check of the policy files has taken so far; above 10, the files cannot be read in time and changes are not loaded.",
        |scrape, out| out.value(scrape.metrics.policy_check_secs(scrape.now)),
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
        "weir_tls_certificate_expiry_timestamp_seconds",
        &["port", "file"],
        "Unix time at which the first certificate of a file expires: the port's certificate and its chain, or client_ca.",
        |scrape, out| {
            for port in ServerPort::ALL {
                scrape.metrics.certificates[port as usize].expiry_samples(port, out);
            }
        },
    ),
    counter(
        "weir_tls_certificate_loads_total",
        &["port", "outcome"],
        "Loads of a port's certificate: success, or failure if the previous certificate stays in force.",
        |scrape, out| {
            for port in ServerPort::ALL {
                scrape.metrics.certificates[port as usize].load_samples(port, out);
            }
        },
    ),
    gauge(
        "weir_store_counters",
        &[],
        "Counters in the store.",
        |scrape, out| out.value(scrape.store.counters),
    ),
    gauge(
        "weir_store_bytes",
        &[],
        "Estimated memory of the counters, in bytes.",
        |scrape, out| out.value(scrape.store.bytes),
    ),
    gauge(
        "weir_store_pinned",
        &[],
        "Counters over their limit, which are not evicted.",
        |scrape, out| out.value(scrape.store.pinned),
    ),
    counter(
        "weir_store_evicted_total",
        &[],
        "Counters that were evicted because memory was full.",
        |scrape, out| out.value(scrape.store.evicted),
    ),
    counter(
        "weir_store_evicted_over_limit_total",
        &[],
        "Counters over their limit that were evicted because memory was full.",
        |scrape, out| out.value(scrape.store.evicted_over_limit),
    ),
    counter(
        "weir_decisions_degraded_total",
        &["outcome"],
        "Decisions with hits that the store did not count in time: answered according to on_store_error, or failed.",
        |scrape, out| {
            out.labelled(&["answered"], scrape.metrics.sum(|t| t.degraded.get()));
            out.labelled(&["failed"], scrape.metrics.sum(|t| t.failed.get()));
        },
    ),
    gauge(
        "weir_store_up",
        &[],
        "1 if counters are in memory or Redis is available, 0 if it is not; the log states why.",
        |scrape, out| {
            let is_up = scrape.store.shared.is_none_or(|redis| redis.is_up);
            out.value(u8::from(is_up));
        },
    ),
    gauge(
        "weir_store_connections",
        &[],
        "Open connections to Redis.",
        |scrape, out| out.value(scrape.store.shared.unwrap_or_default().connections),
    ),
    counter(
        "weir_store_connects_total",
        &[],
        "Connections to Redis that were opened.",
        |scrape, out| out.value(scrape.store.shared.unwrap_or_default().connects),
    ),
    counter(
        "weir_store_round_trips_total",
        &[],
        "Commands that were sent to Redis.",
        |scrape, out| out.value(scrape.store.shared.unwrap_or_default().round_trips),
    ),
    counter(
        "weir_store_local_answers_total",
        &[],
        "Hits that were answered without asking Redis.",
        |scrape, out| out.value(scrape.store.shared.unwrap_or_default().local_answers),
    ),
    counter(
        "weir_store_fallback_hits_total",
        &[],
        "Hits that Redis did not count in time, so that on_store_error applied.",
        |scrape, out| out.value(scrape.store.shared.unwrap_or_default().fallback_hits),
    ),
    counter(
        "weir_store_writeback_hits_total",
        &[],
        "Hits that were counted locally and later flushed to Redis.",
        |scrape, out| out.value(scrape.store.shared.unwrap_or_default().writeback_hits),
    ),
    counter(
        "weir_store_writeback_dropped_hits_total",
        &[],
        "Hits that were counted locally and never flushed to Redis, because of too many counters.",
        |scrape, out| {
            out.value(
                scrape
                    .store
                    .shared
                    .unwrap_or_default()
                    .writeback_dropped_hits,
            );
        },
    ),
    gauge(
        "weir_state_up",
        &[],
        "1 if counters are written to the folder of --state or there is none, 0 if they cannot be; the log states why.",
        |scrape, out| {
            let problem = scrape.metrics.state().and_then(StateStatus::problem);
            out.value(u8::from(problem.is_none()));
        },
    ),
    gauge(
        "weir_state_lag_seconds",
        &[],
        "Seconds since the counters in the folder of --state were up to date; usually below 1; 0 without it.",
        |scrape, out| {
            let lag = scrape.metrics.state().map(StateStatus::lag);
            out.value(lag.unwrap_or_default().as_secs_f64());
        },
    ),
    gauge(
        "weir_state_disk_bytes",
        &[],
        "Bytes of the counters in the folder of --state.",
        |scrape, out| out.value(scrape.metrics.state().map_or(0, StateStatus::disk_bytes)),
    ),
    counter(
        "weir_state_written_total",
        &[],
        "Counters written to the folder of --state, once for each write.",
        |scrape, out| out.value(scrape.metrics.state().map_or(0, StateStatus::written)),
    ),
    counter(
        "weir_state_failures_total",
        &[],
        "Attempts to write to the folder of --state that failed.",
        |scrape, out| out.value(scrape.metrics.state().map_or(0, StateStatus::failures)),
    ),
    gauge(
        "weir_state_restored",
        &[],
        "Counters that were restored from the folder of --state at the start.",
        |scrape, out| out.value(scrape.metrics.state().map_or(0, StateStatus::restored)),
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
    gauge(
        "weir_connections",
        &["worker"],
        "Open gRPC connections of a worker.",
        |scrape, out| {
            for (worker, connections) in scrape.metrics.connections().iter().enumerate() {
                out.labelled(&[&worker.to_string()], connections);
            }
        },
    ),
    counter(
        "weir_http_connections_closed_total",
        &[],
        "HTTP connections that were closed because there were too many; the oldest goes first.",
        |scrape, out| out.value(scrape.metrics.http_connections_closed()),
    ),
    counter(
        "weir_http_rejections_total",
        &["status"],
        "HTTP requests that were rejected, by status: 404 is an unknown path, 405 another method, 403 an unknown host or a missing permission, 401 a wrong token, 431 a head of more than 64 KiB.",
        |scrape, out| {
            for (status, count) in scrape.metrics.http_rejections.counts() {
                out.labelled(&[&status.to_string()], count);
            }
        },
    ),
    gauge(
        "process_resident_memory_bytes",
        &[],
        "Resident memory of the process.",
        |_, out| {
            if let Some([_, resident]) = memory_bytes() {
                out.value(resident);
            }
        },
    ),
    gauge(
        "process_virtual_memory_bytes",
        &[],
        "Virtual memory of the process.",
        |_, out| {
            if let Some([whole, _]) = memory_bytes() {
                out.value(whole);
            }
        },
    ),
];

/// gRPC status codes by number.
const GRPC_CODES: [&str; 17] = [
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

/// Virtual and resident memory, from `/proc`; `None` if it is not Linux.
fn memory_bytes() -> Option<[u64; 2]> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let bytes = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    };
    Some([bytes("VmSize:")?, bytes("VmRSS:")?])
}
