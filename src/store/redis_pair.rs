//! Counters in two Redis: those of limits per second in one of their own, as envoyproxy/ratelimit can have them.

use futures_util::future::{join, join_all};
use smallvec::SmallVec;

use super::batch_part::BatchPart;
use super::redis::Redis;
use super::{Batch, BatchOutcome, CounterKey, Hit, KeyHasher, NotCounted, Stats, StoreError};
use crate::clock::Timestamp;
use crate::limit::Outcomes;
use crate::request::LeaseId;

/// Two Redis.
#[derive(Debug)]
pub struct RedisPair {
    pub(super) main: Redis,
    /// For rules that have nothing but limits per second, outside of atomic domains.
    pub(super) per_second: Redis,
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PairMember {
    Main,
    PerSecond,
}

impl RedisPair {
    fn redis(&self, member: PairMember) -> &Redis {
        match member {
            PairMember::Main => &self.main,
            PairMember::PerSecond => &self.per_second,
        }
    }

    /// The hasher of the first one; the keys of the other are made with it, too.
    pub(super) fn hasher(&self) -> KeyHasher {
        self.main.hasher()
    }

    pub(super) fn new_lease(&self) -> LeaseId {
        self.main.new_lease()
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.main.is_cluster()
    }

    pub(super) fn prepare(&self) {
        self.main.prepare();
        self.per_second.prepare();
    }

    pub(super) async fn connected(&self) {
        join(self.main.connected(), self.per_second.connected()).await;
    }

    pub(super) async fn hit(&self, now: Timestamp, batch: &Batch<'_>) -> BatchOutcome {
        let parts = split(batch);
        if let [part] = &*parts {
            return self.redis(part.place).hit(now, batch).await;
        }
        let hits = parts
            .iter()
            .map(|part| self.redis(part.place).hit(now, &part.batch));
        let counted = join_all(hits).await;
        let mut answer = BatchOutcome {
            now: counted.first().map_or(now, |first| first.now),
            outcomes: batch.empty_outcomes(),
            not_counted: SmallVec::new(),
        };
        for (part, counted) in parts.iter().zip(counted) {
            fill_in(&mut answer, &part.indices, counted);
        }
        answer
    }

    /// As of one Redis.
    pub(super) fn hit_fallback(
        &self,
        now: Timestamp,
        batch: &Batch<'_>,
        why: &[NotCounted],
    ) -> SmallVec<[Outcomes; 2]> {
        let mut outcomes = batch.empty_outcomes();
        for part in split(batch) {
            let why = part.indices.iter().filter_map(|index| why.get(*index));
            let why: SmallVec<[NotCounted; 2]> = why.copied().collect();
            let redis = self.redis(part.place);
            let counted = redis.hit_fallback(now, &part.batch, &why);
            for (index, counted) in part.indices.into_iter().zip(counted) {
                outcomes[index] = counted;
            }
        }
        outcomes
    }

    /// Slots are never of limits per second.
    pub(super) fn release(&self, now: Timestamp, lease: LeaseId, keys: &[CounterKey]) {
        self.main.release(now, lease, keys);
    }

    pub(super) async fn reset(&self, key: CounterKey) -> Result<bool, StoreError> {
        let (main, per_second) = join(self.main.reset(key), self.per_second.reset(key)).await;
        Ok(main? | per_second?)
    }

    /// The sum of both.
    pub(super) fn stats(&self) -> Stats {
        self.main.stats().plus(self.per_second.stats())
    }

    pub(super) fn error(&self) -> Option<StoreError> {
        self.main.error().or_else(|| self.per_second.error())
    }
}

/// What each of the two counts.
fn split<'b>(batch: &Batch<'b>) -> SmallVec<[BatchPart<'b, PairMember>; 1]> {
    let member_of = |hit: &Hit<'_>| match !batch.atomic && is_per_second(hit) {
        true => PairMember::PerSecond,
        false => PairMember::Main,
    };
    BatchPart::split(batch, 0..batch.hits.len(), member_of)
}

/// Adds the outcomes of a part; `indices` are those of its hits in the whole batch.
fn fill_in(answer: &mut BatchOutcome, indices: &[usize], counted: BatchOutcome) {
    let lost = counted.not_counted.iter().map(|one| one.index);
    let lost: SmallVec<[usize; 2]> = lost.collect();
    for (at, outcomes) in counted.outcomes.into_iter().enumerate() {
        if !lost.contains(&at) {
            answer.put(indices[at], counted.now, outcomes);
        }
    }
    let not_counted = counted.not_counted.into_iter();
    answer.not_counted.extend(not_counted.map(|one| NotCounted {
        index: indices[one.index],
        ..one
    }));
}

/// Whether all limits of a hit are per second.
fn is_per_second(hit: &Hit<'_>) -> bool {
    let mut limits = hit.set.limits.iter();
    limits.all(|limit| limit.window().is_some_and(|window| window.secs() == 1))
}
