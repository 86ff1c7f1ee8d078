//! Says in the log that slots were to be given back and were not.

use std::convert::Infallible;
use std::time::Duration;

use crate::engine::{Engine, LeaseStats};

/// At most one line of each kind in this time.
const EVERY: Duration = Duration::from_secs(60);

/// Looks at what came back now and then, for ever.
pub(super) async fn watch(engine: &Engine) -> Infallible {
    let mut ticks = tokio::time::interval(EVERY);
    let mut before = engine.lease_stats();
    loop {
        ticks.tick().await;
        let now = engine.lease_stats();
        say(&before, &now);
        before = now;
    }
}

fn say(before: &LeaseStats, now: &LeaseStats) {
    let unnamed = now.unnamed - before.unnamed;
    if unnamed > 0 {
        tracing::warn!(
            calls = unnamed,
            "release ignored, no lease ID: send the `lease` of dynamic_metadata as the last entry, see docs/policy.md"
        );
    }
    let not_held = now.not_held - before.not_held;
    if not_held > 0 {
        tracing::warn!(
            calls = not_held,
            "release ignored, lease not found: it has expired, was already released, or is of another key; \
             lease_seconds must be longer than the work takes"
        );
    }
}
