//! What Redis last reported of counters.
//!
//! The cache is bounded and holds reports only: hits that Redis has not counted yet are in
//! [`write_back`](super::write_back), so evicting an entry loses nothing that was counted. An entry
//! may answer hits until its deadline in our clock; after that it only seeds the fallback store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::time::{ClockOffset, RedisTime};
use crate::clock::{Micros, Timestamp};
use crate::limit::{LimitSet, Outcomes, States};
use crate::store::{CounterKey, Hit};

#[derive(Debug)]
pub(super) struct LocalCache {
    entries: Cache<CounterKey, Arc<CacheEntry>, foldhash::fast::RandomState>,
    /// How long a counter over its limit is refused without asking Redis.
    over_limit_ttl: Micros,
    /// How long any counter is counted locally.
    flush_interval: Micros,
}

/// One report of Redis.
#[derive(Debug)]
pub(super) struct CacheEntry {
    pub(super) states: States,
    /// Redis must be asked from then on. Virtual time in tests needs it beside moka's own expiry.
    until: Timestamp,
    offset: ClockOffset,
    /// How long the entry is of any use.
    lifetime: Duration,
}

impl CacheEntry {
    /// The time of the counters that corresponds to `now`.
    pub(super) fn redis_time(&self, now: Timestamp) -> RedisTime {
        self.offset.apply(now)
    }
}

impl LocalCache {
    pub(super) fn new(capacity: u64, over_limit_ttl: Micros, flush_interval: Micros) -> Self {
        let entries = Cache::builder()
            .max_capacity(capacity)
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(EntryExpiry)
            .build_with_hasher(foldhash::fast::RandomState::default());
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
        self.entries.remove(&key)
    }

    /// Stores how Redis has a counter after a hit at `now`, which is `redis_time` in Redis.
    pub(super) fn insert(
        &self,
        now: Timestamp,
        redis_time: RedisTime,
        hit: &Hit<'_>,
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
            lifetime: lifetime(hit.set),
        };
        self.entries.insert(hit.key, Arc::new(entry));
    }

    /// Replaces the states of an entry by a later report; the deadline stays.
    pub(super) fn refresh(&self, key: CounterKey, set: &LimitSet, states: States) {
        let last = self.entries.get(&key);
        let (until, offset) = last.map_or_else(Default::default, |last| (last.until, last.offset));
        let entry = CacheEntry {
            states,
            until,
            offset,
            lifetime: lifetime(set),
        };
        self.entries.insert(key, Arc::new(entry));
    }
}

/// Whether the counter refuses any further hit for a known time.
pub(super) fn is_blocked(outcomes: &Outcomes) -> bool {
    outcomes.refused && outcomes.blocked_until.is_some()
}

/// Twice the longest window or block: nothing counted before that matters.
fn lifetime(set: &LimitSet) -> Duration {
    let windows = set.limits.iter().filter_map(|limit| limit.window());
    let windows = windows.map(|window| window.length());
    let penalties = set.limits.iter().filter_map(|limit| limit.penalty.as_ref());
    let blocks = penalties.map(|penalty| penalty.longest());
    let longest = windows.chain(blocks).max().unwrap_or(Micros::from_secs(1));
    Duration::from_micros(2 * longest.get())
}

#[derive(Debug)]
struct EntryExpiry;

impl Expiry<CounterKey, Arc<CacheEntry>> for EntryExpiry {
    fn expire_after_create(
        &self,
        _: &CounterKey,
        entry: &Arc<CacheEntry>,
        _: Instant,
    ) -> Option<Duration> {
        Some(entry.lifetime)
    }

    fn expire_after_update(
        &self,
        _: &CounterKey,
        entry: &Arc<CacheEntry>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.lifetime)
    }
}
