//! Counters: one [`States`](crate::limit::States) per rule and client key.

mod batch;
mod error;
mod key;
mod lease_ids;
mod memory;
mod redis;

pub use self::redis::{
    Identity, InvalidAddress, Login, Password, RedisAddress, RedisClock, RedisConfig, RedisTls,
};
pub use batch::{Batch, Enforcement, Hit, RefusalTally};
pub use error::{RngError, StoreError};
pub use key::{CounterKey, HashKey, KeyBuilder, KeyHasher};
pub use memory::MemoryConfig;

use smallvec::SmallVec;

use crate::clock::Timestamp;
use crate::limit::Outcomes;
use crate::request::LeaseId;

/// Where counters live.
#[derive(Debug)]
pub enum Store {
    /// In this process.
    Memory(memory::Memory),
    /// In Redis, for many processes.
    Redis(Box<self::redis::Redis>),
}

/// What came of hits.
#[derive(Clone, Debug)]
pub struct BatchOutcome {
    /// The moment that they were taken at: of the store's clock, if it has one.
    pub now: Timestamp,
    /// How each counter stands, in the order of the hits.
    pub outcomes: SmallVec<[Outcomes; 2]>,
    /// The hits of which the store did not say in time that it has counted them; their outcomes are empty.
    pub not_counted: SmallVec<[NotCounted; 2]>,
}

/// A hit of which the store did not say in time that it has counted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotCounted {
    /// Its place in the batch.
    pub at: usize,
    /// Whether the store may have counted it all the same.
    pub in_doubt: bool,
}

/// How the store stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Counters that it holds.
    pub counters: u64,
    /// Bytes that they are reckoned to take.
    pub bytes: u64,
    /// Counters over their limit that are kept until their reset, whatever else comes.
    pub pinned: u64,
    /// Counters that were dropped, since the start, to make room; what they had counted is forgotten.
    pub evicted: u64,
    /// Pinned counters that lost their place, since the start, before their reset.
    pub unpinned_early: u64,
    /// How it stands with those it shares counters with, if it does.
    pub shared: Option<SharedStats>,
}

/// Statistics of a store in Redis. All but `connections` and `is_up` count since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedStats {
    /// Connections that take calls now: one for each thread that has decided something.
    pub connections: u64,
    /// Connections made.
    pub connects: u64,
    /// Commands sent; each carries the hits of one or more requests.
    pub round_trips: u64,
    /// Hits answered from the local cache, without asking Redis.
    pub local_answers: u64,
    /// Hits that Redis did not count in time, so that `on_store_error` applied.
    pub fallback_hits: u64,
    /// Hits counted locally and added in Redis afterwards.
    pub writeback_hits: u64,
    /// Hits counted locally that will never reach Redis, because too many counters were waiting.
    pub writeback_dropped_hits: u64,
    /// Whether Redis is available; [`Store::unavailable_reason`] names the reason if it is not.
    pub is_up: bool,
}

impl Store {
    /// A store in this process.
    ///
    /// # Errors
    /// When the system has no randomness for the key of its hash.
    pub fn memory(config: MemoryConfig) -> Result<Self, RngError> {
        memory::Memory::new(config).map(Self::Memory)
    }

    /// A store in Redis, which need not be there yet; `meanwhile` is for what is counted when it is not.
    ///
    /// # Errors
    /// When the system has no randomness for the key of a hash.
    pub fn redis(config: RedisConfig, meanwhile: MemoryConfig) -> Result<Self, RngError> {
        let meanwhile = memory::Memory::new(meanwhile)?;
        let redis = self::redis::Redis::new(config, meanwhile)?;
        Ok(Self::Redis(Box::new(redis)))
    }

    /// What turns an identity into a [`CounterKey`] of this store.
    pub fn hasher(&self) -> KeyHasher {
        match self {
            Self::Memory(memory) => memory.hasher(),
            Self::Redis(redis) => redis.hasher(),
        }
    }

    /// A lease that nobody was granted before.
    pub fn new_lease(&self) -> LeaseId {
        match self {
            Self::Memory(memory) => memory.new_lease(),
            Self::Redis(redis) => redis.new_lease(),
        }
    }

    /// Takes the hits in their order, each seeing those before it, and says how each counter stands then.
    pub async fn hit(&self, now: Timestamp, batch: &Batch<'_>) -> BatchOutcome {
        match self {
            Self::Memory(memory) => BatchOutcome {
                now,
                outcomes: memory.hit(now, batch),
                not_counted: SmallVec::new(),
            },
            Self::Redis(redis) => redis.hit(now, batch).await,
        }
    }

    /// Whether all counters are in this process, so that nobody waits for them.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Memory(_))
    }

    /// Takes hits in this process: all of them in a store in memory, else those that [`Store::hit`] could not count, and
    /// `why` has one for each of them, in their order. What those are charged is added to the shared counters as soon as
    /// that can be.
    pub fn hit_local(
        &self,
        now: Timestamp,
        batch: &Batch<'_>,
        why: &[NotCounted],
    ) -> SmallVec<[Outcomes; 2]> {
        match self {
            Self::Memory(memory) => memory.hit(now, batch),
            Self::Redis(redis) => redis.hit_fallback(now, batch, why),
        }
    }

    /// Gives back what a lease holds at these counters, once for each time that a counter is named. Who calls does not
    /// wait, and nobody is told: what is not given back ends by itself.
    pub fn release(&self, now: Timestamp, lease: LeaseId, keys: &[CounterKey]) {
        match self {
            Self::Memory(memory) => memory.release(now, lease, keys),
            Self::Redis(redis) => redis.release(now, lease, keys),
        }
    }

    /// Whether counters of one request may be in parts that do not decide together.
    pub fn is_split(&self) -> bool {
        match self {
            Self::Memory(_) => false,
            Self::Redis(redis) => redis.is_cluster(),
        }
    }

    /// Gets ready to be asked from this thread, on its runtime.
    pub fn prepare(&self) {
        match self {
            Self::Memory(_) => {}
            Self::Redis(redis) => redis.prepare(),
        }
    }

    /// Ends when counters are shared, at once if they are not to be; [`Store::prepare`] begins to.
    pub async fn connected(&self) {
        match self {
            Self::Memory(_) => {}
            Self::Redis(redis) => redis.connected().await,
        }
    }

    /// Why counters cannot be shared now, without any secret; none if they can, or are not to be.
    pub fn unavailable_reason(&self) -> Option<String> {
        match self {
            Self::Memory(_) => None,
            Self::Redis(redis) => redis.trouble(),
        }
    }

    /// Forgets what a counter has counted, and tells whether there was one.
    ///
    /// # Errors
    /// When the counters are not here and cannot be reached.
    pub async fn reset(&self, key: CounterKey) -> Result<bool, StoreError> {
        match self {
            Self::Memory(memory) => Ok(memory.reset(key)),
            Self::Redis(redis) => redis
                .reset(key)
                .await
                .map_err(|reason| StoreError::Unavailable { reason }),
        }
    }

    /// How it stands.
    pub fn stats(&self) -> Stats {
        match self {
            Self::Memory(memory) => memory.stats(),
            Self::Redis(redis) => redis.stats(),
        }
    }
}
