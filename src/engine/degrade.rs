//! What a decision rests on, and what stands in for hits that the store could not count.

use smallvec::SmallVec;

use super::decision::CountingStatus;
use super::plan::{MatchedLimits, Plan, Target};
use crate::clock::{Micros, Timestamp};
use crate::limit::{Operation, Outcomes, States, check_and_apply};
use crate::policy::OnStoreError;
use crate::request::Cost;
use crate::store::{Batch, BatchOutcome, Hit, NotCounted, Store};

/// What a client is told to wait when nobody knows how long.
const WAIT: Micros = Micros::from_secs(1);

/// Fills in the outcomes that are missing from the answer, as the rules' `on_store_error` have it.
pub(super) fn degrade(plan: &Plan<'_>, answer: &mut BatchOutcome, store: &Store) -> CountingStatus {
    let batch = &plan.batch;
    if answer.not_counted.is_empty() {
        return CountingStatus::of(batch);
    }
    let counted: Vec<&MatchedLimits<'_>> =
        plan.targets.iter().filter_map(Target::counted).collect();
    let mut counting_status = CountingStatus::Degraded;
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
                counting_status = CountingStatus::Failed;
                untouched(answer.now, hit)
            }
        };
    }
    if counting_status == CountingStatus::Degraded && !here.hits.is_empty() {
        let counted_here = store.hit_local(answer.now, &here, &places);
        for (place, outcomes) in places.into_iter().zip(counted_here) {
            answer.outcomes[place.at] = outcomes;
        }
    }
    counting_status
}

/// As if nothing had been counted, this hit included.
fn untouched(now: Timestamp, hit: &Hit<'_>) -> Outcomes {
    let mut states = States::fresh(hit.set);
    let look = Operation {
        now,
        cost: Cost::Peek,
        lease: None,
    };
    check_and_apply(hit.set, hit.active, &mut states, look)
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
