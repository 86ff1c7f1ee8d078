//! Hits that were counted apart from a remote counter, to be added to it later.
//!
//! A delta is the remote states as last reported, and the same states with the hits counted
//! locally since. The difference is added state by state, so hits of a window that has ended are not
//! added to a later window, and debt that was refilled in the meantime is not added.

use std::mem;

use super::count::{Count, StateDelta};
use super::state::{State, States};
use super::{Active, LimitKind, LimitSet};
use crate::clock::Timestamp;
use crate::request::Cost;

/// Hits counted locally, of all limits but concurrency limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    remote: States,
    local: States,
    /// Whether the remote may have less than `remote`, so that it is first raised to it.
    at_least: bool,
}

impl Delta {
    /// An empty delta to the states that the remote reported.
    pub fn new(remote: States, at_least: bool) -> Self {
        Self {
            local: remote.clone(),
            remote,
            at_least,
        }
    }

    /// Aligns it to `set`, as [`States::align`] does.
    pub fn align(&mut self, set: &LimitSet) {
        self.remote.align(set);
        self.local.align(set);
    }

    /// Charges or refunds hits, whatever the limits are. It must be aligned to `set`.
    pub fn charge(&mut self, set: &LimitSet, active: Active, now: Timestamp, cost: Cost) {
        self.correct(set, active, now);
        charge(&mut self.local, set, active, now, cost);
    }

    /// Charges hits that the remote may have counted already: it is raised to at least this count.
    pub fn charge_maybe_applied(
        &mut self,
        set: &LimitSet,
        active: Active,
        now: Timestamp,
        cost: Cost,
    ) {
        self.correct(set, active, now);
        self.at_least = true;
        charge(&mut self.remote, set, active, now, cost);
        charge(&mut self.local, set, active, now, cost);
    }

    /// Begins a block at those of the limits that have a penalty.
    pub fn penalize(&mut self, set: &LimitSet, limits: Active, now: Timestamp) {
        let states = set.limits.iter().zip(self.local.as_mut_slice());
        for (_, (limit, state)) in states.enumerate().filter(|(at, _)| limits.contains(*at)) {
            if let Some(penalty) = &limit.penalty {
                state.penalize(penalty, now);
            }
        }
    }

    /// Both states at once, so that the difference stays.
    fn correct(&mut self, set: &LimitSet, active: Active, now: Timestamp) {
        self.remote.correct(set, active, now);
        self.local.correct(set, active, now);
    }

    /// Notes that the remote may have less than this delta assumes: it lost its states, or never
    /// received what was sent.
    pub fn mark_remote_uncertain(&mut self) {
        self.at_least = true;
    }

    /// Takes the delta out to be sent. What remains assumes that the remote will have added it.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let sent = self.clone();
        *self = Self::new(self.local.clone(), false);
        sent
    }

    /// Puts back a delta that was taken and that the remote has not added. Both must be aligned to
    /// `set`.
    pub fn put_back(&mut self, set: &LimitSet, sent: &Self) {
        let reversed = Self {
            remote: sent.local.clone(),
            local: sent.remote.clone(),
            at_least: false,
        };
        reversed.add_to(set, &mut self.remote);
        self.at_least = true;
    }

    /// Moves the delta on top of what the remote has reported since. If the remote was uncertain, it
    /// still has to be raised to what the delta assumed. Both must be aligned to `set`.
    pub fn rebase(&mut self, set: &LimitSet, mut remote: States) {
        if self.at_least {
            let raise = Self::new(self.remote.clone(), true);
            raise.add_to(set, &mut remote);
        }
        let at_least = mem::take(&mut self.at_least);
        let mut local = remote.clone();
        self.add_to(set, &mut local);
        *self = Self {
            remote,
            local,
            at_least,
        };
    }

    /// Adds the delta to `states`. Both must be aligned to `set`.
    pub fn add_to(&self, set: &LimitSet, states: &mut States) {
        let limits = set.limits.iter().zip(states.as_mut_slice());
        let own = self.remote.as_slice().iter().zip(self.local.as_slice());
        for ((limit, state), (remote, local)) in limits.zip(own) {
            let at_least = self.at_least;
            state.merge(
                limit,
                StateDelta {
                    remote,
                    local,
                    at_least,
                },
            );
        }
    }

    /// The remote states as last reported.
    pub fn remote(&self) -> &States {
        &self.remote
    }

    /// The remote states with the hits counted locally since.
    pub fn local(&self) -> &States {
        &self.local
    }

    /// Whether the remote may have lost its states.
    pub fn at_least(&self) -> bool {
        self.at_least
    }
}

fn charge(states: &mut States, set: &LimitSet, active: Active, now: Timestamp, cost: Cost) {
    let limits = set.limits.iter().zip(states.as_mut_slice()).enumerate();
    for (_, (limit, state)) in limits.filter(|(index, _)| active.contains(*index)) {
        match (state.counted_mut(), &limit.kind) {
            (State::FixedWindow { count, .. }, LimitKind::FixedWindow(rate)) => {
                write(count, rate, now, cost);
            }
            (State::Calendar { count, .. }, LimitKind::Calendar(rate)) => {
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

fn write<P>(count: &mut impl Count<P>, params: &P, now: Timestamp, cost: Cost) {
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
        charge(&mut states, set, Active::ALL, at, Cost::Hits(hits));
        states
    }

    fn remaining(set: &LimitSet, states: &States, now: Timestamp) -> u32 {
        let look = Operation {
            now,
            cost: Cost::Peek,
            lease: None,
        };
        let mut states = states.clone();
        check_and_apply(set, Active::ALL, &mut states, look).limits[0].available
    }

    fn delta(set: &LimitSet, base: &States, hits: u32, at: Timestamp) -> Delta {
        let mut delta = Delta::new(base.clone(), true);
        delta.charge(set, Active::ALL, at, Cost::Hits(hits));
        delta
    }

    #[test]
    fn a_delta_is_added_to_hits_of_other_instances() {
        for set in &sets() {
            let base = with(set, 10, NOW);
            let mut remote = base.clone();
            charge(&mut remote, set, Active::ALL, NOW, Cost::Hits(7));
            delta(set, &base, 20, NOW).add_to(set, &mut remote);
            assert_eq!(remaining(set, &remote, NOW), 63, "{set:?}");
        }
    }

    #[test]
    fn lost_states_are_restored_once() {
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
    fn hits_that_may_be_applied_are_not_added_twice() {
        for set in &sets() {
            let base = with(set, 10, NOW);
            let mut maybe_applied = Delta::new(base.clone(), false);
            maybe_applied.charge_maybe_applied(set, Active::ALL, NOW, Cost::Hits(5));
            let (mut with_it, mut without) = (with(set, 15, NOW), base);
            for remote in [&mut with_it, &mut without] {
                maybe_applied.add_to(set, remote);
                assert_eq!(remaining(set, remote, NOW), 85, "{set:?}");
            }
        }
    }

    #[test]
    fn a_delta_that_was_sent_and_may_be_applied_is_not_added_twice() {
        for set in &sets() {
            for is_applied in [false, true] {
                let mut remote = with(set, 10, NOW);
                let mut delta = delta(set, &remote, 20, NOW);
                let sent = delta.take();
                if is_applied {
                    sent.add_to(set, &mut remote);
                }
                delta.mark_remote_uncertain();
                delta.charge_maybe_applied(set, Active::ALL, NOW, Cost::Hits(1));
                delta.charge(set, Active::ALL, NOW, Cost::Hits(1));
                delta.add_to(set, &mut remote);
                assert_eq!(remaining(set, &remote, NOW), 68, "{set:?}");
            }
        }
    }

    #[test]
    fn a_delta_that_was_not_sent_is_put_back() {
        for set in &sets() {
            let mut remote = with(set, 10, NOW);
            let mut delta = delta(set, &remote, 20, NOW);
            let unsent = delta.take();
            delta.charge(set, Active::ALL, NOW, Cost::Hits(1));
            delta.put_back(set, &unsent);
            assert_eq!(remaining(set, delta.remote(), NOW), 90, "{set:?}");
            assert_eq!(remaining(set, delta.local(), NOW), 69, "{set:?}");
            delta.add_to(set, &mut remote);
            assert_eq!(remaining(set, &remote, NOW), 69, "{set:?}");
        }
    }

    #[test]
    fn a_delta_moves_to_a_later_report() {
        for set in &sets() {
            let mut delta = delta(set, &with(set, 10, NOW), 20, NOW);
            delta.rebase(set, with(set, 15, NOW));
            assert_eq!(remaining(set, delta.local(), NOW), 65, "{set:?}");
            // It is uncertain whether the remote still has what it reported before.
            delta.rebase(set, with(set, 5, NOW));
            assert_eq!(remaining(set, delta.local(), NOW), 65, "{set:?}");
        }
    }

    #[test]
    fn hits_of_an_ended_window_and_refilled_debt_are_not_added() {
        let later = NOW.plus(Micros::from_secs(180));
        for set in &sets() {
            let delta = delta(set, &with(set, 10, NOW), 20, NOW);
            let mut remote = with(set, 30, later);
            delta.add_to(set, &mut remote);
            assert_eq!(remaining(set, &remote, later), 70, "{set:?}");
        }
    }

    #[test]
    fn a_delta_can_be_negative() {
        for set in &sets() {
            let base = with(set, 30, NOW);
            let mut delta = Delta::new(base.clone(), true);
            delta.charge(set, Active::ALL, NOW, Cost::Refund(10));
            let mut remote = base;
            delta.add_to(set, &mut remote);
            assert_eq!(remaining(set, &remote, NOW), 80, "{set:?}");
        }
    }
}
