//! From outcomes to the answer.

use std::sync::Arc;

use super::decision::{Basis, Code, CurrentLimit, Decision, Status};
use super::plan::{Counted, Meets, Plan, Target};
use super::respond::{Facts, respond};
use crate::clock::Timestamp;
use crate::limit::{Limit, Outcome, Outcomes};
use crate::policy::{self, Domain, Metadata};

/// A target that counts, with the limit that is reported for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported<'p> {
    pub(super) index: usize,
    pub(super) target: &'p Target<'p>,
    pub(super) limit: &'p Limit,
    pub(super) outcome: Outcome,
    shadow: bool,
    quota: bool,
}

/// What the plan and its outcomes, one per target that counts, come to.
pub(super) fn conclude(plan: &Plan<'_>, outcomes: &[Outcomes], now: Timestamp) -> Decision {
    let mut outcomes = outcomes.iter();
    let mut statuses = Vec::with_capacity(plan.targets.len());
    let mut verdict = Verdict::default();
    let mut told: Option<Reported<'_>> = None;
    for (index, target) in plan.targets.iter().enumerate() {
        let reported = target.counted().and_then(|counted| {
            Reported::of(outcomes.next()?, (index, target, counted), plan.domain)
        });
        let status = reported.map_or_else(|| unreported(target), |reported| reported.status());
        verdict.add(target, &status, plan.domain);
        statuses.push(status);
        if let Some(reported) = reported.filter(|reported| !reported.shadow)
            && told.is_none_or(|told| reported.outranks(&told))
        {
            told = Some(reported);
        }
    }
    let code = verdict.code(plan.domain);
    let (headers, body) = match (plan.domain, told) {
        (Some(domain), Some(told)) => {
            let (request, targets) = (plan.request, plan.targets.as_slice());
            respond(
                &Facts {
                    request,
                    domain,
                    targets,
                    told,
                    now,
                },
                code,
            )
        }
        _ => Default::default(),
    };
    let metadata = metadata(plan, &statuses);
    Decision {
        code,
        statuses,
        headers,
        body,
        metadata,
        basis: Basis::Counted,
    }
}

/// The status of a target of which no limit is reported.
fn unreported(target: &Target<'_>) -> Status {
    match target.meets {
        Meets::Unlimited => Status::UNLIMITED,
        Meets::Nothing | Meets::Replaced | Meets::Limits(_) => Status::UNMATCHED,
    }
}

impl<'p> Reported<'p> {
    /// Picks the limit of a target that is reported: the refused one with the longest wait, else
    /// the one with the least remaining, the first of equals.
    fn of(
        outcomes: &Outcomes,
        (index, target, counted): (usize, &'p Target<'p>, &'p Counted<'p>),
        domain: Option<&Domain>,
    ) -> Option<Self> {
        let limits = &counted.limits().limits;
        let enforced = outcomes.limits.iter().filter(|outcome| {
            limits
                .get(usize::from(outcome.limit))
                .is_some_and(|limit| !limit.shadow_mode)
        });
        let outcome = *enforced.reduce(|first, next| {
            let outranks = match (next.over, first.over) {
                (true, true) => next.reset > first.reset,
                (false, false) => next.remaining < first.remaining,
                (over, _) => over,
            };
            if outranks { next } else { first }
        })?;
        let limit = limits.get(usize::from(outcome.limit))?;
        let rule = counted.rule();
        Some(Self {
            index,
            target,
            limit,
            outcome,
            shadow: rule.is_some_and(|rule| rule.shadow_mode),
            quota: is_quota(target, domain),
        })
    }

    /// Whether it is refused, rather than merely over.
    pub(super) fn refused(&self) -> bool {
        self.outcome.over && !self.shadow
    }

    /// Whether the client is told of this one rather than of `other`, which came first.
    fn outranks(&self, other: &Self) -> bool {
        match (self.refused(), other.refused()) {
            (true, true) if self.quota != other.quota => other.quota,
            (true, true) => self.outcome.reset > other.outcome.reset,
            (false, false) => self.outcome.remaining < other.outcome.remaining,
            (refused, _) => refused,
        }
    }

    fn status(&self) -> Status {
        let limit = CurrentLimit {
            name: self.limit.name.clone(),
            requests_per_unit: self.limit.requests_per_unit,
            unit: self.limit.window.unit(),
            unit_multiplier: self.limit.window.multiplier(),
        };
        Status {
            code: if self.refused() {
                Code::OverLimit
            } else {
                Code::Ok
            },
            limit: Some(limit),
            remaining: self.outcome.remaining,
            reset_after_secs: Some(self.outcome.reset.secs_ceil()),
        }
    }
}

/// What the statuses so far come to.
#[derive(Clone, Copy, Debug, Default)]
struct Verdict {
    /// A descriptor outside quota mode is over.
    over: bool,
    quotas: usize,
    quotas_over: usize,
}

impl Verdict {
    fn add(&mut self, target: &Target<'_>, status: &Status, domain: Option<&Domain>) {
        let over = status.code == Code::OverLimit;
        if !is_quota(target, domain) {
            self.over |= over;
            return;
        }
        self.quotas += 1;
        self.quotas_over += usize::from(over);
    }

    /// Over if any descriptor outside quota mode is, or every one inside.
    fn code(&self, domain: Option<&Domain>) -> Code {
        let over = self.over || (self.quotas > 0 && self.quotas == self.quotas_over);
        let shadow = domain.is_some_and(|domain| domain.shadow_mode);
        if over && !shadow {
            Code::OverLimit
        } else {
            Code::Ok
        }
    }
}

/// Whether a target is a quota. In a domain that is in quota mode every one is, matched or not,
/// but what is unlimited.
fn is_quota(target: &Target<'_>, domain: Option<&Domain>) -> bool {
    if matches!(target.meets, Meets::Unlimited) {
        return false;
    }
    let rule = target.counted().and_then(Counted::rule);
    domain.is_some_and(|domain| domain.quota_mode) || rule.is_some_and(|rule| rule.quota_mode)
}

/// The metadata of all that passed, in order; what came first stays.
fn metadata(plan: &Plan<'_>, statuses: &[Status]) -> Option<Arc<Metadata>> {
    let passed = plan
        .targets
        .iter()
        .zip(statuses)
        .filter(|(_, status)| status.code == Code::Ok);
    let mut found = passed.filter_map(|(target, _)| target.metadata());
    let first = found.next()?;
    let Some(second) = found.next() else {
        return Some(Arc::clone(first));
    };
    let mut merged = Metadata::clone(first);
    for more in std::iter::once(second).chain(found) {
        policy::merge(&mut merged, more);
    }
    Some(Arc::new(merged))
}
