//! Windows aligned to the Unix epoch: at most the limit in each of them.

use bytes::{Buf, BufMut};

use super::apart::Own;
use super::encoding::Encode;
use super::state::Count;
use super::{Limit, MAX_COUNT};
use crate::clock::{Micros, Timestamp};

/// The hits of one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowCount {
    start: Timestamp,
    count: u64,
}

impl WindowCount {
    /// The hits counted in the window of now. A clock that went back is still in the later window.
    fn used(&self, limit: &Limit, now: Timestamp) -> u64 {
        if self.start >= limit.window.around(now).0 {
            self.count
        } else {
            0
        }
    }

    fn until_end(&self, limit: &Limit, now: Timestamp) -> Micros {
        let (_, end) = limit.window.around(now.max(self.start));
        end.since(now)
    }

    fn write(&mut self, limit: &Limit, now: Timestamp, count: u64) {
        self.start = self.start.max(limit.window.around(now).0);
        self.count = count;
    }

    /// Adds what was counted apart, if it belongs to no earlier window.
    pub(super) fn settle(&mut self, own: &Own<'_, Self>) {
        let start = self.start.max(own.own.start);
        let count = own.sum(self, |of| if of.start == start { of.count } else { 0 });
        *self = Self {
            start,
            count: count.min(MAX_COUNT),
        };
    }
}

impl Count for WindowCount {
    fn fits(&self, limit: &Limit, now: Timestamp, hits: u64) -> bool {
        self.used(limit, now) + hits <= u64::from(limit.requests_per_unit)
    }

    fn add(&mut self, limit: &Limit, now: Timestamp, hits: u64) {
        let count = (self.used(limit, now) + hits).min(MAX_COUNT);
        self.write(limit, now, count);
    }

    fn refund(&mut self, limit: &Limit, now: Timestamp, hits: u64) {
        let count = self.used(limit, now).saturating_sub(hits);
        self.write(limit, now, count);
    }

    fn remaining(&self, limit: &Limit, now: Timestamp) -> u64 {
        u64::from(limit.requests_per_unit).saturating_sub(self.used(limit, now))
    }

    /// The end of the window, whatever was asked.
    fn until_fits(&self, limit: &Limit, now: Timestamp, _hits: u64) -> Micros {
        self.until_end(limit, now)
    }

    fn until_clear(&self, limit: &Limit, now: Timestamp) -> Micros {
        self.until_end(limit, now)
    }
}

impl Encode for WindowCount {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.start.micros());
        out.put_u64_le(self.count);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self {
            start: Timestamp::from_micros(bytes.try_get_u64_le().ok()?),
            count: bytes.try_get_u64_le().ok()?,
        })
    }
}
