//! The decision on a request, from the outcomes of its hits.

use std::sync::Arc;

use super::decision::{Code, CountingStatus, Decision, Grant, Status};
use super::matched_request::MatchedRequest;
use super::reported::Reported;
use super::respond::{TemplateContext, request_headers, respond};
use super::target::{Match, Target};
use crate::clock::Timestamp;
use crate::limit::{LeaseOutcome, Outcomes};
use crate::policy::{self, Metadata};
use crate::store::RefusalTally;

/// The decision; `outcomes` has one entry per target that has limits.
pub(super) fn conclude(
    matched: &MatchedRequest<'_>,
    outcomes: &[Outcomes],
    now: Timestamp,
    counting_status: CountingStatus,
) -> Decision {
    let granted = matched.batch.hits.iter().zip(outcomes);
    let granted = granted.filter(|(_, outcomes)| outcomes.lease == LeaseOutcome::Granted);
    let grant = Grant::new(granted.map(|(hit, _)| hit));
    let mut outcomes = outcomes.iter();
    let mut statuses = Vec::with_capacity(matched.targets.len());
    let mut tally = RefusalTally::default();
    let mut reported: Option<Reported<'_>> = None;
    let mut over_soft: Vec<Reported<'_>> = Vec::new();
    for (index, target) in matched.targets.iter().enumerate() {
        let of_target = target.limits().and_then(|limits| {
            Reported::new(index, target, limits, outcomes.next()?, matched.domain)
        });
        let is_refused = of_target.is_some_and(|reported| reported.is_refused());
        tally.add(matched.enforcement.of(target), is_refused);
        over_soft.extend(of_target.filter(Reported::is_over_soft));
        statuses.push(match of_target {
            Some(reported) => reported.status(),
            None => unreported(target),
        });
        if let Some(of_target) = of_target.filter(|reported| !reported.shadow)
            && reported.is_none_or(|reported| of_target.outranks(&reported))
        {
            reported = Some(of_target);
        }
    }
    let code = match tally.is_refused() {
        true => Code::OverLimit,
        false => Code::Ok,
    };
    let context = |reported| {
        Some(TemplateContext {
            request: matched.request,
            domain: matched.domain?,
            targets: &matched.targets,
            reported,
            now,
        })
    };
    let (headers, body) = match reported.and_then(context) {
        Some(context) => respond(&context, code),
        None => Default::default(),
    };
    let request_headers = match code {
        Code::Ok => request_headers(over_soft.into_iter().filter_map(context)),
        // A refused request does not reach the upstream.
        Code::OverLimit => Vec::new(),
    };
    let metadata = metadata(matched, &statuses);
    Decision {
        code,
        statuses,
        headers,
        request_headers,
        body,
        metadata,
        counting_status,
        grant,
        is_exempt: matched.is_exempt,
    }
}

/// The status of a target for which no limit is reported.
fn unreported(target: &Target<'_>) -> Status {
    match target.matched {
        Match::Unlimited | Match::Exempt | Match::Exempted => Status::UNLIMITED,
        Match::None | Match::Replaced | Match::Limits(_) => Status::UNMATCHED,
    }
}

/// The metadata of all descriptors that are OK, merged in order; the first value of a key is kept.
fn metadata(matched: &MatchedRequest<'_>, statuses: &[Status]) -> Option<Arc<Metadata>> {
    let passed = matched
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
