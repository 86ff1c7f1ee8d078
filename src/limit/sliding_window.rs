//! A window that slides in sixteenths of its length, called segments.
//!
//! A hit counts until the end of its segment plus one window. So any interval of the window's
//! length sees at most the limit, room returns at most one segment late, and the state has a fixed
//! size.

use bytes::BufMut;

use super::count::{Count, Encode, StateDelta, take_count, take_time};
use super::{MAX_COUNT, Rate};
use crate::clock::{Micros, Timestamp};

/// 16 divides every whole number of seconds in microseconds.
const SEGMENTS_PER_WINDOW: u64 = 16;

/// Hits of the current segment and of the whole window before it can count.
const SEGMENTS_KEPT: u64 = SEGMENTS_PER_WINDOW + 1;

/// Hits by segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlidingWindowState {
    /// The number, since the epoch, of the newest segment that was written.
    newest: u64,
    /// Segment `n` is at index `n % SEGMENTS_KEPT`; those before `newest - SEGMENTS_PER_WINDOW` are gone.
    counts: [u64; SEGMENTS_KEPT as usize],
}

impl SlidingWindowState {
    fn used(&self, rate: &Rate, now: Timestamp) -> u64 {
        let segments = self.live(rate, now);
        segments.map(|segment| self.count(segment)).sum()
    }

    /// The time until `hits` of those counted now no longer count.
    fn until_gone(&self, rate: &Rate, now: Timestamp, hits: u64) -> Micros {
        if hits == 0 {
            return Micros::ZERO;
        }
        let mut gone = 0;
        let mut last = self.newest;
        for segment in self.live(rate, now) {
            gone += self.count(segment);
            if gone >= hits {
                last = segment;
                break;
            }
        }
        let end = (last + 1 + SEGMENTS_PER_WINDOW) * segment_micros(rate);
        Timestamp::from_micros(end).since(now)
    }

    /// When the hits of the newest segment no longer count.
    pub(super) fn ends_at(&self, window: Micros) -> Timestamp {
        let segment = window.get() / SEGMENTS_PER_WINDOW;
        Timestamp::from_micros(
            self.newest
                .saturating_add(SEGMENTS_KEPT)
                .saturating_mul(segment),
        )
    }

    /// The segments whose hits count now, oldest first. If the clock went back, the newest one is still current.
    fn live(&self, rate: &Rate, now: Timestamp) -> std::ops::RangeInclusive<u64> {
        let current = segment_at(rate, now).max(self.newest);
        current.saturating_sub(SEGMENTS_PER_WINDOW)..=self.newest
    }

    /// Makes the segment of `now` the newest, clears those that it replaces, and returns its number.
    fn advance(&mut self, rate: &Rate, now: Timestamp) -> u64 {
        self.advance_to(segment_at(rate, now))
    }

    fn advance_to(&mut self, segment: u64) -> u64 {
        let current = segment.max(self.newest);
        let passed = (current - self.newest).min(SEGMENTS_KEPT);
        for segment in current + 1 - passed..=current {
            *self.count_mut(segment) = 0;
        }
        self.newest = current;
        current
    }

    /// Adds a delta, segment by segment. Hits that no longer count are left out.
    pub(super) fn merge(&mut self, delta: &StateDelta<'_, Self>) {
        let newest = self.advance_to(delta.local.newest);
        let mut room = MAX_COUNT;
        for segment in (newest.saturating_sub(SEGMENTS_PER_WINDOW)..=newest).rev() {
            let count = delta.merged(self, |of| match of.keeps(segment) {
                true => of.count(segment),
                false => 0,
            });
            *self.count_mut(segment) = count.min(room);
            room -= self.count(segment);
        }
    }

    /// The same hits, each as long ago, with `newest` as the newest segment.
    #[cold]
    fn moved_to(&self, newest: u64) -> Self {
        let mut moved = Self {
            newest,
            counts: Default::default(),
        };
        for age in 0..SEGMENTS_KEPT.min(newest + 1) {
            *moved.count_mut(newest - age) = self.count(self.newest - age);
        }
        moved
    }

    fn keeps(&self, segment: u64) -> bool {
        (self.newest.saturating_sub(SEGMENTS_PER_WINDOW)..=self.newest).contains(&segment)
    }

    fn count(&self, segment: u64) -> u64 {
        self.counts[(segment % SEGMENTS_KEPT) as usize]
    }

    fn count_mut(&mut self, segment: u64) -> &mut u64 {
        &mut self.counts[(segment % SEGMENTS_KEPT) as usize]
    }
}

impl Count<Rate> for SlidingWindowState {
    fn capacity(rate: &Rate) -> u64 {
        rate.requests.into()
    }

    fn correct(&mut self, rate: &Rate, now: Timestamp) {
        let newest = Timestamp::from_micros(self.newest.saturating_mul(segment_micros(rate)));
        if newest.since(now) > rate.window.length() {
            *self = self.moved_to(segment_at(rate, now));
        }
    }

    fn admits(&self, rate: &Rate, now: Timestamp, hits: u64) -> bool {
        self.used(rate, now) + hits <= u64::from(rate.requests)
    }

    fn add(&mut self, rate: &Rate, now: Timestamp, hits: u64) {
        let room = MAX_COUNT.saturating_sub(self.used(rate, now));
        let current = self.advance(rate, now);
        *self.count_mut(current) += hits.min(room);
    }

    /// Refunds from the oldest segment first: those hits would have ended soonest.
    fn refund(&mut self, rate: &Rate, now: Timestamp, hits: u64) {
        self.advance(rate, now);
        let mut left = hits;
        for segment in self.live(rate, now) {
            let count = self.count_mut(segment);
            let refunded = left.min(*count);
            *count -= refunded;
            left -= refunded;
        }
    }

    fn available(&self, rate: &Rate, now: Timestamp) -> u64 {
        u64::from(rate.requests).saturating_sub(self.used(rate, now))
    }

    /// Exact to the microsecond, if no other hits come first.
    fn until_admitted(&self, rate: &Rate, now: Timestamp, hits: u64) -> Micros {
        let requests = u64::from(rate.requests);
        let needed = (self.used(rate, now) + hits.min(requests)).saturating_sub(requests);
        self.until_gone(rate, now, needed)
    }

    fn until_clear(&self, rate: &Rate, now: Timestamp) -> Micros {
        self.until_gone(rate, now, self.used(rate, now))
    }
}

impl Encode for SlidingWindowState {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.newest);
        for count in self.counts {
            out.put_u64_le(count);
        }
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        // A segment lasts at least a microsecond.
        let newest = take_time(bytes)?.micros();
        let mut counts = [0; SEGMENTS_KEPT as usize];
        for count in &mut counts {
            *count = take_count(bytes)?;
        }
        let is_valid = counts.iter().sum::<u64>() <= MAX_COUNT;
        is_valid.then_some(Self { newest, counts })
    }
}

fn segment_micros(rate: &Rate) -> u64 {
    rate.window.length().get() / SEGMENTS_PER_WINDOW
}

fn segment_at(rate: &Rate, now: Timestamp) -> u64 {
    now.micros() / segment_micros(rate)
}
