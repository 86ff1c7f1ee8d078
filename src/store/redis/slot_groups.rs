//! A batch whose counters are in several servers.

use futures_util::future::join_all;
use smallvec::SmallVec;

use super::Redis;
use crate::clock::Timestamp;
use crate::limit::LeaseOutcome;
use crate::request::{Cost, LeaseId};
use crate::store::{Batch, BatchOutcome, Hit};

/// The hits of a batch that one server takes together.
#[derive(Debug)]
pub(super) struct Part<'b> {
    /// In a cluster, the slot of their counters.
    slot: Option<u16>,
    pub(super) batch: Batch<'b>,
    /// The place of each hit in the whole batch.
    pub(super) places: SmallVec<[usize; 2]>,
}

/// Whether a hit frees what a lease holds.
fn gives_back(hit: &Hit<'_>) -> bool {
    matches!(hit.cost, Cost::Refund(_)) && hit.lease.is_some() && hit.set.has_leases()
}

impl Part<'_> {
    /// Whether any of its hits is such.
    fn hits(&self, such: fn(&Hit<'_>) -> bool) -> bool {
        self.batch.hits.iter().any(such)
    }

    fn new(slot: Option<u16>, atomic: bool) -> Self {
        Self {
            slot,
            batch: Batch {
                hits: SmallVec::new(),
                atomic,
            },
            places: SmallVec::new(),
        }
    }
}

impl Redis {
    /// Has several servers take their parts. What gives leases back goes first: it proves refunds elsewhere.
    pub(super) async fn hit_in_parts(
        &self,
        now: Timestamp,
        batch: &Batch<'_>,
        parts: SmallVec<[Part<'_>; 1]>,
        answer: &mut BatchOutcome,
    ) {
        let (proofs, mut others): (Vec<_>, Vec<_>) =
            parts.into_iter().partition(|part| part.hits(gives_back));
        self.take_all(now, &proofs, answer).await;
        let released: SmallVec<[LeaseId; 1]> = batch
            .hits
            .iter()
            .zip(&answer.outcomes)
            .filter(|(_, outcomes)| outcomes.lease == LeaseOutcome::Released)
            .filter_map(|(hit, _)| hit.lease)
            .collect();
        for hit in others.iter_mut().flat_map(|part| &mut part.batch.hits) {
            if matches!(hit.cost, Cost::Refund(_)) {
                hit.lease = hit.lease.filter(|lease| !released.contains(lease));
            }
        }
        self.take_all(now, &others, answer).await;
        self.release_refused(now, batch, answer);
    }

    async fn take_all(&self, now: Timestamp, parts: &[Part<'_>], answer: &mut BatchOutcome) {
        let taken = join_all(parts.iter().map(|part| self.take(now, part))).await;
        for (part, taken) in parts.iter().zip(&taken) {
            self.fill_in(answer, now, part, taken);
        }
    }

    /// The hits at those places, in as many batches as it takes.
    pub(super) fn parts<'b>(&self, batch: &Batch<'b>, places: &[usize]) -> SmallVec<[Part<'b>; 1]> {
        let mut parts = SmallVec::<[Part<'b>; 1]>::new();
        for at in places {
            let hit = batch.hits[*at];
            let slot = self.is_cluster.then(|| self.shared.slot(hit.key));
            let part = match parts.iter().position(|part| part.slot == slot) {
                Some(part) => part,
                None => {
                    parts.push(Part::new(slot, batch.atomic));
                    parts.len() - 1
                }
            };
            parts[part].batch.hits.push(hit);
            parts[part].places.push(*at);
        }
        parts
    }

    /// Gives back what was taken in one slot of a cluster for a request that another slot refuses.
    fn release_refused(&self, now: Timestamp, batch: &Batch<'_>, answer: &mut BatchOutcome) {
        if !batch.is_joint() || !batch.is_refused(&answer.outcomes) {
            return;
        }
        for (hit, outcomes) in batch.hits.iter().zip(&mut answer.outcomes) {
            if outcomes.lease == LeaseOutcome::Granted
                && let Some(lease) = hit.lease
            {
                outcomes.lease = LeaseOutcome::None;
                self.release(now, lease, &[hit.key]);
            }
        }
    }
}
