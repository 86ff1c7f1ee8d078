//! Repeated calls, one after another, on a schedule.

use std::num::NonZeroU64;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{MissedTickBehavior, interval};

use crate::client::{Client, ClientError, ServerAnswer};
use crate::clock::{Clock, Micros};
use crate::request::Request;

/// How many calls to make, and how fast.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    pub(super) times: NonZeroU64,
    /// The time from one call to the next; `None` to call as fast as the server answers.
    pub(super) interval: Option<Duration>,
}

/// The results of all calls.
#[derive(Clone, Debug, Default)]
pub(super) struct CallResults {
    pub(super) last: ServerAnswer,
    pub(super) ok: u64,
    pub(super) over_limit: u64,
    pub(super) first_refused: Option<RefusedCall>,
    pub(super) elapsed: Micros,
}

/// A call that was refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct RefusedCall {
    /// Counts from 1.
    pub(super) call: u64,
    /// Since the first call.
    pub(super) after: Micros,
}

pub(super) async fn run(
    client: &mut Client,
    request: &Request,
    schedule: Schedule,
) -> Result<CallResults, ClientError> {
    let mut ticks = schedule.interval.map(interval);
    if let Some(ticks) = &mut ticks {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    }
    let bar = progress(schedule.times);
    let start = Clock::System.now();
    let mut results = CallResults::default();
    for call in 1..=schedule.times.get() {
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        let answer = client.should_rate_limit(request).await?;
        let after = Clock::System.now().since(start);
        results.push(answer, RefusedCall { call, after });
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(results)
}

/// A bar on a terminal if there is more than one call.
fn progress(times: NonZeroU64) -> ProgressBar {
    if times.get() == 1 {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(times.get());
    match ProgressStyle::with_template("{wide_bar} {pos}/{len} {per_sec} {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

impl CallResults {
    fn push(&mut self, answer: ServerAnswer, call: RefusedCall) {
        if answer.over_limit {
            self.over_limit += 1;
            self.first_refused.get_or_insert(call);
        } else {
            self.ok += 1;
        }
        self.elapsed = call.after;
        self.last = answer;
    }
}
