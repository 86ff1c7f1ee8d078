//! What the descriptors of a request have met, for those who watch decisions.

use std::sync::Arc;

use super::decision::Status;
use super::plan::{Match, MatchedLimits, Plan, Target};
use crate::clock::Timestamp;
use crate::limit::{Outcome, Outcomes};
use crate::policy::{Domain, Rule};

/// What one descriptor has met.
#[derive(Clone, Copy, Debug)]
pub struct DescriptorResult<'a> {
    /// The moment of the call.
    pub now: Timestamp,
    /// The domain that was asked; none if nobody knows it.
    pub domain: Option<&'a Domain>,
    /// The descriptor's place in the request.
    pub descriptor: usize,
    /// The rule in play; none if nothing matched, if it was replaced, or if the limit came with the request.
    pub rule: Option<&'a Arc<Rule>>,
    /// How those limits stand that take part, in their order; empty if none does.
    pub outcomes: &'a [Outcome],
    /// What is answered.
    pub status: &'a Status,
}

/// Tells of each descriptor, in their order.
pub(super) fn each(
    plan: &Plan<'_>,
    outcomes: &[Outcomes],
    (statuses, now): (&[Status], Timestamp),
    mut observe: impl FnMut(DescriptorResult<'_>),
) {
    let mut outcomes = outcomes.iter();
    for (descriptor, (target, status)) in plan.targets.iter().zip(statuses).enumerate() {
        let counted = target.counted().and_then(|_| outcomes.next());
        observe(DescriptorResult {
            now,
            domain: plan.domain,
            descriptor,
            rule: rule(target),
            outcomes: counted.map_or(&[], |outcomes| &outcomes.limits),
            status,
        });
    }
}

fn rule<'a>(target: &Target<'a>) -> Option<&'a Arc<Rule>> {
    let is_in_play = match &target.meets {
        Match::Nothing | Match::Replaced => false,
        Match::Unlimited => true,
        Match::Limits(counted) => MatchedLimits::rule(counted).is_some(),
    };
    target.found.filter(|_| is_in_play)?.rule
}
