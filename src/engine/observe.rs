//! The result of each descriptor, for observers of decisions: metrics, traces, logs, replays.

use std::sync::Arc;

use super::decision::Status;
use super::matched_request::MatchedRequest;
use super::target::{Match, Target};
use crate::clock::Timestamp;
use crate::limit::{LimitSet, Outcome, Outcomes};
use crate::policy::{Domain, Rule};

/// What one descriptor matched, and how it was decided.
#[derive(Clone, Copy, Debug)]
pub struct DescriptorResult<'a> {
    /// When the request was decided.
    pub now: Timestamp,
    /// The domain of the request; `None` if no policy defines it.
    pub domain: Option<&'a Domain>,
    /// The index of the descriptor in the request.
    pub descriptor: usize,
    /// The rule that applies; `None` if none matched, if it was replaced, or if the limit came with
    /// the request.
    pub rule: Option<&'a Arc<Rule>>,
    /// The limits that count: those of the rule, or of an assignment; `None` if there are none.
    pub limits: Option<&'a LimitSet>,
    /// Whether a request over the limits is let through, as the response says.
    pub is_soft: bool,
    /// Whether a rule matched all of whose limits other rules of the request replace.
    pub is_replaced: bool,
    /// Whether another descriptor exempts the request, so that the rule that matched does not apply.
    pub is_exempted: bool,
    /// The outcome at each limit that counts, in the order of the rule.
    pub outcomes: &'a [Outcome],
    /// Of several hits that are over a limit, those for which there was room.
    pub room: u32,
    /// The status in the response.
    pub status: &'a Status,
}

/// Calls `observe` with the result of each descriptor, in order.
pub(super) fn observe_each(
    matched: &MatchedRequest<'_>,
    outcomes: &[Outcomes],
    statuses: &[Status],
    now: Timestamp,
    mut observe: impl FnMut(DescriptorResult<'_>),
) {
    let mut outcomes = outcomes.iter();
    for (descriptor, (target, status)) in matched.targets.iter().zip(statuses).enumerate() {
        let counted = target.limits().and_then(|_| outcomes.next());
        observe(DescriptorResult {
            now,
            domain: matched.domain,
            descriptor,
            rule: rule(target),
            limits: target.limits().map(|limits| limits.set),
            is_soft: target.is_soft(matched.domain),
            is_replaced: matches!(target.matched, Match::Replaced),
            is_exempted: matches!(target.matched, Match::Exempted),
            outcomes: counted.map_or(&[], |outcomes| &outcomes.limits),
            room: counted.map_or(0, |outcomes| outcomes.room),
            status,
        });
    }
}

fn rule<'a>(target: &Target<'a>) -> Option<&'a Arc<Rule>> {
    let applies = match &target.matched {
        Match::None | Match::Replaced | Match::Exempted => false,
        Match::Unlimited | Match::Exempt => true,
        Match::Limits(limits) => limits.rule.is_some(),
    };
    target.node.filter(|_| applies)?.rule
}
