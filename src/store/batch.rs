//! All calls of one request, and what they decide together.
//!
//! Hits are taken in their order, and each sees those before it. Where one refusal keeps others from being charged, they
//! are all tried first and written afterwards.

use smallvec::SmallVec;

use super::CounterKey;
use crate::clock::Timestamp;
use crate::limit::{
    Active, LeaseOutcome, LimitSet, Operation, Outcomes, Scope, States, apply, check,
};
use crate::request::{Cost, LeaseId};

/// The hits of one request, in its order; a counter may be hit more than once.
#[derive(Clone, Debug, Default)]
pub struct Batch<'a> {
    /// At most one per descriptor.
    pub hits: SmallVec<[Hit<'a>; 2]>,
    /// A refused request is charged to none of them, but for what is charged always.
    pub atomic: bool,
}

/// One call at one counter.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    /// The counter.
    pub key: CounterKey,
    /// What it counts against.
    pub set: &'a LimitSet,
    /// Which limits of the set take part; at least one.
    pub active: Active,
    /// What the call costs.
    pub cost: Cost,
    /// What its hits take slots by, or what its refund gives back.
    pub lease: Option<LeaseId>,
    /// What it means for the request if this hit is refused.
    pub enforcement: Enforcement,
}

/// What a refused hit means for its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// It refuses the request.
    Enforced,
    /// It refuses the request if all quotas are refused.
    Quota,
    /// Nothing: its rule is in shadow mode.
    Ignored,
}

/// Whether a request is refused, as far as its hits are known.
#[derive(Clone, Copy, Debug, Default)]
pub struct RefusalTally {
    over: bool,
    quotas: u32,
    quotas_over: u32,
}

impl RefusalTally {
    /// Takes in one more hit.
    pub fn add(&mut self, enforcement: Enforcement, refused: bool) {
        match enforcement {
            Enforcement::Enforced => self.over |= refused,
            Enforcement::Quota => {
                self.quotas += 1;
                self.quotas_over += u32::from(refused);
            }
            Enforcement::Ignored => {}
        }
    }

    /// Whether one that decides was refused, or every quota.
    pub fn is_refused(&self) -> bool {
        self.over || (self.quotas > 0 && self.quotas == self.quotas_over)
    }
}

impl Hit<'_> {
    /// Whether it takes slots, if it is let through.
    pub fn acquires_slots(&self) -> bool {
        matches!(self.cost, Cost::Hits(_)) && self.set.has_leases()
    }

    /// Takes the call to the states of its counter, which are aligned; `released` are the leases that the same request has
    /// given back before.
    ///
    /// Where no slots are held, a refund that names a lease is taken if the lease has just released some elsewhere: who was
    /// refused has none.
    ///
    /// `outcomes` say nothing yet. They are filled in where they are: to move them costs as much as the step.
    pub(super) fn step(
        &self,
        now: Timestamp,
        states: &mut States,
        released: &mut ReleasedLeases,
        outcomes: &mut Outcomes,
    ) {
        let Self { set, active, .. } = *self;
        let mut call = Operation {
            now,
            cost: self.cost,
            lease: self.lease,
        };
        let mut is_unproven = false;
        if let (Cost::Refund(_), Some(lease)) = (self.cost, self.lease)
            && !set.has_leases()
        {
            is_unproven = !released.0.contains(&lease);
            call.lease = self.lease.filter(|_| is_unproven);
        }
        check(set, active, states, call, outcomes);
        apply(set, active, states, (call, Scope::Whole), outcomes);
        match outcomes.lease {
            LeaseOutcome::Released => released.0.extend(self.lease),
            _ if is_unproven => outcomes.lease = LeaseOutcome::NotHeld,
            _ => {}
        }
    }
}

/// The leases that were given back so far in a request.
#[derive(Debug, Default)]
pub(super) struct ReleasedLeases(SmallVec<[LeaseId; 1]>);

impl<'a> Batch<'a> {
    /// One hit alone.
    pub(super) fn of(hit: Hit<'a>) -> Self {
        Self {
            hits: SmallVec::from_buf_and_len([hit; 2], 1),
            atomic: false,
        }
    }
}

impl Batch<'_> {
    /// Whether the request is refused, by the outcomes of all its hits.
    pub(super) fn is_refused(&self, outcomes: &[Outcomes]) -> bool {
        let mut verdict = RefusalTally::default();
        for (hit, outcomes) in self.hits.iter().zip(outcomes) {
            verdict.add(hit.enforcement, outcomes.refused);
        }
        verdict.is_refused()
    }

    /// Whether what one hit meets decides on what is written for another one.
    pub fn is_joint(&self) -> bool {
        self.hits.len() > 1 && (self.atomic || self.hits.iter().any(Hit::acquires_slots))
    }

    /// The first hit of each counter, and for each hit the place of its counter among them.
    pub fn by_counter(&self) -> (SmallVec<[&Hit<'_>; 4]>, SmallVec<[usize; 4]>) {
        let mut firsts: SmallVec<[&Hit<'_>; 4]> = SmallVec::new();
        let places = self.hits.iter().map(|hit| {
            let at = firsts.iter().position(|first| first.key == hit.key);
            at.unwrap_or_else(|| {
                firsts.push(hit);
                firsts.len() - 1
            })
        });
        let places = places.collect();
        (firsts, places)
    }

    /// Takes all hits to the states of their counters and says how each stands then; `at` has the place of each hit's
    /// counter among `states`.
    pub fn take(
        &self,
        now: Timestamp,
        at: &[usize],
        states: &mut [States],
    ) -> SmallVec<[Outcomes; 2]> {
        if !self.is_joint() {
            return self.try_all(now, at, states);
        }
        let before: SmallVec<[States; 4]> = states.iter().cloned().collect();
        let mut outcomes = self.try_all(now, at, states);
        if self.is_refused(&outcomes) {
            states.clone_from_slice(&before);
            self.withhold(now, (at, states), &mut outcomes);
        }
        outcomes
    }

    /// Room for the outcomes of all hits.
    pub(super) fn no_outcomes(&self) -> SmallVec<[Outcomes; 2]> {
        let mut outcomes = SmallVec::new();
        outcomes.resize_with(self.hits.len(), Outcomes::default);
        outcomes
    }

    fn try_all(
        &self,
        now: Timestamp,
        at: &[usize],
        states: &mut [States],
    ) -> SmallVec<[Outcomes; 2]> {
        let mut released = ReleasedLeases::default();
        let mut outcomes = self.no_outcomes();
        for ((hit, at), outcomes) in self.hits.iter().zip(at).zip(&mut outcomes) {
            let states = &mut states[*at];
            states.align(hit.set);
            hit.step(now, states, &mut released, outcomes);
        }
        outcomes
    }

    /// Writes what is written although the request is refused.
    fn withhold(
        &self,
        now: Timestamp,
        (at, states): (&[usize], &mut [States]),
        outcomes: &mut [Outcomes],
    ) {
        let extent = match self.atomic {
            true => Scope::OnlyAlways,
            false => Scope::WithoutSlots,
        };
        let mut released = ReleasedLeases::default();
        for ((hit, at), outcomes) in self.hits.iter().zip(at).zip(outcomes) {
            let states = &mut states[*at];
            states.align(hit.set);
            match hit.cost {
                // Giving back is never refused, and does the same again.
                Cost::Refund(_) => {
                    *outcomes = Outcomes::default();
                    hit.step(now, states, &mut released, outcomes);
                }
                Cost::Peek | Cost::Hits(_) => {
                    let call = Operation {
                        now,
                        cost: hit.cost,
                        lease: hit.lease,
                    };
                    apply(hit.set, hit.active, states, (call, extent), outcomes);
                }
            }
        }
    }
}
