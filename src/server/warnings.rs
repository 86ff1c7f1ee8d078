//! Periodic log warnings about conditions that an operator should act on.
//!
//! Each warning compares counters with those of one interval ago, so it is logged at most once per
//! interval and only if something has happened since. The messages are listed in
//! `docs/reference/events.md`.

use std::convert::Infallible;
use std::mem;
use std::time::Duration;

use crate::clock::{Clock, follow_system_clock};
use crate::engine::{Engine, LeaseStats};
use crate::state::{StateProblem, StateStatus};
use crate::store::Stats;
use crate::telemetry::Metrics;

/// Time between two checks.
const INTERVAL: Duration = Duration::from_secs(60);

/// Time between two comparisons of the clocks.
const CLOCK_INTERVAL: Duration = Duration::from_secs(1);

/// Time between two looks at the check of the policy files.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Time between two looks at the writing of the state.
const STATE_INTERVAL: Duration = Duration::from_secs(1);

/// A state that is not written is reported this often, however often that begins and ends.
const STATE_REPORT_SECS: u64 = 60;

/// A check of the policy files that takes longer is reported.
const MAX_CHECK_SECS: u64 = 10;

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

/// Reports checks of the policy files that do not finish in time, forever.
pub(super) async fn watch_policy_checks(metrics: &Metrics) -> Infallible {
    let mut ticks = tokio::time::interval(CHECK_INTERVAL);
    let mut watch = CheckWatch::default();
    loop {
        ticks.tick().await;
        let seconds = metrics.policy_check_secs(Clock::System.now());
        match watch.observe(seconds) {
            Some(CheckEvent::Stuck) => tracing::warn!(
                seconds,
                "policy files cannot be read in time, changes are not loaded"
            ),
            Some(CheckEvent::Over) => tracing::info!("policy files can be read again"),
            None => {}
        }
    }
}

/// Reports that counters are not written to the disk, forever.
pub(super) async fn watch_state(metrics: &Metrics) -> Infallible {
    let mut ticks = tokio::time::interval(STATE_INTERVAL);
    let mut watch = StateWatch::default();
    loop {
        ticks.tick().await;
        let problem = metrics.state().and_then(StateStatus::problem);
        match watch.observe(problem, Clock::System.now().secs_ceil()) {
            Some(StateEvent::NotWritten(problem)) => tracing::warn!(
                reason = %problem,
                "counters cannot be written to --state; decisions continue, but a restart would lose them"
            ),
            Some(StateEvent::WrittenAgain) => {
                tracing::info!("counters are written to --state again");
            }
            None => {}
        }
    }
}

/// What was reported of the writing of the state.
#[derive(Debug, Default)]
struct StateWatch {
    /// When the last problem was reported, in seconds; `None` before the first.
    reported_at_secs: Option<u64>,
    /// Whether the last report was of a problem.
    is_reported: bool,
}

/// What to report of the writing of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
enum StateEvent {
    NotWritten(StateProblem),
    WrittenAgain,
}

impl StateWatch {
    /// What to report, if this is the problem now.
    fn observe(&mut self, problem: Option<StateProblem>, now_secs: u64) -> Option<StateEvent> {
        let Some(problem) = problem else {
            return mem::take(&mut self.is_reported).then_some(StateEvent::WrittenAgain);
        };
        let reported = self.reported_at_secs;
        let is_due = reported.is_none_or(|at| now_secs.abs_diff(at) >= STATE_REPORT_SECS);
        if !is_due {
            return None;
        }
        self.reported_at_secs = Some(now_secs);
        self.is_reported = true;
        Some(StateEvent::NotWritten(problem))
    }
}

/// Whether a check that takes too long was reported.
#[derive(Debug, Default)]
struct CheckWatch {
    is_reported: bool,
}

/// What to report of checks of the policy files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CheckEvent {
    Stuck,
    Over,
}

impl CheckWatch {
    /// What to report of a check that has taken this long so far.
    fn observe(&mut self, seconds: u64) -> Option<CheckEvent> {
        match (seconds >= MAX_CHECK_SECS, self.is_reported) {
            (true, false) => {
                self.is_reported = true;
                Some(CheckEvent::Stuck)
            }
            (false, true) => {
                self.is_reported = false;
                Some(CheckEvent::Over)
            }
            (true, true) | (false, false) => None,
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
             see docs/policy/concurrency.md"
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn a_state_that_is_not_written_is_reported_at_most_once_a_minute() {
        let failed = || Some(StateProblem::Failed("disk full".to_owned()));
        let mut watch = StateWatch::default();
        assert_eq!(watch.observe(None, 100), None);
        let reported = Some(StateEvent::NotWritten(failed().unwrap()));
        assert_eq!(watch.observe(failed(), 101), reported);
        assert_eq!(watch.observe(failed(), 102), None);
        assert_eq!(watch.observe(None, 103), Some(StateEvent::WrittenAgain));
        assert_eq!(watch.observe(failed(), 104), None);
        assert_eq!(watch.observe(None, 105), None);
        assert_eq!(watch.observe(failed(), 160), None);
        assert_eq!(watch.observe(failed(), 161), reported);
    }

    #[test]
    fn a_check_that_does_not_finish_is_reported_once_and_so_is_its_end() {
        let metrics = Metrics::default();
        let at = |secs: u64| Timestamp::from_secs(1_700_000_000 + secs);
        let mut watch = CheckWatch::default();
        let mut seen =
            |metrics: &Metrics, secs: u64| watch.observe(metrics.policy_check_secs(at(secs)));
        assert_eq!(seen(&metrics, 0), None);
        metrics.policy_check_began(at(0));
        assert_eq!(seen(&metrics, 9), None);
        assert_eq!(seen(&metrics, 10), Some(CheckEvent::Stuck));
        assert_eq!(seen(&metrics, 1_000), None);
        metrics.policy_check_ended();
        assert_eq!(seen(&metrics, 1_001), Some(CheckEvent::Over));
        assert_eq!(seen(&metrics, 1_002), None);
    }
}
