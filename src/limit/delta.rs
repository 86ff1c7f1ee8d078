//! What was counted delta from states that others have, to be added to them afterwards.
//!
//! It keeps what the others had, as far as they have said, and the same with what was counted since. Their difference is
//! what they are to get, at the moments when it was counted: what belongs to a window that has ended meanwhile is not
//! counted in a later one, and debt that was paid back meanwhile is not owed.

use super::count::{Count, StateDelta};
use super::state::{State, States};
use super::{Active, LimitKind, LimitSet};
use crate::clock::Timestamp;
use crate::request::Cost;

/// What was counted delta from states, of all limits but slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    base: States,
    own: States,
    /// Whether they may have forgotten what they had, so that they are to be at least that again.
    restores: bool,
}

impl Delta {
    /// Nothing was counted delta yet; `base` is what they have.
    pub fn new(base: States, restores: bool) -> Self {
        Self {
            own: base.clone(),
            base,
            restores,
        }
    }

    /// Makes it that of `set`, as [`States::align`] does.
    pub fn align(&mut self, set: &LimitSet) {
        self.base.align(set);
        self.own.align(set);
    }

    /// Counts hits or gives them back, whatever the limits say; it is aligned to `set`.
    pub fn charge(&mut self, set: &LimitSet, active: Active, now: Timestamp, cost: Cost) {
        charge(&mut self.own, (set, active), now, cost);
    }

    /// The same where they may have counted it too: they are to be at least what they then are.
    pub fn charge_in_doubt(&mut self, set: &LimitSet, active: Active, now: Timestamp, cost: Cost) {
        self.restores = true;
        charge(&mut self.base, (set, active), now, cost);
        charge(&mut self.own, (set, active), now, cost);
    }

    /// They may have forgotten what they had.
    pub fn restore(&mut self) {
        self.restores = true;
    }

    /// They may have got it all: they are to be at least what they then are.
    pub fn doubt(&mut self) {
        self.restores = true;
        self.base = self.own.clone();
    }

    /// Adds it to what they have; both are aligned to `set`.
    pub fn add_to(&self, set: &LimitSet, theirs: &mut States) {
        let limits = set.limits.iter().zip(theirs.as_mut_slice());
        let own = self.base.as_slice().iter().zip(self.own.as_slice());
        for ((limit, theirs), (base, own)) in limits.zip(own) {
            theirs.merge(
                limit,
                StateDelta {
                    remote: base,
                    local: own,
                    at_least: self.restores,
                },
            );
        }
    }

    /// Takes in what was counted delta besides; both are aligned to `set`.
    pub fn join(&mut self, set: &LimitSet, other: &Self) {
        let had = Self {
            own: other.base.clone(),
            ..other.clone()
        };
        let mut base = self.base.clone();
        had.add_to(set, &mut base);
        let mut own = base.clone();
        for delta in [&*self, other] {
            let delta = Self {
                restores: false,
                ..delta.clone()
            };
            delta.add_to(set, &mut own);
        }
        let restores = self.restores || other.restores;
        *self = Self {
            base,
            own,
            restores,
        };
    }

    /// What they had, as far as they have said.
    pub fn base(&self) -> &States {
        &self.base
    }

    /// The same with what was counted since.
    pub fn own(&self) -> &States {
        &self.own
    }

    /// Whether they may have forgotten what they had.
    pub fn restores(&self) -> bool {
        self.restores
    }
}

fn charge(states: &mut States, (set, active): (&LimitSet, Active), now: Timestamp, cost: Cost) {
    let limits = set.limits.iter().zip(states.as_mut_slice()).enumerate();
    for (_, (limit, state)) in limits.filter(|(index, _)| active.contains(*index)) {
        match (state, &limit.kind) {
            (State::FixedWindow { count, .. }, LimitKind::FixedWindow(rate)) => {
                write(count, rate, now, cost);
            }
            (State::SlidingWindow { segments, .. }, LimitKind::SlidingWindow(rate)) => {
                write(&mut **segments, rate, now, cost);
            }
            (State::TokenBucket { debt, .. }, LimitKind::TokenBucket(bucket)) => {
                write(debt, bucket, now, cost);
            }
            _ => {}
        }
    }
}

fn write<C: Count>(count: &mut C, params: &C::Params, now: Timestamp, cost: Cost) {
    match cost {
        Cost::Peek => {}
        Cost::Hits(hits) => count.add(params, now, hits.into()),
        Cost::Refund(hits) => count.refund(params, now, hits.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Micros;
    use crate::limit::{Charge, Limit, Operation, Rate, TokenBucket, check_and_apply};

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn sets() -> [LimitSet; 3] {
        let rate = Rate::parse("100 per minute").unwrap();
        let slower = Rate::parse("60 per minute").unwrap();
        [
            LimitKind::FixedWindow(rate),
            LimitKind::SlidingWindow(rate),
            LimitKind::TokenBucket(TokenBucket::new(100, slower).unwrap()),
        ]
        .map(|kind| LimitSet {
            limits: Box::new([Limit::new(kind)]),
            charge: Charge::Allowed,
        })
    }

    fn with(set: &LimitSet, hits: u32, at: Timestamp) -> States {
        let mut states = States::fresh(set);
        charge(&mut states, (set, Active::ALL), at, Cost::Hits(hits));
        states
    }

    fn remaining(set: &LimitSet, states: &States, now: Timestamp) -> u32 {
        let look = Operation {
            now,
            cost: Cost::Peek,
            lease: None,
        };
        let mut states = states.clone();
        check_and_apply(set, Active::ALL, &mut states, look).limits[0].remaining
    }

    fn delta(set: &LimitSet, base: &States, hits: u32, at: Timestamp) -> Delta {
        let mut delta = Delta::new(base.clone(), true);
        delta.charge(set, Active::ALL, at, Cost::Hits(hits));
        delta
    }

    #[test]
    fn what_was_counted_apart_is_added_to_what_others_counted() {
        for set in &sets() {
            let base = with(set, 10, NOW);
            let mut theirs = base.clone();
            charge(&mut theirs, (set, Active::ALL), NOW, Cost::Hits(7));
            delta(set, &base, 20, NOW).add_to(set, &mut theirs);
            assert_eq!(remaining(set, &theirs, NOW), 63, "{set:?}");
        }
    }

    #[test]
    fn what_they_have_forgotten_is_told_them_again() {
        for set in &sets() {
            let base = with(set, 10, NOW);
            let delta = delta(set, &base, 20, NOW);
            let mut empty = States::fresh(set);
            delta.add_to(set, &mut empty);
            assert_eq!(remaining(set, &empty, NOW), 70, "{set:?}");
            // Another that knew the same adds only its own.
            delta.add_to(set, &mut empty);
            assert_eq!(remaining(set, &empty, NOW), 50, "{set:?}");
        }
    }

    #[test]
    fn what_they_may_have_counted_is_not_counted_twice() {
        for set in &sets() {
            let base = with(set, 10, NOW);
            let mut doubtful = Delta::new(base.clone(), false);
            doubtful.charge_in_doubt(set, Active::ALL, NOW, Cost::Hits(5));
            let (mut with_it, mut without) = (with(set, 15, NOW), base);
            for theirs in [&mut with_it, &mut without] {
                doubtful.add_to(set, theirs);
                assert_eq!(remaining(set, theirs, NOW), 85, "{set:?}");
            }
            let mut sent = delta(set, &with_it, 20, NOW);
            sent.add_to(set, &mut with_it);
            sent.doubt();
            sent.add_to(set, &mut with_it);
            assert_eq!(remaining(set, &with_it, NOW), 65, "{set:?}");
        }
    }

    #[test]
    fn what_has_ended_or_was_paid_back_meanwhile_is_not_owed() {
        let later = NOW.plus(Micros::from_secs(180));
        for set in &sets() {
            let delta = delta(set, &with(set, 10, NOW), 20, NOW);
            let mut theirs = with(set, 30, later);
            delta.add_to(set, &mut theirs);
            assert_eq!(remaining(set, &theirs, later), 70, "{set:?}");
        }
    }

    #[test]
    fn what_was_given_back_apart_is_given_back() {
        for set in &sets() {
            let base = with(set, 30, NOW);
            let mut delta = Delta::new(base.clone(), true);
            delta.charge(set, Active::ALL, NOW, Cost::Refund(10));
            let mut theirs = base;
            delta.add_to(set, &mut theirs);
            assert_eq!(remaining(set, &theirs, NOW), 80, "{set:?}");
        }
    }

    #[test]
    fn what_was_counted_apart_twice_is_as_if_it_were_at_once() {
        for set in &sets() {
            let base = with(set, 10, NOW);
            let mut joined = delta(set, &base, 20, NOW);
            joined.join(set, &delta(set, &with(set, 15, NOW), 5, NOW));
            for (had, left) in [(10, 60), (15, 60), (20, 55)] {
                let mut theirs = with(set, had, NOW);
                joined.add_to(set, &mut theirs);
                assert_eq!(remaining(set, &theirs, NOW), left, "{set:?}");
            }
        }
    }
}
