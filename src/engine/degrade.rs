//! Outcomes for hits that the store could not count, by the rules' `on_store_error`.

use smallvec::SmallVec;

use super::decision::CountingStatus;
use super::matched_request::MatchedRequest;
use super::target::{MatchedLimits, Target};
use crate::clock::{Micros, Timestamp};
use crate::limit::{Operation, Outcomes, States, check_and_apply};
use crate::policy::OnStoreError;
use crate::request::Cost;
use crate::store::{Batch, BatchOutcome, Hit, NotCounted, Store};

/// The wait that is reported while the store is unavailable.
const WAIT: Micros = Micros::from_secs(1);

/// Fills in the missing outcomes.
pub(super) fn degrade(
    matched: &MatchedRequest<'_>,
    outcome: &mut BatchOutcome,
    store: &Store,
) -> CountingStatus {
    let batch = &matched.batch;
    if outcome.not_counted.is_empty() {
        return CountingStatus::of(batch);
    }
    let limits: Vec<&MatchedLimits<'_>> =
        matched.targets.iter().filter_map(Target::limits).collect();
    let mut counting_status = CountingStatus::Degraded;
    let mut fallback = Batch {
        hits: SmallVec::new(),
        atomic: batch.atomic,
    };
    let mut fallback_of = SmallVec::<[NotCounted; 2]>::new();
    for not_counted in std::mem::take(&mut outcome.not_counted) {
        let index = not_counted.index;
        let hit = &batch.hits[index];
        outcome.outcomes[index] = match limits[index].on_store_error() {
            OnStoreError::Local => {
                fallback.hits.push(*hit);
                fallback_of.push(not_counted);
                continue;
            }
            OnStoreError::Allow => untouched(outcome.now, hit),
            OnStoreError::Deny => refused(outcome.now, hit),
            OnStoreError::Error => {
                counting_status = CountingStatus::Failed;
                untouched(outcome.now, hit)
            }
        };
    }
    if counting_status == CountingStatus::Degraded && !fallback.hits.is_empty() {
        let counted = store.hit_local(outcome.now, &fallback, &fallback_of);
        for (not_counted, outcomes) in fallback_of.into_iter().zip(counted) {
            outcome.outcomes[not_counted.index] = outcomes;
        }
    }
    counting_status
}

/// The outcomes at a fresh counter that does not count this hit.
fn untouched(now: Timestamp, hit: &Hit<'_>) -> Outcomes {
    let mut states = States::fresh(hit.set);
    let peek = Operation {
        now,
        cost: Cost::Peek,
        lease: None,
    };
    check_and_apply(hit.set, hit.active, &mut states, peek)
}

/// Over every active limit. Refunds are never refused.
fn refused(now: Timestamp, hit: &Hit<'_>) -> Outcomes {
    let mut outcomes = untouched(now, hit);
    if matches!(hit.cost, Cost::Refund(_)) {
        return outcomes;
    }
    for outcome in &mut outcomes.limits {
        outcome.over = true;
        outcome.available = 0;
        outcome.reset_after = WAIT;
    }
    outcomes.refused = hit.set.limits.iter().any(|limit| !limit.shadow_mode);
    outcomes
}
