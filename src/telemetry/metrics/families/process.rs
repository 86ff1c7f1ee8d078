//! The process.

use super::{MetricFamily, counter, gauge};
use crate::clock::system_clock_jumps;
use crate::telemetry::logs::DroppedLines;

pub(super) const FAMILIES: &[MetricFamily] = &[
    gauge(
        "weir_info",
        &["version"],
        "1, labelled with the version of weir.",
        |_, out| out.labelled(&[env!("CARGO_PKG_VERSION")], 1),
    ),
    counter(
        "weir_clock_jumps_total",
        &[],
        "Jumps of the system clock by more than a second that lasted for ten seconds.",
        |_, out| out.value(system_clock_jumps()),
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
        "process_start_time_seconds",
        &[],
        "Unix time at which weir started.",
        |scrape, out| out.value(scrape.metrics.started.micros() as f64 / 1e6),
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
