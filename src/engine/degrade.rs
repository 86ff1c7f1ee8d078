//! What a decision rests on, and what stands in for hits that the store could not count.

use smallvec::SmallVec;

use super::decision::Basis;
use super::plan::{Counted, Plan, Target};
use crate::clock::{Micros, Timestamp};
use crate::limit::{Call, Outcomes, States, step};
use crate::policy::OnStoreError;
use crate::request::Cost;
use crate::store::{Answer, Batch, Hit, NotCounted, Store};

/// What a client is told to wait when nobody knows how long.
const WAIT: Micros = Micros::from_secs(1);

/// Fills in the outcomes that are missing from the answer, as the rules' `on_store_error` have it.
pub(super) fn degrade(plan: &Plan<'_>, answer: &mut Answer, store: &Store) -> Basis {
    let batch = &plan.batch;
    if answer.not_counted.is_empty() {
        return Basis::of(batch);
    }
    let counted: Vec<&Counted<'_>> = plan.targets.iter().filter_map(Target::counted).collect();
    let mut basis = Basis::Degraded;
    let mut here = Batch {
        hits: SmallVec::new(),
        atomic: batch.atomic,
    };
    let mut places = SmallVec::<[NotCounted; 2]>::new();
    for not_counted in std::mem::take(&mut answer.not_counted) {
        let at = not_counted.at;
        let hit = &batch.hits[at];
        answer.outcomes[at] = match counted[at].on_store_error() {
            OnStoreError::Local => {
                here.hits.push(*hit);
                places.push(not_counted);
                continue;
            }
            OnStoreError::Allow => untouched(answer.now, hit),
            OnStoreError::Deny => refused(answer.now, hit),
            OnStoreError::Error => {
                basis = Basis::Failed;
                untouched(answer.now, hit)
            }
        };
    }
    if basis == Basis::Degraded && !here.hits.is_empty() {
        let counted_here = store.hit_here(answer.now, &here, &places);
        for (place, outcomes) in places.into_iter().zip(counted_here) {
            answer.outcomes[place.at] = outcomes;
        }
    }
    basis
}

/// As if nothing had been counted, this hit included.
fn untouched(now: Timestamp, hit: &Hit<'_>) -> Outcomes {
    let mut states = States::fresh(hit.set);
    let look = Call {
        now,
        cost: Cost::Look,
        lease: None,
    };
    step(hit.set, hit.active, &mut states, look)
}

/// Over every limit that takes part; nobody knows until when. Giving back is never refused.
fn refused(now: Timestamp, hit: &Hit<'_>) -> Outcomes {
    let mut outcomes = untouched(now, hit);
    if matches!(hit.cost, Cost::Refund(_)) {
        return outcomes;
    }
    for outcome in &mut outcomes.limits {
        outcome.over = true;
        outcome.remaining = 0;
        outcome.reset = WAIT;
    }
    outcomes.refused = hit.set.limits.iter().any(|limit| !limit.shadow_mode);
    outcomes
}
