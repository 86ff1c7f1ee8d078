//! The two halves of an operation at the limits of one rule: [`check`] and [`apply`].
//!
//! They are separate because a batch must know whether its request is refused before it applies
//! anything.

use smallvec::SmallVec;

use super::active::Active;
use super::count::Count;
use super::penalty::{BlockOutcome, Penalty};
use super::state::{PenalizedState, State, States};
use super::{Charge, Limit, LimitKind, LimitSet};
use crate::clock::{Micros, Timestamp};
use crate::request::{Cost, LeaseId};

/// The result of an operation at one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The index of the limit in its set.
    pub limit: u8,
    /// Whether the operation exceeds this limit.
    pub over: bool,
    /// Whether the operation has more hits than the limit admits even if nothing is counted, so that no wait helps.
    pub over_capacity: bool,
    /// Hits that would be admitted now: of a token bucket up to its burst.
    pub available: u32,
    /// The time until there is room again. Fixed window: until its end. Others: if over, until the
    /// hits of the operation are admitted; if nothing remains, until one hit is; else until nothing
    /// is counted. Concurrency: a second, for releases cannot be predicted. At least until the end of a block.
    pub reset_after: Micros,
    /// What became of the limit's penalty.
    pub block: BlockOutcome,
}

impl Outcomes {
    /// Takes time that has passed since from every wait.
    pub fn wait_less(&mut self, passed: Micros) {
        for outcome in &mut self.limits {
            let left = outcome.reset_after.get().saturating_sub(passed.get());
            outcome.reset_after = Micros::new(left);
        }
    }
}

/// The result of an operation at all active limits of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// One per active limit, in the order of the set.
    pub limits: SmallVec<[Outcome; 2]>,
    /// Whether the operation exceeds a limit that is not in shadow mode.
    pub refused: bool,
    /// Until when a single hit is refused too, if the operation was over a limit.
    pub blocked_until: Option<Timestamp>,
    /// When the last lease expires; `None` if none is held.
    pub held_until: Option<Timestamp>,
    /// The effect on leases.
    pub lease: LeaseOutcome,
    /// Of an operation of several hits that is over a limit, those for which there was room.
    pub room: u32,
}

/// The effect of an operation on leases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// None.
    #[default]
    None,
    /// Slots were granted to its lease.
    Granted,
    /// The slots of its lease were released.
    Released,
    /// No effect: the lease was never granted here, was released already, or has expired.
    NotHeld,
    /// No effect: a refund at a concurrency limit that names no lease.
    MissingId,
}

/// One hit, peek or refund at the limits of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// When it happens.
    pub now: Timestamp,
    /// What it costs.
    pub cost: Cost,
    /// The lease that its hits acquire slots with, or that its refund releases.
    pub lease: Option<LeaseId>,
}

/// Which parts of an operation to apply, if its request is refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of it: the request is not refused.
    Whole,
    /// All but slots: the work that they would be held for does not happen.
    WithoutSlots,
    /// Refunds, and hits under [`Charge::Always`].
    OnlyAlways,
}

/// Checks an operation and applies it. `states` must be aligned to `set`.
///
/// A peek changes nothing. Under [`Charge::Allowed`], hits that any enforced limit refuses are
/// charged to none; a limit in shadow mode is charged with what it would admit. A refund that names
/// a lease releases what the lease holds, and changes nothing else.
pub fn check_and_apply(
    set: &LimitSet,
    active: Active,
    states: &mut States,
    op: Operation,
) -> Outcomes {
    let mut outcomes = Outcomes::default();
    check(set, active, states, op, &mut outcomes);
    apply(set, active, states, op, Scope::Whole, &mut outcomes);
    outcomes
}

/// Determines which limits an operation exceeds. `outcomes` must be empty.
///
/// The outcomes are filled in where they are: moving them costs as much as the check.
pub fn check(
    set: &LimitSet,
    active: Active,
    states: &mut States,
    op: Operation,
    outcomes: &mut Outcomes,
) {
    for (index, limit, state) in pairs(set, active, states.as_mut_slice()) {
        let over = is_over(set.charge, limit, state, op);
        outcomes.refused |= over && !limit.shadow_mode;
        outcomes.limits.push(Outcome {
            limit: index as u8,
            over,
            over_capacity: false,
            available: 0,
            reset_after: Micros::ZERO,
            block: BlockOutcome::None,
        });
    }
}

/// Applies a checked operation as far as `scope` permits, and completes its `outcomes`.
pub fn apply(
    set: &LimitSet,
    active: Active,
    states: &mut States,
    op: Operation,
    scope: Scope,
    outcomes: &mut Outcomes,
) {
    outcomes.blocked_until = None;
    let mut room = None;
    outcomes.lease = match (op.cost, op.lease) {
        (Cost::Refund(_), lease) if set.has_leases() => release(states, op.now, lease),
        _ => LeaseOutcome::None,
    };
    for ((_, limit, state), outcome) in
        pairs(set, active, states.as_mut_slice()).zip(&mut outcomes.limits)
    {
        let charged = match (set.charge, scope) {
            (Charge::Always, _) => true,
            (Charge::Allowed, Scope::OnlyAlways) => false,
            (Charge::Allowed, Scope::WithoutSlots) if limit.is_concurrency() => false,
            (Charge::Allowed, _) => !outcomes.refused && !outcome.over,
        };
        let counted = match &mut *state {
            State::Penalized(penalized) => &mut penalized.count,
            count => count,
        };
        // One dispatch by algorithm for all that is done: this is the hot path.
        let mut over_until = match (counted, &limit.kind) {
            (State::FixedWindow { count, .. }, LimitKind::FixedWindow(rate)) => {
                apply_one(rate, count, op, charged, outcome, &mut room)
            }
            (State::Calendar { count, .. }, LimitKind::Calendar(rate)) => {
                apply_one(rate, count, op, charged, outcome, &mut room)
            }
            (State::SlidingWindow { segments, .. }, LimitKind::SlidingWindow(rate)) => {
                apply_one(rate, &mut **segments, op, charged, outcome, &mut room)
            }
            (State::TokenBucket { debt, .. }, LimitKind::TokenBucket(bucket)) => {
                apply_one(bucket, debt, op, charged, outcome, &mut room)
            }
            (
                State::Concurrency(leases),
                LimitKind::Concurrency {
                    max_in_flight,
                    lease_secs,
                },
            ) => {
                if let Cost::Hits(slots) = op.cost
                    && charged
                {
                    let lease = op.lease.unwrap_or(LeaseId::NIL);
                    let length = Micros::from_secs(u64::from(*lease_secs));
                    leases.grant(op.now, lease, slots, length);
                    outcomes.lease = LeaseOutcome::Granted;
                }
                apply_one(
                    max_in_flight,
                    &mut **leases,
                    op,
                    charged,
                    outcome,
                    &mut room,
                )
            }
            _ => None,
        };
        if let Some(penalty) = &limit.penalty {
            over_until = over_until.max(penalize(penalty, state, op, outcome, &mut room));
        }
        outcomes.blocked_until = outcomes.blocked_until.max(over_until);
    }
    outcomes.room = room.unwrap_or(0);
    if set.has_leases() {
        outcomes.held_until = states.held_until(op.now);
    }
}

/// Applies an operation to one limit, and reports on it. Returns until when a single hit is refused, if
/// the operation was over the limit and a single hit would be too.
fn apply_one<P>(
    params: &P,
    count: &mut impl Count<P>,
    op: Operation,
    charged: bool,
    outcome: &mut Outcome,
    room: &mut Option<u32>,
) -> Option<Timestamp> {
    if let Cost::Hits(2..) = op.cost
        && outcome.over
    {
        let available = u32::try_from(count.available(params, op.now)).unwrap_or(u32::MAX);
        *room = Some(room.map_or(available, |room| room.min(available)));
    }
    match op.cost {
        Cost::Hits(hits) if charged => count.add(params, op.now, hits.into()),
        Cost::Refund(hits) if op.lease.is_none() => count.refund(params, op.now, hits.into()),
        Cost::Hits(_) | Cost::Refund(_) | Cost::Peek => {}
    }
    report(params, count, op, outcome);
    let is_blocked = outcome.over && !count.admits(params, op.now, 1);
    is_blocked.then(|| op.now.plus(count.until_admitted(params, op.now, 1)))
}

/// Begins a block if hits were over the limit, and reports on the one that is in force. Returns its end, if the operation was
/// over the limit.
fn penalize(
    penalty: &Penalty,
    state: &mut State,
    op: Operation,
    outcome: &mut Outcome,
    room: &mut Option<u32>,
) -> Option<Timestamp> {
    let is_breach = outcome.over && matches!(op.cost, Cost::Hits(_));
    outcome.block = match state.blocked_until(op.now) {
        Some(_) => BlockOutcome::InForce,
        None if is_breach => BlockOutcome::Began,
        None => BlockOutcome::None,
    };
    match outcome.block {
        BlockOutcome::None => return None,
        BlockOutcome::Began => state.penalize(penalty, op.now),
        BlockOutcome::InForce => *room = room.map(|_| 0),
    }
    let until = state.blocked_until(op.now)?;
    outcome.available = 0;
    outcome.reset_after = outcome.reset_after.max(until.since(op.now));
    outcome.over.then_some(until)
}

fn release(states: &mut States, now: Timestamp, lease: Option<LeaseId>) -> LeaseOutcome {
    match lease {
        None => LeaseOutcome::MissingId,
        Some(lease) if states.release(now, lease) => LeaseOutcome::Released,
        Some(_) => LeaseOutcome::NotHeld,
    }
}

fn pairs<'a>(
    set: &'a LimitSet,
    active: Active,
    states: &'a mut [State],
) -> impl Iterator<Item = (usize, &'a Limit, &'a mut State)> {
    let limits = set.limits.iter().zip(states).enumerate();
    limits
        .filter(move |(index, _)| active.contains(*index))
        .map(|(index, (limit, state))| (index, limit, state))
}

/// Whether the operation exceeds the limit as it is before it. Corrects a state of a clock that was ahead.
fn is_over(charge: Charge, limit: &Limit, state: &mut State, op: Operation) -> bool {
    // envoyproxy/ratelimit compares the count alone, so a peek at a limit just used up is OK.
    let peek = match (charge, &limit.kind) {
        (Charge::Always, LimitKind::FixedWindow(_) | LimitKind::Calendar(_)) => 0,
        _ => 1,
    };
    let hits = match op.cost {
        Cost::Hits(hits) => Some(hits.into()),
        Cost::Peek => Some(peek),
        Cost::Refund(_) => None,
    };
    let now = op.now;
    let admits = match (state, &limit.kind) {
        (State::FixedWindow { count, .. }, LimitKind::FixedWindow(rate)) => {
            corrected_admits(count, rate, now, hits)
        }
        (State::Calendar { count, .. }, LimitKind::Calendar(rate)) => {
            corrected_admits(count, rate, now, hits)
        }
        (State::SlidingWindow { segments, .. }, LimitKind::SlidingWindow(rate)) => {
            corrected_admits(&mut **segments, rate, now, hits)
        }
        (State::TokenBucket { debt, .. }, LimitKind::TokenBucket(bucket)) => {
            corrected_admits(debt, bucket, now, hits)
        }
        (
            State::Concurrency(leases),
            LimitKind::Concurrency {
                max_in_flight,
                lease_secs,
            },
        ) => {
            leases.correct_leases(now, Micros::from_secs(u64::from(*lease_secs)));
            corrected_admits(&mut **leases, max_in_flight, now, hits)
        }
        (State::Penalized(penalized), _) => !is_over_penalized(charge, limit, penalized, op),
        _ => true,
    };
    !admits
}

/// Whether the operation exceeds the limit, or comes during a block.
#[cold]
fn is_over_penalized(
    charge: Charge,
    limit: &Limit,
    state: &mut PenalizedState,
    op: Operation,
) -> bool {
    let is_over = is_over(charge, limit, &mut state.count, op);
    let Some(penalty) = &limit.penalty else {
        return is_over;
    };
    state.block.correct(penalty, op.now);
    let is_refund = matches!(op.cost, Cost::Refund(_));
    is_over || (state.block.until > op.now && !is_refund)
}

/// Whether a refund, which has no hits, or this many hits are admitted by the state, once it is corrected.
fn corrected_admits<P>(
    count: &mut impl Count<P>,
    params: &P,
    now: Timestamp,
    hits: Option<u64>,
) -> bool {
    count.correct(params, now);
    hits.is_none_or(|hits| count.admits(params, now, hits))
}

/// Reports on the limit as it is after the operation.
fn report<P, C: Count<P>>(params: &P, count: &C, op: Operation, outcome: &mut Outcome) {
    let now = op.now;
    outcome.available = u32::try_from(count.available(params, now)).unwrap_or(u32::MAX);
    if outcome.over {
        let hits = match op.cost {
            Cost::Hits(hits) => hits.into(),
            Cost::Peek | Cost::Refund(_) => 1,
        };
        outcome.over_capacity = hits > C::capacity(params);
        // An earlier check of the same request may have found a longer wait.
        outcome.reset_after = outcome
            .reset_after
            .max(count.until_admitted(params, now, hits));
        return;
    }
    outcome.reset_after = if outcome.available == 0 {
        count.until_admitted(params, now, 1)
    } else {
        count.until_clear(params, now)
    };
}
