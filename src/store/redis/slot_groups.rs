//! The hits of a batch, grouped by the hash slot of their counters.
//!
//! A script in a cluster can only use keys of one hash slot. Groups decide independently; what
//! follows from one for another is worked out here, between two rounds of calls.

use smallvec::SmallVec;

use crate::limit::{LeaseOutcome, Outcomes};
use crate::request::{Cost, LeaseId};
use crate::store::batch_part::BatchPart;
use crate::store::{Batch, Hit};

/// The hits of a batch that Redis decides together; their hash slot is `None` outside of a cluster.
pub(super) type SlotGroup<'b> = BatchPart<'b, Option<u16>>;

impl SlotGroup<'_> {
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
