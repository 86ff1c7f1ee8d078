//! Decisions, and the descriptors that they are about.

use super::{MetricFamily, counter};
use crate::telemetry::metrics::match_kind::MatchKind;
use crate::telemetry::metrics::text::MetricKind;

pub(super) const FAMILIES: &[MetricFamily] = &[
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
    counter(
        "weir_decisions_degraded_total",
        &["outcome"],
        "Decisions with hits that the store did not count in time: answered according to on_store_error, or failed.",
        |scrape, out| {
            out.labelled(&["answered"], scrape.metrics.sum(|t| t.degraded.get()));
            out.labelled(&["failed"], scrape.metrics.sum(|t| t.failed.get()));
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
];
