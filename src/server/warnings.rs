//! Periodic log warnings about conditions that an operator should act on.
//!
//! Each warning compares counters with those of one interval ago, so it is logged at most once per
//! interval and only if something has happened since. The messages are listed in
//! `docs/operations.md`.

use std::convert::Infallible;
use std::time::Duration;

use crate::clock::follow_system_clock;
use crate::engine::{Engine, LeaseStats};
use crate::store::Stats;

/// Time between two checks.
const INTERVAL: Duration = Duration::from_secs(60);

/// Time between two comparisons of the clocks.
const CLOCK_INTERVAL: Duration = Duration::from_secs(1);

/// Checks the engine's counters every minute, forever.
pub(super) async fn watch(engine: &Engine) -> Infallible {
    let mut ticks = tokio::time::interval(INTERVAL);
    let mut stats = engine.stats();
    let mut leases = engine.lease_stats();
    loop {
        ticks.tick().await;
        let (new_stats, new_leases) = (engine.stats(), engine.lease_stats());
        warn_of_evictions(&stats, &new_stats);
        warn_of_ignored_releases(&leases, &new_leases);
        (stats, leases) = (new_stats, new_leases);
    }
}

/// Lets weir's clock follow the system clock, forever.
pub(super) async fn follow_clock() -> Infallible {
    let mut ticks = tokio::time::interval(CLOCK_INTERVAL);
    loop {
        ticks.tick().await;
        if let Some(jump) = follow_system_clock() {
            let seconds = jump.span.get() as f64 / 1e6;
            match jump.is_forward {
                true => tracing::warn!(seconds, "system clock jumped forward"),
                false => tracing::warn!(seconds, "system clock jumped back"),
            }
        }
    }
}

fn warn_of_evictions(before: &Stats, now: &Stats) {
    let evicted = now.evicted - before.evicted;
    let evicted_over_limit = now.evicted_over_limit - before.evicted_over_limit;
    if evicted > 0 || evicted_over_limit > 0 {
        tracing::warn!(
            evicted,
            evicted_over_limit,
            counters = now.counters,
            bytes = now.bytes,
            "counter memory full, evicting; raise --memory"
        );
    }
}

fn warn_of_ignored_releases(before: &LeaseStats, now: &LeaseStats) {
    let missing = now.missing - before.missing;
    if missing > 0 {
        tracing::warn!(
            calls = missing,
            "release ignored, no lease ID: send the `lease` of dynamic_metadata as the last entry, \
             see docs/policy.md"
        );
    }
    let unknown = now.unknown - before.unknown;
    if unknown > 0 {
        tracing::warn!(
            calls = unknown,
            "release ignored, lease not found: it has expired, was already released, or is of another \
             key; lease_seconds must be longer than the work takes"
        );
    }
}
