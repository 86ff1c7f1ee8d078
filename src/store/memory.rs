//! Counters in this process, within a budget of bytes.
//!
//! moka keeps the counters used most recently; it decides nothing about time: a state that is past
//! its window is read as fresh. A counter over its limit is also pinned until its reset, so that a
//! flood of new keys cannot make weir forget who is over.
//!
//! A counter is known by its `places`: how often it stands in the cache or among the pins. An
//! update that finds, under the counter's lock, that it stands nowhere any more looks it up again.
//!
//! Locks are taken in the order cache → counter → pins; nothing that holds a counter's lock calls
//! the cache, which locks counters itself when it drops them.

mod pins;

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::batch::Freed;
use super::lease::Leases;
use super::{Batch, Hit, Key, KeyHasher, NoRandomness, Stats};
use crate::clock::Timestamp;
use crate::limit::{LimitSet, Outcomes, States};
use crate::request::{Cost, LeaseId};
use pins::{Pin, Pins};

/// What a store in memory is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryConfig {
    /// Bytes that counters may take, resident. Half of them are for pinned counters.
    pub budget_bytes: u64,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            budget_bytes: 1 << 30,
        }
    }
}

/// Resident bytes of a counter with one fixed window or token bucket, the cache's own included,
/// as `cargo bench --bench resident` measures them. Longer states hold more on the heap.
const COUNTER_BYTES: usize = 330;

/// Counters by key.
#[derive(Debug)]
pub struct Memory {
    hasher: KeyHasher,
    leases: Leases,
    cache: Cache<Key, Arc<Counter>, KeyBits>,
    pins: Arc<Pins>,
    evicted: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Counter(Mutex<Kept>);

/// What a counter keeps, under its lock.
#[derive(Debug)]
struct Kept {
    states: States,
    /// How often it stands in the cache or among the pins.
    places: u16,
    /// Until when it is pinned, in seconds since the epoch; 0 if it is not.
    pinned_until_secs: u32,
}

impl Memory {
    pub(super) fn new(config: MemoryConfig) -> Result<Self, NoRandomness> {
        let evicted = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&evicted);
        let cache = Cache::builder()
            .max_capacity(config.budget_bytes.div_ceil(2))
            // The default policy refuses newcomers when full, who would then go uncounted.
            .eviction_policy(EvictionPolicy::lru())
            .weigher(|_, counter: &Arc<Counter>| counter.0.lock().bytes())
            .eviction_listener(move |_, counter: Arc<Counter>, cause| {
                let mut kept = counter.0.lock();
                kept.places -= 1;
                if cause == RemovalCause::Size && kept.places == 0 {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            })
            .build_with_hasher(KeyBits);
        Ok(Self {
            hasher: KeyHasher::random()?,
            leases: Leases::new()?,
            cache,
            pins: Arc::new(Pins::new(config.budget_bytes / 2)),
            evicted,
        })
    }

    pub(super) fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    pub(super) fn new_lease(&self) -> LeaseId {
        self.leases.next()
    }

    pub(super) fn hit(&self, now: Timestamp, batch: &Batch<'_>) -> SmallVec<[Outcomes; 2]> {
        let mut freed = Freed::default();
        batch
            .hits
            .iter()
            .map(|hit| self.hit_one(now, hit, &mut freed))
            .collect()
    }

    pub(super) fn give_back(&self, now: Timestamp, lease: LeaseId, keys: &[Key]) {
        for key in keys {
            if let Some(counter) = self.present(*key) {
                counter.0.lock().states.give_back(now, lease);
            }
        }
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            counters: self.cache.entry_count(),
            bytes: self.cache.weighted_size() + self.pins.bytes(),
            pinned: self.pins.len(),
            evicted: self.evicted.load(Ordering::Relaxed),
            unpinned_early: self.pins.dropped_early(),
        }
    }

    fn hit_one(&self, now: Timestamp, hit: &Hit<'_>, freed: &mut Freed) -> Outcomes {
        loop {
            let counter = match hit.cost {
                Cost::Hits(_) => self.counter(hit.key, hit.set),
                // They change nothing where nothing is counted, so they make no counter.
                Cost::Look | Cost::Refund(_) => match self.present(hit.key) {
                    Some(counter) => counter,
                    None => return hit.step(now, &mut States::fresh(hit.set), freed),
                },
            };
            if let Some(outcomes) = self.hit_counter(now, (hit, freed), &counter) {
                return outcomes;
            }
        }
    }

    /// Steps the counter, unless it stands nowhere any more.
    fn hit_counter(
        &self,
        now: Timestamp,
        (hit, freed): (&Hit<'_>, &mut Freed),
        counter: &Arc<Counter>,
    ) -> Option<Outcomes> {
        let mut kept = counter.0.lock();
        if kept.places == 0 {
            return None;
        }
        let bytes = kept.bytes();
        kept.states.align(hit.set);
        let outcomes = hit.step(now, &mut kept.states, freed);
        let resized = kept.bytes() != bytes;
        let released = match outcomes.blocked_until.max(outcomes.held_until) {
            Some(until) => self.pin(hit.key, counter, &mut kept, (now, until)),
            None => SmallVec::new(),
        };
        if resized {
            kept.places += 1;
        }
        drop(kept);
        if resized {
            // The cache weighs a counter when it is put in.
            self.cache.insert(hit.key, Arc::clone(counter));
        }
        for counter in &released {
            counter.release();
        }
        Some(outcomes)
    }

    /// Pins the counter for as long as it is blocked. Gives back counters that lost their pin.
    fn pin(
        &self,
        key: Key,
        counter: &Arc<Counter>,
        kept: &mut Kept,
        (now, until): (Timestamp, Timestamp),
    ) -> SmallVec<[Arc<Counter>; 2]> {
        let until_secs = u32::try_from(until.secs_ceil()).unwrap_or(u32::MAX);
        if until_secs <= kept.pinned_until_secs {
            return SmallVec::new();
        }
        kept.pinned_until_secs = until_secs;
        let pin = Pin {
            counter: Arc::clone(counter),
            until: Timestamp::from_secs(until_secs.into()),
            bytes: kept.bytes(),
        };
        let pinned = self.pins.pin(now, key, pin);
        if pinned.newly {
            kept.places += 1;
        }
        pinned.released
    }

    fn counter(&self, key: Key, set: &LimitSet) -> Arc<Counter> {
        if let Some(counter) = self.cache.get(&key) {
            return counter;
        }
        self.cache.get_with(key, || {
            let counter = self.pins.get(key).unwrap_or_else(|| Counter::fresh(set));
            counter.0.lock().places += 1;
            counter
        })
    }

    fn present(&self, key: Key) -> Option<Arc<Counter>> {
        self.cache.get(&key).or_else(|| self.pins.get(key))
    }
}

impl Counter {
    fn fresh(set: &LimitSet) -> Arc<Self> {
        let kept = Kept {
            states: States::fresh(set),
            places: 0,
            pinned_until_secs: 0,
        };
        Arc::new(Self(Mutex::new(kept)))
    }

    /// Takes away the place among the pins that it has lost.
    fn release(self: &Arc<Self>) {
        let mut kept = self.0.lock();
        kept.places -= 1;
        kept.pinned_until_secs = 0;
    }
}

impl Kept {
    fn bytes(&self) -> u32 {
        u32::try_from(COUNTER_BYTES + self.states.heap_bytes()).unwrap_or(u32::MAX)
    }
}

/// A key is a keyed hash already: its own bits spread it over a table.
#[derive(Clone, Copy, Debug, Default)]
struct KeyBits;

#[derive(Default)]
struct LowBits(u64);

impl BuildHasher for KeyBits {
    type Hasher = LowBits;

    fn build_hasher(&self) -> LowBits {
        LowBits::default()
    }
}

impl Hasher for LowBits {
    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests;
