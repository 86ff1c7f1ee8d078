//! Says in the log that counters are being forgotten for want of memory.

use std::convert::Infallible;
use std::time::Duration;

use crate::engine::Engine;
use crate::store::Stats;

/// At most one line in this time.
const EVERY: Duration = Duration::from_secs(60);

/// Looks at the store now and then, for ever.
pub(super) async fn watch(engine: &Engine) -> Infallible {
    let mut ticks = tokio::time::interval(EVERY);
    let mut before = engine.stats();
    loop {
        ticks.tick().await;
        let now = engine.stats();
        say(&before, &now);
        before = now;
    }
}

fn say(before: &Stats, now: &Stats) {
    let evicted = now.evicted - before.evicted;
    let unpinned_early = now.unpinned_early - before.unpinned_early;
    if evicted > 0 || unpinned_early > 0 {
        tracing::warn!(
            evicted,
            evicted_over_limit = unpinned_early,
            counters = now.counters,
            bytes = now.bytes,
            "counter memory full, evicting; raise --memory"
        );
    }
}
