//! One call at the limits of one rule.

use smallvec::SmallVec;

use super::state::{State, States};
use super::{Algorithm, Charge, Limit, LimitSet};
use crate::clock::{Micros, Timestamp};
use crate::request::Cost;

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
    pub reset: Micros,
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
}

/// Takes a call at `now` to the states of a set, which must be aligned to it, and says how they stand then.
///
/// A look writes nothing. Under [`Charge::Allowed`] hits that any active limit refuses are charged to none; a limit in
/// shadow mode refuses nobody, and is charged with what it would let pass.
pub fn step(
    set: &LimitSet,
    active: Active,
    states: &mut States,
    (now, cost): (Timestamp, Cost),
) -> Outcomes {
    let mut outcomes = Outcomes::default();
    for (index, limit, state) in pairs(set, active, states.as_mut_slice()) {
        let over = is_over(set.charge, limit, state, (now, cost));
        outcomes.refused |= over && !limit.shadow_mode;
        outcomes.limits.push(Outcome {
            limit: index as u8,
            over,
            remaining: 0,
            reset: Micros::ZERO,
        });
    }
    for ((_, limit, state), outcome) in
        pairs(set, active, states.as_mut_slice()).zip(&mut outcomes.limits)
    {
        let charged = match set.charge {
            Charge::Always => true,
            Charge::Allowed => !outcomes.refused && !outcome.over,
        };
        match cost {
            Cost::Hits(hits) if charged => state.count_mut().add(limit, now, hits.into()),
            Cost::Refund(hits) => state.count_mut().refund(limit, now, hits.into()),
            Cost::Hits(_) | Cost::Look => {}
        }
        report(limit, state, (now, cost), outcome);
        if outcome.over && !state.count().fits(limit, now, 1) {
            let until = now.plus(state.count().until_fits(limit, now, 1));
            outcomes.blocked_until = outcomes.blocked_until.max(Some(until));
        }
    }
    outcomes
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

/// Whether the call exceeds the limit as it stands before it.
fn is_over(charge: Charge, limit: &Limit, state: &State, (now, cost): (Timestamp, Cost)) -> bool {
    match cost {
        Cost::Hits(hits) => !state.count().fits(limit, now, hits.into()),
        // The reference compares the count alone, so that a look at a limit just used up is still OK.
        Cost::Look if charge == Charge::Always && limit.algorithm == Algorithm::FixedWindow => {
            !state.count().fits(limit, now, 0)
        }
        Cost::Look => !state.count().fits(limit, now, 1),
        Cost::Refund(_) => false,
    }
}

/// Fills in what there is to say of the limit as it stands after the call.
fn report(limit: &Limit, state: &State, (now, cost): (Timestamp, Cost), outcome: &mut Outcome) {
    let count = state.count();
    if outcome.over {
        let hits = match cost {
            Cost::Hits(hits) => hits.into(),
            Cost::Look | Cost::Refund(_) => 1,
        };
        outcome.reset = count.until_fits(limit, now, hits);
        return;
    }
    outcome.remaining = u32::try_from(count.remaining(limit, now)).unwrap_or(u32::MAX);
    outcome.reset = if outcome.remaining == 0 {
        count.until_fits(limit, now, 1)
    } else {
        count.until_clear(limit, now)
    };
}
