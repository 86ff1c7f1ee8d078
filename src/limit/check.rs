//! One call at the limits of one rule.

use smallvec::SmallVec;

use super::count::Count;
use super::state::{State, States};
use super::{Charge, Limit, LimitKind, LimitSet};
use crate::clock::{Micros, Timestamp};
use crate::request::{Cost, LeaseId};

/// Which limits of a set take part: those that no other rule displaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Active(u16);

const _: () = assert!(LimitSet::MAX <= u16::BITS as usize);

impl Active {
    /// All of them.
    pub const ALL: Self = Self(u16::MAX);

    /// All but the limit at `index`.
    #[must_use]
    pub const fn without(self, index: usize) -> Self {
        Self(self.0 & !(1 << index))
    }

    /// Those whose bits are set; bit `n` is the limit at `n`.
    pub(crate) const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Bit `n` is the limit at `n`.
    pub(crate) const fn bits(self) -> u16 {
        self.0
    }

    /// Whether the limit at `index` takes part.
    pub const fn contains(self, index: usize) -> bool {
        self.0 & (1 << index) != 0
    }
}

/// How one limit stands after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its place in the set.
    pub limit: u8,
    /// Whether the call was over this limit.
    pub over: bool,
    /// Hits that would pass now; 0 when over.
    pub remaining: u32,
    /// The time until there is room again: for a fixed window to its end. Otherwise, when over,
    /// until these hits pass; with nothing remaining, until one passes; else until nothing is counted.
    /// When a slot will be given back nobody knows: a second.
    pub reset_after: Micros,
}

/// How the active limits of a set stand after a step, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// One per active limit.
    pub limits: SmallVec<[Outcome; 2]>,
    /// Whether the call was over a limit that is not in shadow mode.
    pub refused: bool,
    /// If the call was over a limit that would now refuse a single hit as well: until when it would.
    pub blocked_until: Option<Timestamp>,
    /// When the last lease ends; none if none is held.
    pub held_until: Option<Timestamp>,
    /// What the call did with leases.
    pub lease: LeaseOutcome,
}

/// What a call did with leases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// Nothing.
    #[default]
    None,
    /// It holds slots now.
    Granted,
    /// It gave back what its lease held.
    Released,
    /// It released nothing: its lease holds nothing here. It was never granted, was given back or has ended.
    NotHeld,
    /// It released nothing: it would give slots back, and names no lease.
    MissingId,
}

/// One call, as the limits of a set see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// When it comes.
    pub now: Timestamp,
    /// What it costs.
    pub cost: Cost,
    /// What its hits take slots by, or what its refund gives back.
    pub lease: Option<LeaseId>,
}

/// How much of a call is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of it.
    Whole,
    /// All but slots: what they would be held for does not happen.
    WithoutSlots,
    /// Refunds, and hits that are charged always.
    OnlyAlways,
}

/// Takes a call to the states of a set, which must be aligned to it, and says how they stand then.
///
/// A look writes nothing. Under [`Charge::Allowed`] hits that any active limit refuses are charged to none; a limit in
/// shadow mode refuses nobody, and is charged with what it would let pass. A refund that names a lease frees what that
/// lease holds, and touches nothing else.
pub fn check_and_apply(
    set: &LimitSet,
    active: Active,
    states: &mut States,
    call: Operation,
) -> Outcomes {
    let mut outcomes = Outcomes::default();
    check(set, active, states, call, &mut outcomes);
    apply(set, active, states, (call, Scope::Whole), &mut outcomes);
    outcomes
}

/// Says, in `outcomes` that say nothing yet, which limits a call is over: the first half of a [`step`].
pub fn check(
    set: &LimitSet,
    active: Active,
    states: &mut States,
    call: Operation,
    outcomes: &mut Outcomes,
) {
    for (index, limit, state) in pairs(set, active, states.as_mut_slice()) {
        let over = is_over(set.charge, limit, state, call);
        outcomes.refused |= over && !limit.shadow_mode;
        outcomes.limits.push(Outcome {
            limit: index as u8,
            over,
            remaining: 0,
            reset_after: Micros::ZERO,
        });
    }
}

/// Writes as much of a call as `extent` says, whose `outcomes` say already which limits it is over, and says how the
/// states stand then.
pub fn apply(
    set: &LimitSet,
    active: Active,
    states: &mut States,
    (call, extent): (Operation, Scope),
    outcomes: &mut Outcomes,
) {
    outcomes.blocked_until = None;
    outcomes.lease = match (call.cost, call.lease) {
        (Cost::Refund(_), lease) if set.has_leases() => give_back(states, call.now, lease),
        _ => LeaseOutcome::None,
    };
    for ((_, limit, state), outcome) in
        pairs(set, active, states.as_mut_slice()).zip(&mut outcomes.limits)
    {
        let charged = match (set.charge, extent) {
            (Charge::Always, _) => true,
            (Charge::Allowed, Scope::OnlyAlways) => false,
            (Charge::Allowed, Scope::WithoutSlots) if limit.is_concurrency() => false,
            (Charge::Allowed, _) => !outcomes.refused && !outcome.over,
        };
        // One dispatch by algorithm for all that is done: this is the hot path.
        let over_until = match (state, &limit.kind) {
            (State::FixedWindow { count, .. }, LimitKind::FixedWindow(rate)) => {
                apply_one(rate, count, call, charged, outcome)
            }
            (State::SlidingWindow { segments, .. }, LimitKind::SlidingWindow(rate)) => {
                apply_one(rate, &mut **segments, call, charged, outcome)
            }
            (State::TokenBucket { debt, .. }, LimitKind::TokenBucket(bucket)) => {
                apply_one(bucket, debt, call, charged, outcome)
            }
            (
                State::Concurrency(leases),
                LimitKind::Concurrency {
                    max_in_flight,
                    lease_secs,
                },
            ) => {
                if let Cost::Hits(slots) = call.cost
                    && charged
                {
                    let lease = call.lease.unwrap_or(LeaseId::NIL);
                    let length = Micros::from_secs(u64::from(*lease_secs));
                    leases.grant(call.now, lease, slots, length);
                    outcomes.lease = LeaseOutcome::Granted;
                }
                apply_one(max_in_flight, &mut **leases, call, charged, outcome)
            }
            _ => None,
        };
        outcomes.blocked_until = outcomes.blocked_until.max(over_until);
    }
    if set.has_leases() {
        outcomes.held_until = states.held_until(call.now);
    }
}

/// Applies a call to one limit, and reports on it. Returns until when a single hit is refused, if
/// the call was over the limit and a single hit would be too.
fn apply_one<C: Count>(
    params: &C::Params,
    count: &mut C,
    call: Operation,
    charged: bool,
    outcome: &mut Outcome,
) -> Option<Timestamp> {
    match call.cost {
        Cost::Hits(hits) if charged => count.add(params, call.now, hits.into()),
        Cost::Refund(hits) if call.lease.is_none() => count.refund(params, call.now, hits.into()),
        Cost::Hits(_) | Cost::Refund(_) | Cost::Peek => {}
    }
    report(params, count, call, outcome);
    let is_blocked = outcome.over && !count.admits(params, call.now, 1);
    is_blocked.then(|| call.now.plus(count.until_admitted(params, call.now, 1)))
}

fn give_back(states: &mut States, now: Timestamp, lease: Option<LeaseId>) -> LeaseOutcome {
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

/// Whether the call exceeds the limit as it is before the call.
fn is_over(charge: Charge, limit: &Limit, state: &State, call: Operation) -> bool {
    // envoyproxy/ratelimit compares the count alone, so a peek at a limit just used up is OK.
    let peek = match (charge, &limit.kind) {
        (Charge::Always, LimitKind::FixedWindow(_)) => 0,
        _ => 1,
    };
    let hits = match call.cost {
        Cost::Hits(hits) => hits.into(),
        Cost::Peek => peek,
        Cost::Refund(_) => return false,
    };
    let now = call.now;
    let admits = match (state, &limit.kind) {
        (State::FixedWindow { count, .. }, LimitKind::FixedWindow(rate)) => {
            count.admits(rate, now, hits)
        }
        (State::SlidingWindow { segments, .. }, LimitKind::SlidingWindow(rate)) => {
            segments.admits(rate, now, hits)
        }
        (State::TokenBucket { debt, .. }, LimitKind::TokenBucket(bucket)) => {
            debt.admits(bucket, now, hits)
        }
        (State::Concurrency(leases), LimitKind::Concurrency { max_in_flight, .. }) => {
            leases.admits(max_in_flight, now, hits)
        }
        _ => true,
    };
    !admits
}

/// Reports on the limit as it is after the call.
fn report<C: Count>(params: &C::Params, count: &C, call: Operation, outcome: &mut Outcome) {
    let now = call.now;
    if outcome.over {
        let hits = match call.cost {
            Cost::Hits(hits) => hits.into(),
            Cost::Peek | Cost::Refund(_) => 1,
        };
        // An earlier check of the same request may have found a longer wait.
        outcome.reset_after = outcome
            .reset_after
            .max(count.until_admitted(params, now, hits));
        return;
    }
    outcome.remaining = u32::try_from(count.remaining(params, now)).unwrap_or(u32::MAX);
    outcome.reset_after = if outcome.remaining == 0 {
        count.until_admitted(params, now, 1)
    } else {
        count.until_clear(params, now)
    };
}
