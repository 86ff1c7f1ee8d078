//! Counts requests and refusals by rule.

use std::collections::HashMap;
use std::sync::Arc;

use super::PolicyOutcome;
use super::names::{RuleLabel, ValueTags};
use super::top_refused::{RefusedClient, TopRefused};
use super::unmatched::UnmatchedCounts;
use crate::engine::{Code, DescriptorResult};
use crate::limit;
use crate::policy::{Domain, Limits, Rule};
use crate::request::Request;
use crate::store::Stats;

/// The number of most refused clients in a report.
const TOP: usize = 10;

/// The counts of one policy.
#[derive(Debug)]
pub(super) struct Tally {
    tags: ValueTags,
    requests: u64,
    refused: u64,
    unmatched: u64,
    unmatched_descriptors: UnmatchedCounts,
    rules: Vec<RuleCounts>,
    /// The index of a rule's counts by the address of the rule; the policy outlives this table.
    by_address: HashMap<usize, usize>,
}

/// The result of one descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DescriptorTally {
    /// The index of the rule's counts.
    pub(super) rule: Option<usize>,
    pub(super) refused: bool,
}

#[derive(Debug)]
struct RuleCounts {
    label: Arc<RuleLabel>,
    requests: u64,
    refused: u64,
    shadowed: u64,
    peak: Option<Peak>,
    refused_most: TopRefused,
}

/// The results of one rule.
#[derive(Clone, Debug)]
pub struct RuleTally {
    /// The rule.
    pub rule: Arc<RuleLabel>,
    /// Descriptors that matched it.
    pub requests: u64,
    /// Descriptors that it refused.
    pub refused: u64,
    /// Descriptors that it would have refused without shadow mode.
    pub shadowed: u64,
    /// The highest use of a limit by one client; `None` if nothing is counted.
    pub peak: Option<Peak>,
    /// The most refused clients.
    pub refused_most: Vec<RefusedClient>,
}

/// How much of a limit one client had used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peak {
    /// Hits in use.
    pub used: u32,
    /// The capacity of the limit; for a token bucket, its burst.
    pub capacity: u32,
}

impl Tally {
    pub(super) fn new(tags: ValueTags) -> Self {
        Self {
            tags,
            requests: 0,
            refused: 0,
            unmatched: 0,
            unmatched_descriptors: UnmatchedCounts::default(),
            rules: Vec::new(),
            by_address: HashMap::new(),
        }
    }

    /// Counts the result of a descriptor of the request.
    pub(super) fn add(
        &mut self,
        request: &Request,
        domain: Option<&Domain>,
        result: DescriptorResult<'_>,
        line: u64,
    ) -> DescriptorTally {
        let refused = result.status.code == Code::OverLimit;
        let descriptor = &request.descriptors[result.descriptor];
        let (Some(rule), Some(domain)) = (result.rule, domain) else {
            if !result.is_replaced && !result.is_exempted {
                let has_domain = domain.is_some();
                self.unmatched_descriptors
                    .add(&request.domain, descriptor, has_domain, line);
            }
            let rule = None;
            return DescriptorTally { rule, refused };
        };
        let index = self.index(rule, domain);
        let counts = &mut self.rules[index];
        counts.requests += 1;
        counts.peak(rule, result.outcomes);
        if refused {
            counts.refused += 1;
            let (tags, entries) = (&self.tags, descriptor.entries.as_slice());
            counts
                .refused_most
                .add(tags.hash(entries), line, || tags.describe(entries, domain));
        } else if result.outcomes.iter().any(|outcome| outcome.over) {
            counts.shadowed += 1;
        }
        let rule = Some(index);
        DescriptorTally { rule, refused }
    }

    /// Counts the request as a whole.
    pub(super) fn end(&mut self, refused: bool, seen: &[DescriptorTally]) {
        self.requests += 1;
        self.refused += u64::from(refused);
        self.unmatched += u64::from(seen.iter().all(|seen| seen.rule.is_none()));
    }

    pub(super) fn outcome(&self, store: Stats) -> PolicyOutcome {
        let mut rules: Vec<RuleTally> = self.rules.iter().map(RuleCounts::report).collect();
        rules.sort_by_key(|rule| std::cmp::Reverse((rule.refused, rule.shadowed, rule.requests)));
        PolicyOutcome {
            requests: self.requests,
            refused: self.refused,
            unmatched: self.unmatched,
            unmatched_descriptors: self.unmatched_descriptors.report(),
            rules,
            store,
        }
    }

    fn index(&mut self, rule: &Arc<Rule>, domain: &Domain) -> usize {
        let address = Arc::as_ptr(rule) as usize;
        *self.by_address.entry(address).or_insert_with(|| {
            self.rules.push(RuleCounts {
                label: Arc::new(RuleLabel::new(rule, domain)),
                requests: 0,
                refused: 0,
                shadowed: 0,
                peak: None,
                refused_most: TopRefused::default(),
            });
            self.rules.len() - 1
        })
    }

    /// The label of the rule at `index`.
    pub(super) fn label(&self, index: Option<usize>) -> Option<Arc<RuleLabel>> {
        self.rules
            .get(index?)
            .map(|counts| Arc::clone(&counts.label))
    }
}

impl RuleCounts {
    fn peak(&mut self, rule: &Rule, outcomes: &[limit::Outcome]) {
        let Limits::Counted(set) = &rule.limits else {
            return;
        };
        for outcome in outcomes {
            let Some(limit) = set.limits.get(usize::from(outcome.limit)) else {
                continue;
            };
            let capacity = limit.capacity();
            let remaining = if outcome.over { 0 } else { outcome.available };
            let peak = Peak {
                used: capacity.saturating_sub(remaining),
                capacity,
            };
            if self
                .peak
                .is_none_or(|highest| peak.share() > highest.share())
            {
                self.peak = Some(peak);
            }
        }
    }

    fn report(&self) -> RuleTally {
        RuleTally {
            rule: Arc::clone(&self.label),
            requests: self.requests,
            refused: self.refused,
            shadowed: self.shadowed,
            peak: self.peak,
            refused_most: self.refused_most.top(TOP),
        }
    }
}

impl Peak {
    /// `used` as a fraction of `capacity`; 1 for a limit of 0.
    pub fn share(self) -> f64 {
        match self.capacity {
            0 => 1.0,
            capacity => f64::from(self.used) / f64::from(capacity),
        }
    }
}
