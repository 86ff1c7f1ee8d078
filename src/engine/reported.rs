//! The one limit that is reported for a descriptor, and the one for a request.

use super::decision::{Code, CurrentLimit, Status};
use super::target::{MatchedLimits, Target};
use crate::limit::{Limit, Outcome, Outcomes};
use crate::policy::Domain;

/// A descriptor's target with the limit that is reported for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported<'p> {
    /// The index of the descriptor in the request.
    pub(super) index: usize,
    pub(super) target: &'p Target<'p>,
    pub(super) limit: &'p Limit,
    pub(super) outcome: &'p Outcome,
    pub(super) shadow: bool,
    quota: bool,
    soft: bool,
}

impl<'p> Reported<'p> {
    /// Picks the limit of a target: the refused one with the longest wait, else the one with the
    /// fewest remaining hits. Ties go to the first. `None` if all are in shadow mode.
    pub(super) fn new(
        index: usize,
        target: &'p Target<'p>,
        matched: &'p MatchedLimits<'p>,
        outcomes: &'p Outcomes,
        domain: Option<&'p Domain>,
    ) -> Option<Self> {
        let limits = &matched.set.limits;
        let enforced = outcomes.limits.iter().filter(|outcome| {
            limits
                .get(usize::from(outcome.limit))
                .is_some_and(|limit| !limit.shadow_mode)
        });
        let outcome = enforced.reduce(|first, next| {
            let outranks = match (next.over, first.over) {
                (true, true) => next.reset_after > first.reset_after,
                (false, false) => next.available < first.available,
                (over, _) => over,
            };
            if outranks { next } else { first }
        })?;
        Some(Self {
            index,
            target,
            limit: limits.get(usize::from(outcome.limit))?,
            outcome,
            shadow: matched.is_shadow(),
            quota: target.is_quota(domain),
            soft: target.is_soft(domain),
        })
    }

    /// Whether its descriptor is refused, rather than merely over the limit.
    pub(super) fn is_refused(&self) -> bool {
        self.outcome.over && !self.shadow && !self.soft
    }

    /// Whether its descriptor is over a soft limit, which the upstream is to know.
    pub(super) fn is_over_soft(&self) -> bool {
        self.outcome.over && !self.shadow && self.soft
    }

    /// Whether the response reports this one rather than `other`, which came first.
    pub(super) fn outranks(&self, other: &Self) -> bool {
        match (self.is_refused(), other.is_refused()) {
            (true, true) if self.quota != other.quota => other.quota,
            (true, true) => self.outcome.reset_after > other.outcome.reset_after,
            (false, false) => self.outcome.available < other.outcome.available,
            (refused, _) => refused,
        }
    }

    /// The hits that remain of the number that is reported as the limit.
    ///
    /// A bucket may admit more, but clients expect that what remains of a limit is never more than the limit.
    pub(super) fn remaining(&self) -> u32 {
        self.outcome.available.min(self.limit.quota().number())
    }

    pub(super) fn status(&self) -> Status {
        Status {
            code: match self.is_refused() {
                true => Code::OverLimit,
                false => Code::Ok,
            },
            limit: Some(CurrentLimit {
                name: self.limit.name.clone(),
                quota: self.limit.quota(),
            }),
            remaining: self.remaining(),
            available: self.outcome.available,
            over_capacity: self.outcome.over_capacity,
            reset_after_secs: Some(self.outcome.reset_after.secs_ceil()),
        }
    }
}
