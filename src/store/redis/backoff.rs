//! Growing delays between attempts.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(20);
/// The longest delay, without its jitter.
pub(super) const LONGEST: Duration = Duration::from_secs(1);

/// Delays that double from 20 ms to 1 s, each shortened by up to half at random, so that many
/// instances do not come at the same moment.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) const fn new() -> Self {
        Self(FIRST)
    }

    pub(super) fn next_delay(&mut self) -> Duration {
        let delay = self.0;
        self.0 = (delay * 2).min(LONGEST);
        let mut byte = [0; 1];
        // Without randomness only the jitter is lost.
        let _ = getrandom::fill(&mut byte);
        delay.mul_f64(0.5 + f64::from(byte[0]) / 510.0)
    }
}
