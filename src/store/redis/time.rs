//! Two clocks: ours, and the one that counters in Redis follow.
//!
//! A [`Timestamp`] is of our clock, a [`RedisTime`] of the other; [`ClockOffset`] converts. Nothing
//! but this module turns one into the other.

use crate::clock::Timestamp;

/// A caller's clock that is further ahead of Redis than this, in microseconds, is not trusted. The
/// script has the same constant.
const MAX_AHEAD_MICROS: u64 = 1_000_000;

/// The clock that windows follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisClock {
    /// The clock of Redis, the same for all instances.
    Redis,
    /// The clock of each instance, as long as it is at most a second ahead of Redis.
    Local,
}

/// A point in time on the clock that counters in Redis follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RedisTime(Timestamp);

/// How far the clock of the counters is ahead of ours, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ClockOffset(i64);

impl RedisTime {
    pub(super) const fn new(timestamp: Timestamp) -> Self {
        Self(timestamp)
    }

    /// For the limits, which do not know of two clocks.
    pub(super) const fn timestamp(self) -> Timestamp {
        self.0
    }
}

impl RedisClock {
    /// The time by which the script counts a call that was made at `now`, on a server whose clock
    /// shows `server_now`.
    pub(super) fn time_of_call(self, now: Timestamp, server_now: RedisTime) -> RedisTime {
        match self {
            Self::Redis => server_now,
            Self::Local => {
                let latest = server_now.0.micros().saturating_add(MAX_AHEAD_MICROS);
                RedisTime(now.min(Timestamp::from_micros(latest)))
            }
        }
    }
}

impl ClockOffset {
    pub(super) const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub(super) const fn micros(self) -> i64 {
        self.0
    }

    pub(super) fn between(now: Timestamp, redis: RedisTime) -> Self {
        Self(redis.0.micros().cast_signed() - now.micros().cast_signed())
    }

    pub(super) fn apply(self, now: Timestamp) -> RedisTime {
        RedisTime(Timestamp::from_micros(
            now.micros().saturating_add_signed(self.0),
        ))
    }
}
