//! What became of the traffic, by rule.

use std::collections::HashMap;
use std::sync::Arc;

use super::Outcome;
use super::names::{Masks, RuleId};
use super::top_refused::{RefusedClient, TopRefused};
use crate::engine::{Code, DescriptorResult};
use crate::limit;
use crate::policy::{Domain, Limits, Rule};
use crate::request::{Descriptor, Request};
use crate::store::Stats;

/// How many of those who are refused most are told.
const TOP: usize = 10;

/// The counts of one policy.
#[derive(Debug)]
pub(super) struct Tally {
    masks: Masks,
    requests: u64,
    refused: u64,
    unmatched: u64,
    rules: Vec<Counts>,
    /// Where a rule's counts are, by its address: the policy outlives them.
    by_address: HashMap<usize, usize>,
}

/// What a descriptor met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The place of the rule's counts.
    pub(super) rule: Option<usize>,
    pub(super) refused: bool,
}

#[derive(Debug)]
struct Counts {
    id: Arc<RuleId>,
    requests: u64,
    refused: u64,
    shadowed: u64,
    peak: Option<Peak>,
    refused_most: TopRefused,
}

/// What one rule did.
#[derive(Clone, Debug)]
pub struct RuleTally {
    /// Which.
    pub rule: Arc<RuleId>,
    /// Descriptors that met it.
    pub requests: u64,
    /// How many of them it refused.
    pub refused: u64,
    /// How many it would have refused, were it or one of its limits not in shadow mode.
    pub shadowed: u64,
    /// The nearest that anybody came to a limit; none if nothing is counted.
    pub peak: Option<Peak>,
    /// Who was refused most.
    pub refused_most: Vec<RefusedClient>,
}

/// How much of a limit one client had used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peak {
    /// Hits, at most as many as there may be.
    pub used: u32,
    /// How many there may be at once: of a token bucket its burst.
    pub of: u32,
}

impl Tally {
    pub(super) fn new(masks: Masks) -> Self {
        Self {
            masks,
            requests: 0,
            refused: 0,
            unmatched: 0,
            rules: Vec::new(),
            by_address: HashMap::new(),
        }
    }

    /// Counts what a descriptor of the request has met.
    pub(super) fn add(
        &mut self,
        (request, domain): (&Request, Option<&Domain>),
        met: DescriptorResult<'_>,
        line: u64,
    ) -> Seen {
        let refused = met.status.code == Code::OverLimit;
        let descriptor = &request.descriptors[met.descriptor];
        let (Some(rule), Some(domain)) = (met.rule, domain) else {
            let rule = None;
            return Seen { rule, refused };
        };
        let place = self.place(rule, (domain, descriptor));
        let counts = &mut self.rules[place];
        counts.requests += 1;
        counts.peak(rule, met.outcomes);
        if refused {
            counts.refused += 1;
            let (masks, entries) = (&self.masks, descriptor.entries.as_slice());
            counts
                .refused_most
                .add(masks.hash(entries), line, || masks.who(entries, domain));
        } else if met.outcomes.iter().any(|outcome| outcome.over) {
            counts.shadowed += 1;
        }
        let rule = Some(place);
        Seen { rule, refused }
    }

    /// Counts the request as a whole.
    pub(super) fn end(&mut self, refused: bool, seen: &[Seen]) {
        self.requests += 1;
        self.refused += u64::from(refused);
        self.unmatched += u64::from(seen.iter().all(|seen| seen.rule.is_none()));
    }

    pub(super) fn outcome(&self, store: Stats) -> Outcome {
        let mut rules: Vec<RuleTally> = self.rules.iter().map(Counts::report).collect();
        rules.sort_by_key(|rule| std::cmp::Reverse((rule.refused, rule.shadowed, rule.requests)));
        Outcome {
            requests: self.requests,
            refused: self.refused,
            unmatched: self.unmatched,
            rules,
            store,
        }
    }

    fn place(&mut self, rule: &Arc<Rule>, found: (&Domain, &Descriptor)) -> usize {
        let address = Arc::as_ptr(rule) as usize;
        *self.by_address.entry(address).or_insert_with(|| {
            self.rules.push(Counts {
                id: Arc::new(RuleId::new(rule, found)),
                requests: 0,
                refused: 0,
                shadowed: 0,
                peak: None,
                refused_most: TopRefused::default(),
            });
            self.rules.len() - 1
        })
    }

    /// The name of the rule whose counts are there.
    pub(super) fn id(&self, place: Option<usize>) -> Option<Arc<RuleId>> {
        self.rules.get(place?).map(|counts| Arc::clone(&counts.id))
    }
}

impl Counts {
    fn peak(&mut self, rule: &Rule, outcomes: &[limit::Outcome]) {
        let Limits::Counted(set) = &rule.limits else {
            return;
        };
        for outcome in outcomes {
            let Some(limit) = set.limits.get(usize::from(outcome.limit)) else {
                continue;
            };
            let of = limit.capacity();
            let remaining = if outcome.over { 0 } else { outcome.remaining };
            let peak = Peak {
                used: of.saturating_sub(remaining),
                of,
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
            rule: Arc::clone(&self.id),
            requests: self.requests,
            refused: self.refused,
            shadowed: self.shadowed,
            peak: self.peak,
            refused_most: self.refused_most.top(TOP),
        }
    }
}

impl Peak {
    /// From 0 to 1; of a limit of 0 everything is used.
    pub fn share(self) -> f64 {
        match self.of {
            0 => 1.0,
            of => f64::from(self.used) / f64::from(of),
        }
    }
}
