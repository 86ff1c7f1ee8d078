//! Windows aligned to the Unix epoch: at most the limit in each of them.

use bytes::BufMut;

use super::count::{Count, Encode, StateDelta, take_count, take_time};
use super::{MAX_COUNT, Rate};
use crate::clock::{Micros, Timestamp};

/// The hits of one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FixedWindowState {
    start: Timestamp,
    count: u64,
}

impl FixedWindowState {
    /// The hits counted in the window of `now`. If the clock went back, the later window is still current.
    fn used(&self, rate: &Rate, now: Timestamp) -> u64 {
        if self.start >= rate.window.around(now).0 {
            self.count
        } else {
            0
        }
    }

    fn until_end(&self, rate: &Rate, now: Timestamp) -> Micros {
        let (_, end) = rate.window.around(now.max(self.start));
        end.since(now)
    }

    fn write(&mut self, rate: &Rate, now: Timestamp, count: u64) {
        self.start = self.start.max(rate.window.around(now).0);
        self.count = count;
    }

    /// Adds a delta. Hits of a window that has ended are not added to a later one.
    pub(super) fn merge(&mut self, delta: &StateDelta<'_, Self>) {
        let start = self.start.max(delta.local.start);
        let count = delta.merged(self, |of| if of.start == start { of.count } else { 0 });
        *self = Self {
            start,
            count: count.min(MAX_COUNT),
        };
    }
}

impl Count for FixedWindowState {
    type Params = Rate;

    fn capacity(rate: &Rate) -> u64 {
        rate.requests.into()
    }

    fn correct(&mut self, rate: &Rate, now: Timestamp) {
        if self.start.since(now) > rate.window.length() {
            self.start = rate.window.around(now).0;
        }
    }

    fn admits(&self, rate: &Rate, now: Timestamp, hits: u64) -> bool {
        self.used(rate, now) + hits <= u64::from(rate.requests)
    }

    fn add(&mut self, rate: &Rate, now: Timestamp, hits: u64) {
        let count = (self.used(rate, now) + hits).min(MAX_COUNT);
        self.write(rate, now, count);
    }

    fn refund(&mut self, rate: &Rate, now: Timestamp, hits: u64) {
        let count = self.used(rate, now).saturating_sub(hits);
        self.write(rate, now, count);
    }

    fn available(&self, rate: &Rate, now: Timestamp) -> u64 {
        u64::from(rate.requests).saturating_sub(self.used(rate, now))
    }

    /// The end of the window, for any number of hits.
    fn until_admitted(&self, rate: &Rate, now: Timestamp, _hits: u64) -> Micros {
        self.until_end(rate, now)
    }

    fn until_clear(&self, rate: &Rate, now: Timestamp) -> Micros {
        self.until_end(rate, now)
    }
}

impl Encode for FixedWindowState {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.start.micros());
        out.put_u64_le(self.count);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self {
            start: take_time(bytes)?,
            count: take_count(bytes)?,
        })
    }
}
