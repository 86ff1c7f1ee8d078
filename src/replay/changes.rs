//! Differences between the decisions of two policies.

use std::collections::HashMap;
use std::sync::Arc;

use super::names::RuleLabel;
use super::tally::{DescriptorTally, Tally};

/// Descriptors that matched one rule in the policy and one in the other policy.
#[derive(Clone, Debug)]
pub struct Change {
    /// The rule in the policy; `None` if no rule matched.
    pub rule: Option<Arc<RuleLabel>>,
    /// The rule in the other policy.
    pub against: Option<Arc<RuleLabel>>,
    /// The number of descriptors.
    pub requests: u64,
    /// Refused by the policy and admitted by the other.
    pub newly_refused: u64,
    /// Admitted by the policy and refused by the other.
    pub newly_passed: u64,
    /// Refused by the policy.
    pub refused: u64,
    /// Refused by the other policy.
    pub refused_against: u64,
}

/// Differences between two policies, by the rules that descriptors matched.
#[derive(Debug, Default)]
pub(super) struct Changes(HashMap<(Option<usize>, Option<usize>), ChangeCounts>);

#[derive(Clone, Copy, Debug, Default)]
struct ChangeCounts {
    requests: u64,
    newly_refused: u64,
    newly_passed: u64,
    refused: u64,
    refused_against: u64,
}

impl Changes {
    pub(super) fn add(&mut self, policy: &[DescriptorTally], against: &[DescriptorTally]) {
        for (policy, against) in policy.iter().zip(against) {
            let counted = self.0.entry((policy.rule, against.rule)).or_default();
            counted.requests += 1;
            counted.refused += u64::from(policy.refused);
            counted.refused_against += u64::from(against.refused);
            counted.newly_refused += u64::from(policy.refused && !against.refused);
            counted.newly_passed += u64::from(!policy.refused && against.refused);
        }
    }

    /// The changes, those with the most differences first. Descriptors without a rule in either policy are left out.
    pub(super) fn report(&self, policy: &Tally, against: &Tally) -> Vec<Change> {
        let met = self.0.iter().filter(|(rules, _)| **rules != (None, None));
        let mut changes: Vec<Change> = met
            .map(|(&(rule, other), counted)| Change {
                rule: policy.label(rule),
                against: against.label(other),
                requests: counted.requests,
                newly_refused: counted.newly_refused,
                newly_passed: counted.newly_passed,
                refused: counted.refused,
                refused_against: counted.refused_against,
            })
            .collect();
        let name = |rule: &Option<Arc<RuleLabel>>| rule.as_ref().map(|rule| rule.to_string());
        changes.sort_by_cached_key(|change| {
            let different = change.newly_refused + change.newly_passed;
            let most = std::cmp::Reverse((different, change.requests));
            (most, name(&change.rule), name(&change.against))
        });
        changes
    }
}
