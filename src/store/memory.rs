//! Counters in this process, within a budget of bytes.
//!
//! Bits of the key select a shard: a table of counters under one lock, which is held while one hit
//! is applied. So hits at different keys rarely wait for each other.
//!
//! The tables do not know time: a state whose window has ended counts as fresh.

mod changes;
mod records;
mod shard;
mod slab;

use std::sync::Arc;

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::batch::ReleasedLeases;
use super::lease_ids::LeaseIds;
use super::{Batch, CounterKey, HashKey, Hit, KeyHasher, RngError, Stats};
use crate::clock::Timestamp;
use crate::limit::{Outcomes, States};
use crate::request::LeaseId;
pub use records::{CounterRecords, RecordScope};
use shard::CounterShard;

/// The settings of a store in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryConfig {
    /// Resident bytes that counters may use. Up to half of them are reserved for counters that are
    /// over their limit, until their reset.
    pub budget_bytes: u64,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            budget_bytes: 1 << 30,
        }
    }
}

/// The most shards: far more than cores, so that two threads rarely need the same one.
const MAX_SHARDS: u64 = 256;

/// The least budget of a shard: enough counters that all shards fill up evenly.
const MIN_SHARD_BYTES: u64 = 1 << 18;

/// Counters by key.
#[derive(Debug)]
pub struct Memory {
    hasher: KeyHasher,
    leases: LeaseIds,
    /// The number of shards is a power of two.
    shards: Arc<[AlignedShard]>,
}

/// A shard on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct AlignedShard(Mutex<CounterShard>);

impl Memory {
    /// Counters that are only here.
    pub(super) fn new(config: MemoryConfig) -> Result<Self, RngError> {
        Self::with_hasher(config, KeyHasher::random()?, false)
    }

    /// Counters that are recorded elsewhere, too, by keys that are hashed with `hash_key`.
    pub(super) fn recorded(config: MemoryConfig, hash_key: HashKey) -> Result<Self, RngError> {
        Self::with_hasher(config, KeyHasher::new(hash_key), true)
    }

    fn with_hasher(
        config: MemoryConfig,
        hasher: KeyHasher,
        has_records: bool,
    ) -> Result<Self, RngError> {
        let count = (config.budget_bytes / MIN_SHARD_BYTES).clamp(1, MAX_SHARDS);
        let shards = 1 << count.ilog2();
        let share = config.budget_bytes / shards;
        Ok(Self {
            hasher,
            leases: LeaseIds::new()?,
            shards: (0..shards)
                .map(|_| AlignedShard(Mutex::new(CounterShard::new(share, has_records))))
                .collect(),
        })
    }

    pub(super) fn hasher(&self) -> KeyHasher {
        self.hasher
    }

    /// The counters as records. Changes are noted only if the counters are recorded.
    pub(super) fn records(&self) -> CounterRecords {
        CounterRecords {
            shards: Arc::clone(&self.shards),
        }
    }

    pub(super) fn new_lease(&self) -> LeaseId {
        self.leases.next()
    }

    pub(super) fn hit(&self, now: Timestamp, batch: &Batch<'_>) -> SmallVec<[Outcomes; 2]> {
        if batch.is_joint() {
            return self.hit_jointly(now, batch);
        }
        let mut released = ReleasedLeases::default();
        let mut outcomes = batch.empty_outcomes();
        for (hit, outcomes) in batch.hits.iter().zip(&mut outcomes) {
            let mut shard = self.shard(hit.key).lock();
            shard.hit(now, hit, &mut released, outcomes);
        }
        outcomes
    }

    pub(super) fn reset(&self, key: CounterKey) -> bool {
        self.shard(key).lock().reset(key)
    }

    /// Replaces the states of the hit's counter.
    pub(super) fn put(&self, now: Timestamp, hit: &Hit<'_>, mut states: States) {
        states.align(hit.set);
        let mut shard = self.shard(hit.key).lock();
        shard.write(now, hit, states, []);
    }

    pub(super) fn release(&self, now: Timestamp, lease: LeaseId, keys: &[CounterKey]) {
        for key in keys {
            self.shard(*key).lock().release(now, lease, *key);
        }
    }

    /// Holds the locks of all shards of the batch, acquired in order, while the hits are applied.
    fn hit_jointly(&self, now: Timestamp, batch: &Batch<'_>) -> SmallVec<[Outcomes; 2]> {
        let (hits, at) = batch.by_counter();
        let number = |key: CounterKey| key.high_bits() & (self.shards.len() - 1);
        let mut numbers: SmallVec<[usize; 4]> = hits.iter().map(|hit| number(hit.key)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut shards: SmallVec<[_; 4]> = numbers
            .iter()
            .map(|number| self.shards[*number].0.lock())
            .collect();
        let position = |key| numbers.binary_search(&number(key)).unwrap_or_default();

        let states = hits.iter().map(|hit| {
            let kept = shards[position(hit.key)].states(hit.key);
            kept.unwrap_or_else(|| States::fresh(hit.set))
        });
        let mut states: SmallVec<[States; 4]> = states.collect();
        let outcomes = batch.apply(now, &at, &mut states);
        for ((counter, hit), states) in hits.iter().enumerate().zip(states) {
            let own = at.iter().zip(&outcomes).filter(|(at, _)| **at == counter);
            let own = own.map(|(_, outcomes)| outcomes);
            shards[position(hit.key)].write(now, hit, states, own);
        }
        outcomes
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for AlignedShard(shard) in &*self.shards {
            shard.lock().add_to(&mut stats);
        }
        stats
    }

    fn shard(&self, key: CounterKey) -> &Mutex<CounterShard> {
        let AlignedShard(shard) = &self.shards[key.high_bits() & (self.shards.len() - 1)];
        shard
    }
}

#[cfg(test)]
mod tests;
