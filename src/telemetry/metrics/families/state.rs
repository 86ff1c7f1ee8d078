//! The state folder.

use super::{MetricFamily, counter, gauge};
use crate::state::StateStatus;

pub(super) const FAMILIES: &[MetricFamily] = &[
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
];
