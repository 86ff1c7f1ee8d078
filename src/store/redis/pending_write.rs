//! What was charged to one counter and not written to Redis yet.

use std::mem;

use crate::limit::{Active, BlockOutcome, Charge, Delta, LeaseOutcome, LimitSet, Outcomes, States};
use crate::request::Cost;
use crate::store::Hit;

use super::time::RedisTime;

/// What is to be written for one counter.
#[derive(Clone, Debug)]
pub(super) struct PendingWrite {
    pub(super) set: LimitSet,
    pub(super) delta: Delta,
    /// Hits charged, for the metrics.
    pub(super) hits: u64,
    /// The last charge.
    pub(super) charged_at: RedisTime,
}

/// What Redis knows of a charge that was counted locally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certainty {
    /// Redis is available and has not counted it: it is charged between two flushes.
    Unwritten,
    /// Redis was unavailable and has not counted it. It may have lost what it last reported.
    NotApplied,
    /// Redis was unavailable, and whether it has counted it is unknown.
    MaybeApplied,
}

/// A hit that was charged locally.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalCharge {
    /// The limits that it was charged to.
    active: Active,
    /// The limits at which it began a block.
    blocked: Active,
    cost: Cost,
    at: RedisTime,
}

impl LocalCharge {
    /// What a hit has charged, and the blocks that it began; `None` if nothing. Slots are left out: they are never written back,
    /// because their lease ends by itself. `is_withheld` is whether its request was refused as a
    /// whole.
    pub(super) fn new(
        hit: &Hit<'_>,
        outcomes: &Outcomes,
        is_withheld: bool,
        at: RedisTime,
    ) -> Option<Self> {
        let always = hit.set.charge == Charge::Always;
        let is_refunded = match hit.set.has_leases() {
            true => hit.lease.is_none(),
            false => outcomes.lease != LeaseOutcome::NotHeld,
        };
        let (mut bits, mut blocked) = (0, 0);
        for outcome in &outcomes.limits {
            let is_charged = match hit.cost {
                Cost::Peek => false,
                Cost::Refund(_) => is_refunded,
                Cost::Hits(_) => always || !(is_withheld || outcomes.refused || outcome.over),
            };
            let is_slots = hit.set.limits[usize::from(outcome.limit)].is_concurrency();
            bits |= u16::from(is_charged && !is_slots) << outcome.limit;
            blocked |= u16::from(outcome.block == BlockOutcome::Began) << outcome.limit;
        }
        (bits | blocked != 0).then_some(Self {
            active: Active::from_bits(bits),
            blocked: Active::from_bits(blocked),
            cost: hit.cost,
            at,
        })
    }
}

impl PendingWrite {
    /// Nothing is charged yet; `reported` is what Redis last reported.
    pub(super) fn new(set: &LimitSet, mut reported: States) -> Self {
        reported.align(set);
        Self {
            set: set.clone(),
            delta: Delta::new(reported, false),
            hits: 0,
            charged_at: RedisTime::default(),
        }
    }

    /// Adds a charge against `set`.
    pub(super) fn charge(&mut self, set: &LimitSet, charge: LocalCharge, certainty: Certainty) {
        self.align(set);
        let LocalCharge {
            active,
            blocked,
            cost,
            at,
        } = charge;
        match certainty {
            Certainty::Unwritten | Certainty::NotApplied => {
                self.delta.charge(set, active, at.timestamp(), cost);
            }
            Certainty::MaybeApplied => {
                self.delta
                    .charge_maybe_applied(set, active, at.timestamp(), cost);
            }
        }
        self.delta.penalize(set, blocked, at.timestamp());
        self.charged_at = self.charged_at.max(at);
        if let Cost::Hits(hits) = cost
            && active.bits() != 0
        {
            self.hits += u64::from(hits);
        }
    }

    /// Adds what is to be written to `states`, which are aligned to `set`.
    pub(super) fn add_to(&mut self, set: &LimitSet, states: &mut States) {
        self.align(set);
        self.delta.add_to(set, states);
    }

    /// Takes out what is to be written, to be sent.
    pub(super) fn take(&mut self) -> Self {
        Self {
            set: self.set.clone(),
            delta: self.delta.take(),
            hits: mem::take(&mut self.hits),
            charged_at: self.charged_at,
        }
    }

    /// Puts back a write that Redis has not applied.
    pub(super) fn put_back(&mut self, mut sent: Self) {
        sent.align(&self.set);
        self.delta.put_back(&self.set, &sent.delta);
        self.hits += sent.hits;
    }

    /// Puts back a write that Redis may have applied, to be written only if it has not.
    pub(super) fn put_back_uncertain(&mut self, sent: &Self) {
        self.delta.mark_remote_uncertain();
        self.hits += sent.hits;
    }

    /// Moves it on top of what Redis has reported since.
    pub(super) fn rebase(&mut self, set: &LimitSet, mut reported: States) {
        self.align(set);
        reported.align(set);
        self.delta.rebase(set, reported);
    }

    fn align(&mut self, set: &LimitSet) {
        if self.set != *set {
            self.delta.align(set);
            self.set = set.clone();
        }
    }
}
