//! From outcomes to the answer.

use std::sync::Arc;

use super::decision::{Code, CountingStatus, CurrentLimit, Decision, Grant, Status};
use super::plan::{Match, MatchedLimits, Plan, Target};
use super::respond::{TemplateContext, respond};
use crate::clock::Timestamp;
use crate::limit::{LeaseOutcome, Limit, Outcome, Outcomes};
use crate::policy::{self, Domain, Metadata};
use crate::store::RefusalTally;

/// A target that counts, with the limit that is reported for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported<'p> {
    pub(super) index: usize,
    pub(super) target: &'p Target<'p>,
    pub(super) limit: &'p Limit,
    pub(super) outcome: &'p Outcome,
    shadow: bool,
    quota: bool,
}

/// What the plan and the outcomes of its batch, one per target that counts, come to.
pub(super) fn conclude(
    plan: &Plan<'_>,
    outcomes: &[Outcomes],
    (now, counting_status): (Timestamp, CountingStatus),
) -> Decision {
    let taken = plan.batch.hits.iter().zip(outcomes);
    let taken = taken.filter(|(_, outcomes)| outcomes.lease == LeaseOutcome::Granted);
    let grant = Grant::of(taken.map(|(hit, _)| hit));
    let mut outcomes = outcomes.iter();
    let mut statuses = Vec::with_capacity(plan.targets.len());
    let mut verdict = RefusalTally::default();
    let mut told: Option<Reported<'_>> = None;
    for (index, target) in plan.targets.iter().enumerate() {
        let reported = target.counted().and_then(|counted| {
            Reported::of(outcomes.next()?, (index, target, counted), plan.domain)
        });
        let refused = reported.is_some_and(|reported| reported.refused());
        verdict.add(plan.weights.of_target(target), refused);
        match reported {
            Some(reported) => statuses.push(reported.status()),
            None => statuses.push(unreported(target)),
        }
        if let Some(reported) = reported.filter(|reported| !reported.shadow)
            && told.is_none_or(|told| reported.outranks(&told))
        {
            told = Some(reported);
        }
    }
    let code = match verdict.is_refused() {
        true => Code::OverLimit,
        false => Code::Ok,
    };
    let (headers, body) = match (plan.domain, told) {
        (Some(domain), Some(told)) => {
            let (request, targets) = (plan.request, plan.targets.as_slice());
            respond(
                &TemplateContext {
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
        counting_status,
        grant,
    }
}

/// The status of a target of which no limit is reported.
fn unreported(target: &Target<'_>) -> Status {
    match target.meets {
        Match::Unlimited => Status::UNLIMITED,
        Match::Nothing | Match::Replaced | Match::Limits(_) => Status::UNMATCHED,
    }
}

impl<'p> Reported<'p> {
    /// Picks the limit of a target that is reported: the refused one with the longest wait, else
    /// the one with the least remaining, the first of equals.
    fn of(
        outcomes: &'p Outcomes,
        (index, target, counted): (usize, &'p Target<'p>, &'p MatchedLimits<'p>),
        domain: Option<&Domain>,
    ) -> Option<Self> {
        let limits = &counted.limits().limits;
        let enforced = outcomes.limits.iter().filter(|outcome| {
            limits
                .get(usize::from(outcome.limit))
                .is_some_and(|limit| !limit.shadow_mode)
        });
        let outcome = enforced.reduce(|first, next| {
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
            quota: target.is_quota(domain),
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
            quota: self.limit.quota(),
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
