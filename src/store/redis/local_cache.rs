//! What Redis last reported of counters.
//!
//! The cache is bounded and holds reports only: hits that Redis has not counted yet are in
//! [`write_back`](super::write_back), so evicting an entry loses nothing that was counted. An entry
//! may answer hits until its deadline in our clock; after that it only seeds the fallback store.

use std::sync::Arc;

use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::time::{ClockOffset, RedisTime};
use crate::clock::{Micros, Timestamp};
use crate::limit::{Outcomes, States};
use crate::store::CounterKey;

#[derive(Debug)]
pub(super) struct LocalCache {
    entries: Cache<CounterKey, Arc<CacheEntry>, UnitWeighter, foldhash::fast::RandomState>,
    /// How long a counter over its limit is refused without asking Redis.
    over_limit_ttl: Micros,
    /// How long any counter is counted locally.
    flush_interval: Micros,
}

/// One report of Redis.
#[derive(Debug)]
pub(super) struct CacheEntry {
    pub(super) states: States,
    /// Redis must be asked from then on.
    until: Timestamp,
    offset: ClockOffset,
}

impl CacheEntry {
    /// The time of the counters that corresponds to `now`.
    pub(super) fn redis_time(&self, now: Timestamp) -> RedisTime {
        self.offset.apply(now)
    }
}

impl LocalCache {
    pub(super) fn new(capacity: u64, over_limit_ttl: Micros, flush_interval: Micros) -> Self {
        let entries = Cache::with(
            capacity as usize,
            capacity,
            UnitWeighter,
            foldhash::fast::RandomState::default(),
            DefaultLifecycle::default(),
        );
        Self {
            entries,
            over_limit_ttl,
            flush_interval,
        }
    }

    /// A report that may answer hits at `now`.
    pub(super) fn fresh(&self, now: Timestamp, key: CounterKey) -> Option<Arc<CacheEntry>> {
        self.entries.get(&key).filter(|entry| now < entry.until)
    }

    /// Removes and returns the last report, however old.
    pub(super) fn remove(&self, key: CounterKey) -> Option<Arc<CacheEntry>> {
        self.entries.remove(&key).map(|(_, entry)| entry)
    }

    /// Stores how Redis has a counter after a hit at `now`, which is `redis_time` in Redis.
    pub(super) fn insert(
        &self,
        now: Timestamp,
        redis_time: RedisTime,
        key: CounterKey,
        states: &States,
        outcomes: &Outcomes,
    ) {
        let ttl = match is_blocked(outcomes) {
            true => self.over_limit_ttl.max(self.flush_interval),
            false => self.flush_interval,
        };
        let until = match ttl {
            Micros::ZERO => Timestamp::default(),
            ttl => now.plus(ttl),
        };
        let entry = CacheEntry {
            states: states.clone(),
            until,
            offset: ClockOffset::between(now, redis_time),
        };
        self.entries.insert(key, Arc::new(entry));
    }

    /// Replaces the states of an entry by a later report; the deadline stays.
    pub(super) fn refresh(&self, key: CounterKey, states: States) {
        let last = self.entries.get(&key);
        let (until, offset) = last.map_or_else(Default::default, |last| (last.until, last.offset));
        let entry = CacheEntry {
            states,
            until,
            offset,
        };
        self.entries.insert(key, Arc::new(entry));
    }
}

/// Whether the counter refuses any further hit for a known time.
pub(super) fn is_blocked(outcomes: &Outcomes) -> bool {
    outcomes.refused && outcomes.blocked_until.is_some()
}
