//! A bucket of `burst` tokens that fills at the limit's rate: at most `burst + rate × t` hits in any time `t`.
//!
//! This is the generic cell rate algorithm (ITU-T I.371, annex A, "virtual scheduling"), kept as
//! the bucket's debt and the moment at which it was reckoned. The debt is counted in small whole
//! parts of a hit, so that a hit costs a whole number of them and a microsecond pays back a whole
//! number of them; where no such number is small enough a hit costs a little more, at most two
//! millionths, never less.

use bytes::{Buf, BufMut};

use super::apart::Own;
use super::encoding::Encode;
use super::state::Count;
use super::{Limit, MAX_COUNT, Window};
use crate::clock::{Micros, Timestamp};

/// The size of a bucket, and its rate in small whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenBucket {
    burst: u32,
    rate: Rate,
}

/// What a hit costs and a microsecond pays back, in parts of a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Rate {
    cost: u64,
    payback: u64,
}

/// Why a bucket cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidBucket {
    /// More than a million hits a second: time has no finer grain than a microsecond.
    TooFast,
    /// Filling the bucket would take more than 2^52 microseconds, 142 years.
    TooSlow,
}

/// The parts of a hit: enough that any `burst` of 32 bits stays within [`MAX_COUNT`].
const MAX_PARTS: u64 = 1 << 20;

impl TokenBucket {
    /// A bucket of `burst` tokens, filled with `requests_per_unit` tokens per window.
    ///
    /// # Errors
    /// When the rate is too fast or the bucket too slow to fill.
    pub fn new(burst: u32, requests_per_unit: u32, window: Window) -> Result<Self, InvalidBucket> {
        let rate = Rate::new(requests_per_unit, window);
        if rate.cost < rate.payback {
            return Err(InvalidBucket::TooFast);
        }
        if u64::from(burst).saturating_mul(rate.cost) / rate.payback.max(1) > MAX_COUNT
            || u64::from(burst).saturating_mul(rate.cost) > MAX_COUNT
        {
            return Err(InvalidBucket::TooSlow);
        }
        Ok(Self { burst, rate })
    }

    /// A bucket that holds nothing.
    pub(super) const NONE: Self = Self {
        burst: 0,
        rate: Rate {
            cost: 1,
            payback: 0,
        },
    };

    /// The bucket's size in hits.
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// The parts that a hit is counted in: what it costs.
    pub(crate) const fn parts_per_hit(self) -> u64 {
        self.rate.cost
    }

    /// The parts that a microsecond pays back.
    pub(crate) const fn parts_per_micro(self) -> u64 {
        self.rate.payback
    }

    /// The bucket's size in parts.
    pub(crate) const fn capacity(self) -> u64 {
        self.burst as u64 * self.rate.cost
    }

    const fn price(self, hits: u64) -> u64 {
        hits.saturating_mul(self.rate.cost)
    }
}

impl Rate {
    fn new(requests_per_unit: u32, window: Window) -> Self {
        let (micros, requests) = (window.length().get(), u64::from(requests_per_unit));
        if requests == 0 {
            return Self {
                cost: 1,
                payback: 0,
            };
        }
        let divisor = gcd(micros, requests);
        if micros / divisor <= MAX_PARTS {
            return Self {
                cost: micros / divisor,
                payback: requests / divisor,
            };
        }
        // Rounding up the cost goes against the client; a cost near MAX_PARTS makes it small.
        let payback = ((MAX_PARTS - 1) * requests / micros).max(1);
        Self {
            cost: (micros * payback).div_ceil(requests),
            payback,
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// How much a bucket lacks of being full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Debt {
    /// When it was reckoned; debt falls from then on.
    at: Timestamp,
    /// In parts of a hit.
    parts: u64,
    /// How many of those parts are a hit; a changed limit converts them.
    cost: u64,
}

impl Debt {
    /// The debt now. A clock that went back pays nothing.
    fn now(&self, limit: &Limit, now: Timestamp) -> u64 {
        let parts = if self.cost == limit.bucket().rate.cost || self.parts == 0 {
            self.parts
        } else {
            self.converted(limit)
        };
        parts.saturating_sub(
            now.since(self.at)
                .get()
                .saturating_mul(limit.bucket().rate.payback),
        )
    }

    /// The same number of hits in the parts of a changed limit, rounded up.
    fn converted(&self, limit: &Limit) -> u64 {
        let parts = (u128::from(self.parts) * u128::from(limit.bucket().rate.cost))
            .div_ceil(u128::from(self.cost.max(1)));
        u64::try_from(parts).unwrap_or(MAX_COUNT).min(MAX_COUNT)
    }

    fn until_paid(&self, limit: &Limit, now: Timestamp, parts: u64) -> Micros {
        let payback = limit.bucket().rate.payback;
        if parts == 0 || payback == 0 {
            return Micros::ZERO;
        }
        let behind = self.at.since(now).get();
        Micros::new(behind + parts.div_ceil(payback))
    }

    /// Adds what was counted apart, as far as it was not paid back until one of them was last charged.
    pub(super) fn settle(&mut self, limit: &Limit, own: &Own<'_, Self>) {
        let at = self.at.max(own.own.at);
        let parts = own.sum(self, |of| of.now(limit, at));
        self.write(limit, at, parts.min(MAX_COUNT));
    }

    fn write(&mut self, limit: &Limit, now: Timestamp, parts: u64) {
        self.at = self.at.max(now);
        self.parts = parts;
        self.cost = limit.bucket().rate.cost;
    }
}

impl Count for Debt {
    fn fits(&self, limit: &Limit, now: Timestamp, hits: u64) -> bool {
        limit.requests_per_unit > 0
            && self
                .now(limit, now)
                .saturating_add(limit.bucket().price(hits))
                <= limit.bucket().capacity()
    }

    fn add(&mut self, limit: &Limit, now: Timestamp, hits: u64) {
        let parts = self
            .now(limit, now)
            .saturating_add(limit.bucket().price(hits));
        self.write(limit, now, parts.min(MAX_COUNT));
    }

    fn refund(&mut self, limit: &Limit, now: Timestamp, hits: u64) {
        let parts = self
            .now(limit, now)
            .saturating_sub(limit.bucket().price(hits));
        self.write(limit, now, parts);
    }

    fn remaining(&self, limit: &Limit, now: Timestamp) -> u64 {
        if limit.requests_per_unit == 0 {
            return 0;
        }
        limit
            .bucket()
            .capacity()
            .saturating_sub(self.now(limit, now))
            / limit.bucket().rate.cost
    }

    /// The time until so many hits pass, if nobody else takes the room: exact to the microsecond.
    fn until_fits(&self, limit: &Limit, now: Timestamp, hits: u64) -> Micros {
        let price = limit
            .bucket()
            .price(hits.min(u64::from(limit.bucket().burst)));
        let excess = (self.now(limit, now) + price).saturating_sub(limit.bucket().capacity());
        self.until_paid(limit, now, excess)
    }

    /// The time until the bucket is full again.
    fn until_clear(&self, limit: &Limit, now: Timestamp) -> Micros {
        self.until_paid(limit, now, self.now(limit, now))
    }
}

impl Encode for Debt {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.at.micros());
        out.put_u64_le(self.parts);
        out.put_u64_le(self.cost);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self {
            at: Timestamp::from_micros(bytes.try_get_u64_le().ok()?),
            parts: bytes.try_get_u64_le().ok()?,
            cost: bytes.try_get_u64_le().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::request::Unit;

    proptest! {
        #[test]
        fn a_hit_never_costs_less_than_its_time_and_at_most_two_millionths_more(
            requests in 1..=u32::MAX,
            multiplier in 1..=1_000_000u32,
        ) {
            let window = Window::new(Unit::Second, multiplier).unwrap();
            prop_assume!(u64::from(requests) <= window.length().get());
            let rate = Rate::new(requests, window);
            let time = u128::from(window.length().get()) * u128::from(rate.payback);
            let cost = u128::from(rate.cost) * u128::from(requests);
            prop_assert!(cost >= time);
            prop_assert!((cost - time) * 500_000 <= time);
            prop_assert!(rate.payback == 1 || rate.cost <= MAX_PARTS);
        }
    }
}
