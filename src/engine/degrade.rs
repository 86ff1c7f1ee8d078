//! What a decision rests on, and what stands in for hits that the store could not count.

use super::decision::Basis;
use super::plan::{Counted, Plan, Target};
use crate::clock::{Micros, Timestamp};
use crate::limit::{LimitSet, Outcomes, States, step};
use crate::policy::OnStoreError;
use crate::request::Cost;
use crate::store::{Answer, Hit, Store};

/// What a client is told to wait when nobody knows how long.
const WAIT: Micros = Micros::from_secs(1);

/// Fills in the outcomes that are missing from the answer, as the rules' `on_store_error` have it.
pub(super) fn degrade(
    plan: &Plan<'_>,
    hits: &[Hit<'_>],
    answer: &mut Answer,
    store: &Store,
) -> Basis {
    if hits.is_empty() {
        return Basis::Unmatched;
    }
    if answer.not_counted.is_empty() {
        return Basis::Counted;
    }
    let counted: Vec<&Counted<'_>> = plan.targets.iter().filter_map(Target::counted).collect();
    let mut basis = Basis::Degraded;
    for at in std::mem::take(&mut answer.not_counted) {
        let (Some(hit), Some(outcomes)) = (hits.get(at), answer.outcomes.get_mut(at)) else {
            continue;
        };
        *outcomes = match counted[at].on_store_error() {
            OnStoreError::Local => store.hit_meanwhile(answer.now, *hit),
            OnStoreError::Allow => untouched(answer.now, hit),
            OnStoreError::Deny => refused(hit),
            OnStoreError::Error => {
                basis = Basis::Failed;
                untouched(answer.now, hit)
            }
        };
    }
    basis
}

/// As if nothing had been counted, this hit included.
fn untouched(now: Timestamp, hit: &Hit<'_>) -> Outcomes {
    let mut states = States::fresh(hit.set);
    step(hit.set, hit.active, &mut states, (now, Cost::Look))
}

/// Over every limit that takes part; nobody knows until when.
fn refused(hit: &Hit<'_>) -> Outcomes {
    let mut outcomes = untouched(Timestamp::default(), hit);
    if !matches!(hit.cost, Cost::Refund(_)) {
        for outcome in &mut outcomes.limits {
            outcome.over = true;
            outcome.remaining = 0;
            outcome.reset = WAIT;
        }
        outcomes.refused = is_enforced(hit.set);
    }
    outcomes
}

fn is_enforced(set: &LimitSet) -> bool {
    set.limits.iter().any(|limit| !limit.shadow_mode)
}
