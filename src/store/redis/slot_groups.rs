//! The hits of a batch, grouped by the hash slot of their counters.
//!
//! A script in a cluster can only use keys of one hash slot. Groups decide independently; what
//! follows from one for another is worked out here, between two rounds of calls.

use smallvec::SmallVec;

use crate::limit::{LeaseOutcome, Outcomes};
use crate::request::{Cost, LeaseId};
use crate::store::{Batch, CounterKey, Hit};

/// The hits of a batch that Redis decides together.
#[derive(Debug)]
pub(super) struct SlotGroup<'b> {
    /// `None` outside of a cluster.
    slot: Option<u16>,
    pub(super) batch: Batch<'b>,
    /// The index of each hit in the whole batch.
    pub(super) indices: SmallVec<[usize; 2]>,
}

impl<'b> SlotGroup<'b> {
    /// The hits at `indices`, in as few groups as possible.
    pub(super) fn split(
        batch: &Batch<'b>,
        indices: &[usize],
        slot_of: impl Fn(CounterKey) -> Option<u16>,
    ) -> SmallVec<[Self; 1]> {
        let mut groups = SmallVec::<[Self; 1]>::new();
        for index in indices {
            let hit = batch.hits[*index];
            let slot = slot_of(hit.key);
            let group = match groups.iter().position(|group| group.slot == slot) {
                Some(group) => group,
                None => {
                    groups.push(Self {
                        slot,
                        batch: Batch {
                            hits: SmallVec::new(),
                            atomic: batch.atomic,
                        },
                        indices: SmallVec::new(),
                    });
                    groups.len() - 1
                }
            };
            groups[group].batch.hits.push(hit);
            groups[group].indices.push(*index);
        }
        groups
    }

    /// Whether it releases a lease, which entitles refunds in other groups.
    pub(super) fn releases(&self) -> bool {
        let releases = |hit: &Hit<'_>| {
            matches!(hit.cost, Cost::Refund(_)) && hit.lease.is_some() && hit.set.has_leases()
        };
        self.batch.hits.iter().any(releases)
    }

    /// Lets refunds pass whose lease was released in another group.
    pub(super) fn entitle_refunds(&mut self, released: &[LeaseId]) {
        for hit in &mut self.batch.hits {
            if matches!(hit.cost, Cost::Refund(_)) {
                hit.lease = hit.lease.filter(|lease| !released.contains(lease));
            }
        }
    }
}

/// The leases that a batch has released.
pub(super) fn released(batch: &Batch<'_>, outcomes: &[Outcomes]) -> SmallVec<[LeaseId; 1]> {
    let hits = batch.hits.iter().zip(outcomes);
    hits.filter(|(_, outcomes)| outcomes.lease == LeaseOutcome::Released)
        .filter_map(|(hit, _)| hit.lease)
        .collect()
}
