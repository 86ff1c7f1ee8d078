//! Counters: the [`States`](crate::limit::States) of one rule for one client, by [`CounterKey`].
//!
//! A [`Batch`] has the hits of one request. `memory` counts in this process, `redis` for many
//! instances; both decide as [`crate::limit`] does. A store does not know policies.

mod batch;
mod batch_part;
mod error;
mod key;
mod lease_ids;
mod memory;
mod record;
// A build without Redis has a stand-in that cannot be constructed.
#[cfg_attr(not(feature = "redis"), path = "store/without_redis.rs")]
mod redis;
mod redis_pair;
mod stats;

pub use self::redis::RedisConfig;
#[cfg(feature = "redis")]
pub use self::redis::{
    Identity, InvalidAddress, Login, Password, RedisAddress, RedisClock, RedisTls,
};
pub use batch::{Batch, Enforcement, Hit, RefusalTally};
pub use error::{Incompatible, RngError, StoreError};
pub use key::{CounterKey, HashKey, KeyBuilder, KeyHasher};
pub use memory::{CounterRecords, MemoryConfig, RecordScope};
pub use record::{CounterRecord, RECORD_FORMAT, RecordChange};
pub use stats::{SharedStats, Stats};

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::clock::Timestamp;
use crate::limit::Outcomes;
use crate::request::LeaseId;

/// Where counters are.
///
/// ```
/// use weir::store::{MemoryConfig, Store};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Store::memory(MemoryConfig::default())?;
/// assert_eq!(store.stats().counters, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub enum Store {
    /// In this process.
    Memory(memory::Memory),
    /// In Redis, shared by many instances.
    Redis(Box<self::redis::Redis>),
    /// In two Redis, shared by many instances.
    RedisPair(Box<redis_pair::RedisPair>),
}

/// The result of a batch.
#[derive(Clone, Debug)]
pub struct BatchOutcome {
    /// When the hits were counted: by the store's clock, if it has one.
    pub now: Timestamp,
    /// The outcomes of each hit, in the order of the batch.
    pub outcomes: SmallVec<[Outcomes; 2]>,
    /// Hits that the store did not confirm in time; their outcomes are empty.
    pub not_counted: SmallVec<[NotCounted; 2]>,
}

impl BatchOutcome {
    /// Puts in the outcomes of a hit that was counted at `time`.
    ///
    /// All waits are from `now`, the latest of these times. So limits that reset at the same moment have equal waits
    /// although their hits were counted one after the other, and the first of them is always the one reported.
    fn put(&mut self, index: usize, time: Timestamp, outcomes: Outcomes) {
        let is_first = self
            .outcomes
            .iter()
            .all(|outcomes| outcomes.limits.is_empty());
        if is_first {
            self.now = time;
        }
        self.outcomes[index] = outcomes;
        let later = time.since(self.now);
        for (at, outcomes) in self.outcomes.iter_mut().enumerate() {
            outcomes.wait_less(match at == index {
                true => self.now.since(time),
                false => later,
            });
        }
        self.now = self.now.max(time);
    }
}

/// A hit that the store did not confirm in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotCounted {
    /// The index of the hit in the batch.
    pub index: usize,
    /// Whether the store may have counted it nevertheless.
    pub maybe_applied: bool,
}

/// Small texts that all instances share, beside the counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedRecords {
    /// A number that increases with every change.
    pub version: u64,
    /// By name.
    pub texts: BTreeMap<String, String>,
}

/// Access to what instances share.
#[derive(Clone, Copy, Debug)]
pub struct RecordStore<'s>(&'s self::redis::Redis);

impl RecordStore<'_> {
    /// The version of the records; 0 if there have never been any.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn version(self) -> Result<u64, StoreError> {
        self.0.records_version().await
    }

    /// All records.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn read(self) -> Result<SharedRecords, StoreError> {
        self.0.records().await
    }

    /// Writes a record, or deletes it, and returns the new version. The name is not empty.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn write(self, name: &str, record: Option<&str>) -> Result<u64, StoreError> {
        self.0.write_record(name, record).await
    }
}

impl Store {
    /// A store in this process.
    ///
    /// # Errors
    /// The system has no random bytes for the key of the counters' hash.
    pub fn memory(config: MemoryConfig) -> Result<Self, RngError> {
        memory::Memory::new(config).map(Self::Memory)
    }

    /// A store in this process, and its counters as records. Their keys are hashed with `hash_key`.
    ///
    /// # Errors
    /// The system has no random bytes for the ids of leases.
    pub fn recorded(
        config: MemoryConfig,
        hash_key: HashKey,
    ) -> Result<(Self, CounterRecords), RngError> {
        let memory = memory::Memory::recorded(config, hash_key)?;
        let records = memory.records();
        Ok((Self::Memory(memory), records))
    }

    /// A store in Redis, which need not be reachable yet. `fallback` is for hits that are counted
    /// while it is unavailable.
    ///
    /// # Errors
    /// The system has no random bytes for the keys of hashes.
    pub fn redis(config: RedisConfig, fallback: MemoryConfig) -> Result<Self, RngError> {
        let fallback = memory::Memory::new(fallback)?;
        let redis = self::redis::Redis::new(config, fallback)?;
        Ok(Self::Redis(Box::new(redis)))
    }

    /// A store in two Redis: `per_second` has the counters of rules with nothing but limits per second, except in atomic
    /// domains. Each has half of `fallback`.
    ///
    /// # Errors
    /// The system has no random bytes for the keys of hashes.
    pub fn redis_pair(
        main: RedisConfig,
        per_second: RedisConfig,
        fallback: MemoryConfig,
    ) -> Result<Self, RngError> {
        let half = MemoryConfig {
            budget_bytes: fallback.budget_bytes / 2,
        };
        let redis = |config| {
            let fallback = memory::Memory::new(half)?;
            self::redis::Redis::new(config, fallback)
        };
        Ok(Self::RedisPair(Box::new(redis_pair::RedisPair {
            main: redis(main)?,
            per_second: redis(per_second)?,
        })))
    }

    /// The hasher for the [`CounterKey`]s of this store.
    pub fn hasher(&self) -> KeyHasher {
        match self {
            Self::Memory(memory) => memory.hasher(),
            Self::Redis(redis) => redis.hasher(),
            Self::RedisPair(pair) => pair.hasher(),
        }
    }

    /// The id of a new lease.
    pub fn new_lease(&self) -> LeaseId {
        match self {
            Self::Memory(memory) => memory.new_lease(),
            Self::Redis(redis) => redis.new_lease(),
            Self::RedisPair(pair) => pair.new_lease(),
        }
    }

    /// Counts the hits in order; each sees those before it.
    pub async fn hit(&self, now: Timestamp, batch: &Batch<'_>) -> BatchOutcome {
        match self {
            Self::Memory(memory) => BatchOutcome {
                now,
                outcomes: memory.hit(now, batch),
                not_counted: SmallVec::new(),
            },
            Self::Redis(redis) => redis.hit(now, batch).await,
            Self::RedisPair(pair) => pair.hit(now, batch).await,
        }
    }

    /// Whether all counters are in this process, so that [`Store::hit_local`] counts every hit.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Memory(_))
    }

    /// Counts hits in this process.
    ///
    /// With a store in memory that is the same as [`Store::hit`], and `not_counted` is empty. With
    /// Redis, `batch` has the hits that [`Store::hit`] did not count, and `not_counted` one element
    /// for each of them; what they charge is written to Redis when it is available again.
    pub fn hit_local(
        &self,
        now: Timestamp,
        batch: &Batch<'_>,
        not_counted: &[NotCounted],
    ) -> SmallVec<[Outcomes; 2]> {
        match self {
            Self::Memory(memory) => memory.hit(now, batch),
            Self::Redis(redis) => redis.hit_fallback(now, batch, not_counted),
            Self::RedisPair(pair) => pair.hit_fallback(now, batch, not_counted),
        }
    }

    /// Releases what a lease holds at these counters, one grant for each time that a key is listed.
    ///
    /// It does not wait. If the release is lost, the lease expires.
    pub fn release(&self, now: Timestamp, lease: LeaseId, keys: &[CounterKey]) {
        match self {
            Self::Memory(memory) => memory.release(now, lease, keys),
            Self::Redis(redis) => redis.release(now, lease, keys),
            Self::RedisPair(pair) => pair.release(now, lease, keys),
        }
    }

    /// Whether the counters of one request may be in shards that do not decide together.
    pub fn is_split(&self) -> bool {
        match self {
            Self::Memory(_) => false,
            Self::Redis(redis) => redis.is_cluster(),
            Self::RedisPair(pair) => pair.is_cluster(),
        }
    }

    /// Connects the current thread to Redis, on the current runtime.
    pub fn prepare(&self) {
        match self {
            Self::Memory(_) => {}
            Self::Redis(redis) => redis.prepare(),
            Self::RedisPair(pair) => pair.prepare(),
        }
    }

    /// Waits until Redis is connected; [`Store::prepare`] starts to connect. Returns at once for a
    /// store in memory.
    pub async fn connected(&self) {
        match self {
            Self::Memory(_) => {}
            Self::Redis(redis) => redis.connected().await,
            Self::RedisPair(pair) => pair.connected().await,
        }
    }

    /// Why Redis is unavailable, without secrets; `None` if it is available or not used.
    pub fn unavailable_reason(&self) -> Option<String> {
        match self {
            Self::Memory(_) => None,
            Self::Redis(redis) => redis.error().map(|error| error.to_string()),
            Self::RedisPair(pair) => pair.error().map(|error| error.to_string()),
        }
    }

    /// What instances share beside counters; `None` for a store in memory.
    pub fn records(&self) -> Option<RecordStore<'_>> {
        match self {
            Self::Memory(_) => None,
            Self::Redis(redis) => Some(RecordStore(redis)),
            Self::RedisPair(pair) => Some(RecordStore(&pair.main)),
        }
    }

    /// Deletes a counter, and returns whether there was one.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn reset(&self, key: CounterKey) -> Result<bool, StoreError> {
        match self {
            Self::Memory(memory) => Ok(memory.reset(key)),
            Self::Redis(redis) => redis.reset(key).await,
            Self::RedisPair(pair) => pair.reset(key).await,
        }
    }

    /// Statistics since the start.
    pub fn stats(&self) -> Stats {
        match self {
            Self::Memory(memory) => memory.stats(),
            Self::Redis(redis) => redis.stats(),
            Self::RedisPair(pair) => pair.stats(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Micros;
    use crate::limit::Outcome;

    #[test]
    fn limits_that_reset_together_have_equal_waits_whenever_they_were_asked() {
        let end = Timestamp::from_secs(60);
        let counted_at = |time: Timestamp| Outcomes {
            limits: smallvec::smallvec![Outcome {
                limit: 0,
                over: true,
                over_capacity: false,
                available: 0,
                reset_after: end.since(time),
                block: crate::limit::BlockOutcome::None,
            }],
            ..Outcomes::default()
        };
        let (early, late) = (Timestamp::from_micros(7), Timestamp::from_micros(900));
        for times in [[early, late], [late, early], [late, late]] {
            let mut answer = BatchOutcome {
                now: Timestamp::from_secs(1),
                outcomes: smallvec::smallvec![Outcomes::default(), Outcomes::default()],
                not_counted: SmallVec::new(),
            };
            for (index, time) in times.into_iter().enumerate() {
                answer.put(index, time, counted_at(time));
            }
            assert_eq!(answer.now, late);
            for outcomes in &answer.outcomes {
                assert_eq!(outcomes.limits[0].reset_after, Micros::new(59_999_100));
            }
        }
    }
}
