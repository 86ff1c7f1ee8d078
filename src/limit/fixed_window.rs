//! Windows that follow each other, aligned to the Unix epoch or of a calendar: at most the limit in each of them.

use bytes::BufMut;

use super::count::{Count, Encode, StateDelta, take_count, take_time};
use super::{CalendarRate, MAX_COUNT, Rate};
use crate::clock::{Micros, Timestamp};

/// The hits of one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FixedWindowState {
    start: Timestamp,
    count: u64,
}

/// A number of hits in each of the windows that follow each other.
pub(super) trait WindowRate {
    fn requests(&self) -> u64;

    /// The start and end of the window around `now`.
    fn around(&self, now: Timestamp) -> (Timestamp, Timestamp);

    /// The length of the window around `now`.
    fn length_at(&self, now: Timestamp) -> Micros;
}

impl WindowRate for Rate {
    fn requests(&self) -> u64 {
        self.requests.into()
    }

    fn around(&self, now: Timestamp) -> (Timestamp, Timestamp) {
        self.window.around(now)
    }

    fn length_at(&self, _now: Timestamp) -> Micros {
        self.window.length()
    }
}

impl WindowRate for CalendarRate {
    fn requests(&self) -> u64 {
        self.requests.into()
    }

    fn around(&self, now: Timestamp) -> (Timestamp, Timestamp) {
        self.calendar.around(now)
    }

    fn length_at(&self, now: Timestamp) -> Micros {
        let (start, end) = self.calendar.around(now);
        end.since(start)
    }
}

impl FixedWindowState {
    /// The hits counted in the window of `now`. If the clock went back, the later window is still current.
    fn used(&self, rate: &impl WindowRate, now: Timestamp) -> u64 {
        if self.start >= rate.around(now).0 {
            self.count
        } else {
            0
        }
    }

    /// The end of the window of its hits.
    pub(super) fn ends_at(&self, window: Micros) -> Timestamp {
        match self.count {
            0 => Timestamp::default(),
            _ => self.start.plus(window),
        }
    }

    fn until_end(&self, rate: &impl WindowRate, now: Timestamp) -> Micros {
        let (_, end) = rate.around(now.max(self.start));
        end.since(now)
    }

    fn write(&mut self, rate: &impl WindowRate, now: Timestamp, count: u64) {
        self.start = self.start.max(rate.around(now).0);
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

impl<R: WindowRate> Count<R> for FixedWindowState {
    fn capacity(rate: &R) -> u64 {
        rate.requests()
    }

    fn correct(&mut self, rate: &R, now: Timestamp) {
        if self.start.since(now) > rate.length_at(now) {
            self.start = rate.around(now).0;
        }
    }

    fn admits(&self, rate: &R, now: Timestamp, hits: u64) -> bool {
        self.used(rate, now) + hits <= rate.requests()
    }

    fn add(&mut self, rate: &R, now: Timestamp, hits: u64) {
        let count = (self.used(rate, now) + hits).min(MAX_COUNT);
        self.write(rate, now, count);
    }

    fn refund(&mut self, rate: &R, now: Timestamp, hits: u64) {
        let count = self.used(rate, now).saturating_sub(hits);
        self.write(rate, now, count);
    }

    fn available(&self, rate: &R, now: Timestamp) -> u64 {
        rate.requests().saturating_sub(self.used(rate, now))
    }

    /// 0 if the hits fit now, otherwise the time until the window ends.
    fn until_admitted(&self, rate: &R, now: Timestamp, hits: u64) -> Micros {
        match self.admits(rate, now, hits) {
            true => Micros::ZERO,
            false => self.until_end(rate, now),
        }
    }

    fn until_clear(&self, rate: &R, now: Timestamp) -> Micros {
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
