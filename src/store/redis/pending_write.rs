//! What is owed for one counter, and the hits that it comes from.

use crate::clock::Timestamp;
use crate::limit::{Active, Charge, Delta, LeaseOutcome, LimitSet, Outcomes, States};
use crate::request::Cost;
use crate::store::Hit;

/// What is owed for one counter.
#[derive(Clone, Debug)]
pub(super) struct Debit {
    pub(super) set: LimitSet,
    pub(super) apart: Delta,
    pub(super) hits: u64,
    /// When it was last charged, by the store's clock.
    pub(super) charged: Timestamp,
}

/// A hit that was charged here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charged<'a> {
    pub(super) set: &'a LimitSet,
    /// The limits that it was charged to.
    pub(super) active: Active,
    pub(super) cost: Cost,
    /// When, by the store's clock.
    pub(super) moment: Timestamp,
    /// Whether Redis may have charged it too.
    pub(super) in_doubt: bool,
}

impl<'a> Charged<'a> {
    /// What a hit has charged, slots apart; `is_withheld` if its request is refused as a whole. None if nothing.
    pub(super) fn of(
        hit: &Hit<'a>,
        outcomes: &Outcomes,
        is_withheld: bool,
        (moment, in_doubt): (Timestamp, bool),
    ) -> Option<Self> {
        let always = hit.set.charge == Charge::Always;
        let is_given_back = match hit.set.has_leases() {
            true => hit.lease.is_none(),
            false => outcomes.lease != LeaseOutcome::NotHeld,
        };
        let mut bits = 0;
        for outcome in &outcomes.limits {
            let is_charged = match hit.cost {
                Cost::Peek => false,
                Cost::Refund(_) => is_given_back,
                Cost::Hits(_) => always || !(is_withheld || outcomes.refused || outcome.over),
            };
            let is_slots = hit.set.limits[usize::from(outcome.limit)].is_concurrency();
            bits |= u16::from(is_charged && !is_slots) << outcome.limit;
        }
        (bits != 0).then_some(Self {
            set: hit.set,
            active: Active::from_bits(bits),
            cost: hit.cost,
            moment,
            in_doubt,
        })
    }
}

impl Debit {
    /// Nothing is owed yet; `base` is what Redis has said that it has, and may have forgotten if it is to be restored.
    pub(super) fn new(set: &LimitSet, mut base: States, restores: bool) -> Self {
        base.align(set);
        Self {
            set: set.clone(),
            apart: Delta::new(base, restores),
            hits: 0,
            charged: Timestamp::default(),
        }
    }

    pub(super) fn charge(&mut self, charged: &Charged<'_>) {
        self.align(charged.set);
        let Charged {
            set,
            active,
            cost,
            moment,
            in_doubt,
        } = *charged;
        match in_doubt {
            true => self.apart.charge_maybe_applied(set, active, moment, cost),
            false => self.apart.charge(set, active, moment, cost),
        }
        self.charged = self.charged.max(moment);
        if let Cost::Hits(hits) = cost {
            self.hits += u64::from(hits);
        }
    }

    pub(super) fn align(&mut self, set: &LimitSet) {
        if self.set != *set {
            self.apart.align(set);
            self.set = set.clone();
        }
    }

    pub(super) fn join(&mut self, mut other: Self) {
        other.align(&self.set);
        self.apart.merge(&self.set, &other.apart);
        self.hits += other.hits;
        self.charged = self.charged.max(other.charged);
    }

    /// Takes out what is owed; what Redis had stays known.
    pub(super) fn empty(&mut self) -> Self {
        let base = self.apart.remote().clone();
        let empty = Self::new(&self.set, base, self.apart.at_least());
        std::mem::replace(self, empty)
    }
}
