//! What two policies decide differently.

use std::collections::HashMap;
use std::sync::Arc;

use super::names::RuleId;
use super::tally::{Seen, Tally};

/// Descriptors that met one rule under one policy and another under the other.
#[derive(Clone, Debug)]
pub struct Change {
    /// Under the policy; none if it met no rule.
    pub rule: Option<Arc<RuleId>>,
    /// Under the other.
    pub against: Option<Arc<RuleId>>,
    /// How many there were.
    pub requests: u64,
    /// Refused under the policy, and not under the other.
    pub newly_refused: u64,
    /// The other way round.
    pub newly_passed: u64,
    /// Refused under the policy.
    pub refused: u64,
    /// Refused under the other.
    pub refused_against: u64,
}

/// What is different under two policies, by the rules that a descriptor met.
#[derive(Debug, Default)]
pub(super) struct Changes(HashMap<(Option<usize>, Option<usize>), Counted>);

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    requests: u64,
    newly_refused: u64,
    newly_passed: u64,
    refused: u64,
    refused_against: u64,
}

impl Changes {
    pub(super) fn add(&mut self, policy: &[Seen], against: &[Seen]) {
        for (policy, against) in policy.iter().zip(against) {
            let counted = self.0.entry((policy.rule, against.rule)).or_default();
            counted.requests += 1;
            counted.refused += u64::from(policy.refused);
            counted.refused_against += u64::from(against.refused);
            counted.newly_refused += u64::from(policy.refused && !against.refused);
            counted.newly_passed += u64::from(!policy.refused && against.refused);
        }
    }

    /// By how many are decided differently, the most first; what met no rule in either is left out.
    pub(super) fn report(&self, policy: &Tally, against: &Tally) -> Vec<Change> {
        let met = self.0.iter().filter(|(rules, _)| **rules != (None, None));
        let mut changes: Vec<Change> = met
            .map(|(&(rule, other), counted)| Change {
                rule: policy.id(rule),
                against: against.id(other),
                requests: counted.requests,
                newly_refused: counted.newly_refused,
                newly_passed: counted.newly_passed,
                refused: counted.refused,
                refused_against: counted.refused_against,
            })
            .collect();
        let name = |rule: &Option<Arc<RuleId>>| rule.as_ref().map(|rule| rule.to_string());
        changes.sort_by_cached_key(|change| {
            let different = change.newly_refused + change.newly_passed;
            let most = std::cmp::Reverse((different, change.requests));
            (most, name(&change.rule), name(&change.against))
        });
        changes
    }
}
