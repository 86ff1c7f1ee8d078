//! Counters in two Redis: those of limits per second in one of their own, as envoyproxy/ratelimit can have them.

use futures_util::future::join;
use smallvec::SmallVec;

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

/// The hits of a batch that one of the two counts, and their indices in the batch.
#[derive(Debug, Default)]
struct PairPart<'a> {
    batch: Batch<'a>,
    indices: SmallVec<[usize; 2]>,
}

impl RedisPair {
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
        let [main, per_second] = PairPart::split(batch);
        if per_second.indices.is_empty() {
            return self.main.hit(now, batch).await;
        }
        if main.indices.is_empty() {
            return self.per_second.hit(now, batch).await;
        }
        let hits = join(
            self.main.hit(now, &main.batch),
            self.per_second.hit(now, &per_second.batch),
        );
        let (of_main, of_per_second) = hits.await;
        let mut answer = BatchOutcome {
            now: of_main.now,
            outcomes: batch.empty_outcomes(),
            not_counted: SmallVec::new(),
        };
        main.fill_in(&mut answer, of_main);
        per_second.fill_in(&mut answer, of_per_second);
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
        let parts = PairPart::split(batch).into_iter();
        for (part, redis) in parts.zip([&self.main, &self.per_second]) {
            let why = part.indices.iter().filter_map(|index| why.get(*index));
            let why: SmallVec<[NotCounted; 2]> = why.copied().collect();
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

impl<'a> PairPart<'a> {
    /// What each of the two counts.
    fn split(batch: &Batch<'a>) -> [Self; 2] {
        let mut parts = [Self::default(), Self::default()];
        for part in &mut parts {
            part.batch.atomic = batch.atomic;
        }
        for (index, hit) in batch.hits.iter().enumerate() {
            let part = &mut parts[usize::from(!batch.atomic && is_per_second(hit))];
            part.batch.hits.push(*hit);
            part.indices.push(index);
        }
        parts
    }

    fn fill_in(&self, answer: &mut BatchOutcome, counted: BatchOutcome) {
        let lost = counted.not_counted.iter().map(|one| one.index);
        let lost: SmallVec<[usize; 2]> = lost.collect();
        for (at, outcomes) in counted.outcomes.into_iter().enumerate() {
            if !lost.contains(&at) {
                answer.put(self.indices[at], counted.now, outcomes);
            }
        }
        let not_counted = counted.not_counted.into_iter();
        answer.not_counted.extend(not_counted.map(|one| NotCounted {
            index: self.indices[one.index],
            ..one
        }));
    }
}

/// Whether all limits of a hit are per second.
fn is_per_second(hit: &Hit<'_>) -> bool {
    let mut limits = hit.set.limits.iter();
    limits.all(|limit| limit.window().is_some_and(|window| window.secs() == 1))
}
