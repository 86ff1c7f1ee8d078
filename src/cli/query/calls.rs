//! One call after the other, at a pace.

use std::num::NonZeroU64;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{MissedTickBehavior, interval};

use crate::client::{Answer, Client, ClientError};
use crate::clock::{Clock, Micros};
use crate::request::Request;

/// How often to ask, and how fast.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) times: NonZeroU64,
    /// The time from one call to the next; none if there is to be none.
    pub(super) interval: Option<Duration>,
}

/// What came of the calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) last: Answer,
    pub(super) ok: u64,
    pub(super) over_limit: u64,
    pub(super) first_refusal: Option<Refusal>,
    pub(super) took: Micros,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    /// Counts from 1.
    pub(super) call: u64,
    /// Since the first call.
    pub(super) after: Micros,
}

pub(super) async fn ask(
    client: &mut Client,
    request: &Request,
    pace: Pace,
) -> Result<Asked, ClientError> {
    let mut ticks = pace.interval.map(interval);
    if let Some(ticks) = &mut ticks {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    }
    let bar = progress(pace.times);
    let start = Clock::System.now();
    let mut asked = Asked::default();
    for call in 1..=pace.times.get() {
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        let answer = client.ask(request).await?;
        let after = Clock::System.now().since(start);
        asked.add(answer, Refusal { call, after });
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(asked)
}

/// On a terminal, and for more than one call.
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

impl Asked {
    fn add(&mut self, answer: Answer, call: Refusal) {
        if answer.over_limit {
            self.over_limit += 1;
            self.first_refusal.get_or_insert(call);
        } else {
            self.ok += 1;
        }
        self.took = call.after;
        self.last = answer;
    }
}
