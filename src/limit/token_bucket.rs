//! A bucket of `burst` tokens that fills at a rate: at most `burst + rate × t` hits in any time `t`.
//!
//! This is the generic cell rate algorithm (ITU-T I.371, annex A, "virtual scheduling"). The state
//! is the bucket's debt, in integer sub-units of a hit, and when it was computed. The sub-units are
//! chosen so that both the cost of a hit and the refill per microsecond are whole numbers. Where no
//! small enough number exists, a hit costs up to two millionths more than it should, never less.

use bytes::BufMut;

use super::count::{Count, Encode, StateDelta, take_count, take_number, take_time};
use super::{MAX_COUNT, Rate};
use crate::clock::{Micros, Timestamp};

/// The numbers of a token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenBucket {
    burst: u32,
    rate: Rate,
    gcra: GcraParams,
}

/// A rate in sub-units of a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct GcraParams {
    units_per_hit: u64,
    refill_per_micro: u64,
}

/// Why there cannot be such a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidBucket {
    /// More than a million hits a second: time is counted in microseconds.
    TooFast,
    /// Filling the bucket would take more than 2^52 microseconds, 142 years.
    TooSlow,
}

/// The most sub-units of a hit, so that any `burst` of 32 bits stays within [`MAX_COUNT`].
const MAX_UNITS: u64 = 1 << 20;

/// More than the sub-units of the slowest bucket, one hit in ten years. The script in Redis computes with three times as
/// many.
const MAX_UNITS_STORED: u64 = 1 << 50;

impl TokenBucket {
    /// A bucket of `burst` tokens that is filled at `rate`.
    ///
    /// # Errors
    /// When the rate is too fast, or the bucket too slow to fill.
    pub fn new(burst: u32, rate: Rate) -> Result<Self, InvalidBucket> {
        let gcra = GcraParams::new(rate);
        if gcra.units_per_hit < gcra.refill_per_micro {
            return Err(InvalidBucket::TooFast);
        }
        let capacity = u64::from(burst).saturating_mul(gcra.units_per_hit);
        if capacity / gcra.refill_per_micro.max(1) > MAX_COUNT || capacity > MAX_COUNT {
            return Err(InvalidBucket::TooSlow);
        }
        Ok(Self { burst, rate, gcra })
    }

    /// The size of the bucket in hits.
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// The rate at which it is filled.
    pub const fn rate(self) -> Rate {
        self.rate
    }

    /// The cost of a hit in sub-units.
    pub(crate) const fn units_per_hit(self) -> u64 {
        self.gcra.units_per_hit
    }

    /// The sub-units that are refilled each microsecond.
    pub(crate) const fn refill_per_micro(self) -> u64 {
        self.gcra.refill_per_micro
    }

    /// The size of the bucket in sub-units.
    pub(crate) const fn capacity_units(self) -> u64 {
        self.burst as u64 * self.gcra.units_per_hit
    }

    const fn units(self, hits: u64) -> u64 {
        hits.saturating_mul(self.gcra.units_per_hit)
    }
}

impl GcraParams {
    fn new(rate: Rate) -> Self {
        let (micros, requests) = (rate.window.length().get(), u64::from(rate.requests));
        if requests == 0 {
            return Self {
                units_per_hit: 1,
                refill_per_micro: 0,
            };
        }
        let divisor = gcd(micros, requests);
        if micros / divisor <= MAX_UNITS {
            return Self {
                units_per_hit: micros / divisor,
                refill_per_micro: requests / divisor,
            };
        }
        // Rounding up the cost is against the client; a cost near MAX_UNITS makes the error small.
        let refill_per_micro = ((MAX_UNITS - 1) * requests / micros).max(1);
        Self {
            units_per_hit: (micros * refill_per_micro).div_ceil(requests),
            refill_per_micro,
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// How far a bucket is from full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenBucketState {
    /// When the debt was computed; it falls from then on.
    at: Timestamp,
    /// In sub-units of a hit.
    debt: u64,
    /// The sub-units of a hit when the debt was computed; a changed limit converts it.
    units_per_hit: u64,
}

impl TokenBucketState {
    /// The debt at `now`. Nothing is refilled if the clock went back.
    fn debt_at(&self, bucket: &TokenBucket, now: Timestamp) -> u64 {
        let debt = if self.units_per_hit == bucket.gcra.units_per_hit || self.debt == 0 {
            self.debt
        } else {
            self.converted(bucket)
        };
        let micros = now.since(self.at).get();
        debt.saturating_sub(micros.saturating_mul(bucket.gcra.refill_per_micro))
    }

    /// The same number of hits in the sub-units of a changed limit, rounded up.
    fn converted(&self, bucket: &TokenBucket) -> u64 {
        let units = (u128::from(self.debt) * u128::from(bucket.gcra.units_per_hit))
            .div_ceil(u128::from(self.units_per_hit.max(1)));
        u64::try_from(units).unwrap_or(MAX_COUNT).min(MAX_COUNT)
    }

    /// When the bucket is full again, if a hit takes this time to refill; a little later, for rounding.
    pub(super) fn ends_at(&self, secs_per_hit: f32) -> Timestamp {
        if self.debt == 0 {
            return Timestamp::default();
        }
        let hits = self.debt as f64 / self.units_per_hit.max(1) as f64;
        let micros = hits * f64::from(secs_per_hit) * (1.0 + 4e-6) * 1e6 + 1e3;
        self.at.plus(Micros::new(micros as u64))
    }

    fn until_refilled(&self, bucket: &TokenBucket, now: Timestamp, units: u64) -> Micros {
        let refill_per_micro = bucket.gcra.refill_per_micro;
        if units == 0 || refill_per_micro == 0 {
            return Micros::ZERO;
        }
        let behind = self.at.since(now).get();
        Micros::new(behind + units.div_ceil(refill_per_micro))
    }

    /// Adds a delta, without the debt that was refilled before the later of the two states.
    pub(super) fn merge(&mut self, bucket: &TokenBucket, delta: &StateDelta<'_, Self>) {
        let at = self.at.max(delta.local.at);
        let debt = delta.merged(self, |of| of.debt_at(bucket, at));
        self.write(bucket, at, debt.min(MAX_COUNT));
    }

    fn write(&mut self, bucket: &TokenBucket, now: Timestamp, debt: u64) {
        self.at = self.at.max(now);
        self.debt = debt;
        self.units_per_hit = bucket.gcra.units_per_hit;
    }
}

impl Count<TokenBucket> for TokenBucketState {
    fn capacity(bucket: &TokenBucket) -> u64 {
        match bucket.rate.requests {
            0 => 0,
            _ => bucket.burst.into(),
        }
    }

    fn correct(&mut self, bucket: &TokenBucket, now: Timestamp) {
        if self.at.since(now) > bucket.rate.window.length() {
            self.at = now;
        }
    }

    fn admits(&self, bucket: &TokenBucket, now: Timestamp, hits: u64) -> bool {
        let debt = self.debt_at(bucket, now);
        bucket.rate.requests > 0
            && debt.saturating_add(bucket.units(hits)) <= bucket.capacity_units()
    }

    fn add(&mut self, bucket: &TokenBucket, now: Timestamp, hits: u64) {
        let debt = self.debt_at(bucket, now).saturating_add(bucket.units(hits));
        self.write(bucket, now, debt.min(MAX_COUNT));
    }

    fn refund(&mut self, bucket: &TokenBucket, now: Timestamp, hits: u64) {
        let debt = self.debt_at(bucket, now).saturating_sub(bucket.units(hits));
        self.write(bucket, now, debt);
    }

    fn available(&self, bucket: &TokenBucket, now: Timestamp) -> u64 {
        if bucket.rate.requests == 0 {
            return 0;
        }
        let free = bucket.capacity_units();
        free.saturating_sub(self.debt_at(bucket, now)) / bucket.gcra.units_per_hit
    }

    /// Exact to the microsecond, if no other hits come first.
    fn until_admitted(&self, bucket: &TokenBucket, now: Timestamp, hits: u64) -> Micros {
        let units = bucket.units(hits.min(u64::from(bucket.burst)));
        let excess = (self.debt_at(bucket, now) + units).saturating_sub(bucket.capacity_units());
        self.until_refilled(bucket, now, excess)
    }

    /// The time until the bucket is full again.
    fn until_clear(&self, bucket: &TokenBucket, now: Timestamp) -> Micros {
        self.until_refilled(bucket, now, self.debt_at(bucket, now))
    }
}

impl Encode for TokenBucketState {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.at.micros());
        out.put_u64_le(self.debt);
        out.put_u64_le(self.units_per_hit);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self {
            at: take_time(bytes)?,
            debt: take_count(bytes)?,
            units_per_hit: take_number(bytes, MAX_UNITS_STORED)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limit::Window;
    use crate::request::Unit;

    proptest! {
        #[test]
        fn a_hit_never_costs_less_than_its_time_and_at_most_two_millionths_more(
            requests in 1..=u32::MAX,
            multiplier in 1..=1_000_000u32,
        ) {
            let window = Window::new(Unit::Second, multiplier).unwrap();
            prop_assume!(u64::from(requests) <= window.length().get());
            let gcra = GcraParams::new(Rate { requests, window });
            let time = u128::from(window.length().get()) * u128::from(gcra.refill_per_micro);
            let cost = u128::from(gcra.units_per_hit) * u128::from(requests);
            prop_assert!(cost >= time);
            prop_assert!((cost - time) * 500_000 <= time);
            prop_assert!(gcra.refill_per_micro == 1 || gcra.units_per_hit <= MAX_UNITS);
        }
    }
}
