//! The hits of one request, and what they decide together.
//!
//! Hits are applied in order, and each sees those before it. In an atomic domain, and where slots
//! are acquired, one refusal affects the other hits: then all are tried first, and the states are
//! restored if the request is refused.

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
    /// Whether a refused request is charged to none of them, except for hits that are always charged.
    pub atomic: bool,
}

/// One operation at one counter.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    /// The counter.
    pub key: CounterKey,
    /// The limits to count against.
    pub set: &'a LimitSet,
    /// The limits of the set that count; at least one.
    pub active: Active,
    /// What it costs.
    pub cost: Cost,
    /// The lease that its hits acquire slots with, or that its refund releases.
    pub lease: Option<LeaseId>,
    /// Whether the request is refused if this hit is.
    pub enforcement: Enforcement,
}

/// What the refusal of a hit means for its request.
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
    /// Adds a hit.
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

    /// Whether an enforced hit was refused, or every quota.
    pub fn is_refused(&self) -> bool {
        self.over || (self.quotas > 0 && self.quotas == self.quotas_over)
    }
}

impl Hit<'_> {
    /// Whether it acquires slots if it is admitted.
    pub fn acquires_slots(&self) -> bool {
        matches!(self.cost, Cost::Hits(_)) && self.set.has_leases()
    }

    /// Applies the hit to the states of its counter, which must be aligned, and fills in
    /// `outcomes`, which must be empty. `released` are the leases that the request has released so
    /// far.
    ///
    /// At limits without slots, a refund that names a lease counts only if the lease was released
    /// by the same request: a refused request has no lease, and must gain nothing.
    pub(super) fn step(
        &self,
        now: Timestamp,
        states: &mut States,
        released: &mut ReleasedLeases,
        outcomes: &mut Outcomes,
    ) {
        let Self { set, active, .. } = *self;
        let mut op = Operation {
            now,
            cost: self.cost,
            lease: self.lease,
        };
        let mut is_unproven = false;
        if let (Cost::Refund(_), Some(lease)) = (self.cost, self.lease)
            && !set.has_leases()
        {
            is_unproven = !released.0.contains(&lease);
            op.lease = self.lease.filter(|_| is_unproven);
        }
        check(set, active, states, op, outcomes);
        apply(set, active, states, op, Scope::Whole, outcomes);
        match outcomes.lease {
            LeaseOutcome::Released => released.0.extend(self.lease),
            _ if is_unproven => outcomes.lease = LeaseOutcome::NotHeld,
            _ => {}
        }
    }
}

/// The leases that a request has released so far.
#[derive(Debug, Default)]
pub(super) struct ReleasedLeases(SmallVec<[LeaseId; 1]>);

impl<'a> Batch<'a> {
    /// A batch of one hit.
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

    /// Whether the outcome of one hit can affect what is applied for another.
    pub fn is_joint(&self) -> bool {
        self.hits.len() > 1 && (self.atomic || self.hits.iter().any(Hit::acquires_slots))
    }

    /// The first hit of each counter, and for each hit the index of its counter among them.
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

    /// Applies all hits. `at` has, for each hit, the index of its counter in `states`.
    pub fn apply(
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
            self.apply_refused(now, at, states, &mut outcomes);
        }
        outcomes
    }

    /// Empty outcomes for all hits.
    pub(super) fn empty_outcomes(&self) -> SmallVec<[Outcomes; 2]> {
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
        let mut outcomes = self.empty_outcomes();
        for ((hit, at), outcomes) in self.hits.iter().zip(at).zip(&mut outcomes) {
            let states = &mut states[*at];
            states.align(hit.set);
            hit.step(now, states, &mut released, outcomes);
        }
        outcomes
    }

    /// Applies what a refused request still applies.
    fn apply_refused(
        &self,
        now: Timestamp,
        at: &[usize],
        states: &mut [States],
        outcomes: &mut [Outcomes],
    ) {
        let scope = match self.atomic {
            true => Scope::OnlyAlways,
            false => Scope::WithoutSlots,
        };
        let mut released = ReleasedLeases::default();
        for ((hit, at), outcomes) in self.hits.iter().zip(at).zip(outcomes) {
            let states = &mut states[*at];
            states.align(hit.set);
            match hit.cost {
                // A refund is never refused; it has the same effect again.
                Cost::Refund(_) => {
                    *outcomes = Outcomes::default();
                    hit.step(now, states, &mut released, outcomes);
                }
                Cost::Peek | Cost::Hits(_) => {
                    states.correct(hit.set, hit.active, now);
                    let op = Operation {
                        now,
                        cost: hit.cost,
                        lease: hit.lease,
                    };
                    apply(hit.set, hit.active, states, op, scope, outcomes);
                }
            }
        }
    }
}
