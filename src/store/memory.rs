//! Counters in this process, within a budget of bytes.
//!
//! A key's own bits choose its shard. Each shard is a table of counters under one lock, which a call
//! holds for no longer than one step takes, so that calls at different keys seldom meet.
//!
//! The table decides nothing about time: a state that is past its window is read as fresh.

mod shard;
mod slots;

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::{Hit, Key, KeyHasher, NoRandomness, Stats};
use crate::clock::Timestamp;
use crate::limit::Outcomes;
use shard::Shard;

/// What a store in memory is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryConfig {
    /// Bytes that counters may take, resident. Up to half of them hold counters over their limit
    /// until their reset, whatever else comes.
    pub budget_bytes: u64,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            budget_bytes: 1 << 30,
        }
    }
}

/// The most shards: far more than there are cores, so that two calls seldom meet in one.
const MAX_SHARDS: u64 = 256;

/// A shard's least share of the budget: room for so many counters that chance fills shards alike.
const MIN_SHARD_BYTES: u64 = 1 << 18;

/// Counters by key.
#[derive(Debug)]
pub struct Memory {
    hasher: KeyHasher,
    /// A power of two of them.
    shards: Box<[Line]>,
}

/// A shard on cache lines that it shares with no other.
#[derive(Debug)]
#[repr(align(128))]
struct Line(Mutex<Shard>);

impl Memory {
    pub(super) fn new(config: MemoryConfig) -> Result<Self, NoRandomness> {
        let fitting = (config.budget_bytes / MIN_SHARD_BYTES).clamp(1, MAX_SHARDS);
        let shards = 1 << fitting.ilog2();
        let share = config.budget_bytes / shards;
        Ok(Self {
            hasher: KeyHasher::random()?,
            shards: (0..shards)
                .map(|_| Line(Mutex::new(Shard::new(share))))
                .collect(),
        })
    }

    pub(super) fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    pub(super) fn hit(&self, now: Timestamp, hits: &[Hit<'_>]) -> SmallVec<[Outcomes; 2]> {
        hits.iter()
            .map(|hit| self.shard(hit.key).lock().hit(now, hit))
            .collect()
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for Line(shard) in &self.shards {
            shard.lock().add_to(&mut stats);
        }
        stats
    }

    fn shard(&self, key: Key) -> &Mutex<Shard> {
        let Line(shard) = &self.shards[key.high_bits() & (self.shards.len() - 1)];
        shard
    }
}

#[cfg(test)]
mod tests;
