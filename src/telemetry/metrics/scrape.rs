//! What one request for `/metrics` reads: the counters of all threads, the policy in force, the
//! statistics of the store.
//!
//! The readers in [`super::families`] and [`super::envoy_ratelimit`] take their values from a
//! [`Scrape`], so everything that is read once per request is read here.

use std::sync::Arc;

use super::Metrics;
use super::counts::{DomainDecisions, RuleHits};
use super::registry::{self, Detail};
use super::text::Samples;
use crate::clock::{Clock, Timestamp};
use crate::engine::{Engine, LeaseStats, SlotsInUse};
use crate::limit::Limit;
use crate::policy::{Domain, Limits, Policy, Rule, RuleName};
use crate::store::Stats;

/// A policy with more rules exposes only those that a descriptor has matched.
const MAX_IDLE_RULES: usize = 10_000;

/// Sources of the samples, valid during one request for `/metrics`.
#[derive(Debug)]
pub(super) struct Scrape<'s> {
    pub(super) metrics: &'s Metrics,
    pub(super) policy: &'s Policy,
    pub(super) store: Stats,
    pub(super) now: Timestamp,
    pub(super) leases: LeaseStats,
    slots_in_use: SlotsInUse,
    pub(super) rules: Vec<RuleSeries<'s>>,
}

/// A rule and what was counted at it.
#[derive(Debug)]
pub(super) struct RuleSeries<'p> {
    pub(super) domain: &'p Domain,
    pub(super) rule: &'p Rule,
    name: Arc<str>,
    pub(super) hits: RuleHits,
    /// By the values that were sent, if the policy asks for that; `None` is the series for all
    /// values beyond the bound.
    pub(super) details: Option<Vec<(Option<Arc<Detail>>, RuleHits)>>,
}

impl<'s> Scrape<'s> {
    /// Reads everything that is needed once. `policy` is the one in force.
    pub(super) fn new(metrics: &'s Metrics, engine: &Engine, policy: &'s Policy) -> Self {
        Self {
            metrics,
            policy,
            store: engine.stats(),
            now: Clock::System.now(),
            leases: engine.lease_stats(),
            slots_in_use: engine.slots_in_use(),
            rules: rules(metrics, policy),
        }
    }

    /// The decisions of each domain of the policy; under the empty name those of unknown domains.
    pub(super) fn decisions(&self) -> impl Iterator<Item = (&str, DomainDecisions)> {
        let domains = self.policy.domains().into_iter();
        let domains = domains.map(|domain| (&*domain.name, Some(domain)));
        domains
            .chain([("", None)])
            .map(|(name, domain)| (name, self.metrics.domain(domain)))
    }

    /// Writes a sample for each rule, or for each combination of values if the policy asks for it.
    pub(super) fn rule_samples(&self, out: &mut Samples<'_>, value: impl Fn(&RuleHits) -> u64) {
        for series in &self.rules {
            let (domain, rule) = (&*series.domain.name, &*series.name);
            let Some(details) = &series.details else {
                out.labelled(&[domain, rule], value(&series.hits));
                continue;
            };
            for (detail, hits) in details {
                let values = match detail {
                    Some(detail) => describe(&series.rule.name, detail),
                    None => "other".to_owned(),
                };
                out.labelled(&[domain, rule, &values], value(hits));
            }
        }
    }

    /// Writes a sample for each limit of a rule that has such a number.
    pub(super) fn limit_samples(
        &self,
        out: &mut Samples<'_>,
        number: impl Fn(&Limit) -> Option<u32>,
    ) {
        for series in &self.rules {
            let Limits::Counted(set) = &series.rule.limits else {
                continue;
            };
            for (limit, name) in set.limits.iter().zip(registry::limit_names(&set.limits)) {
                if let Some(number) = number(limit) {
                    out.labelled(&[&series.domain.name, &series.name, &name], number);
                }
            }
        }
    }

    /// Writes the slots in use of each rule that has a concurrency limit.
    pub(super) fn slot_samples(&self, out: &mut Samples<'_>) {
        for series in &self.rules {
            if let Limits::Counted(set) = &series.rule.limits
                && set.has_leases()
            {
                let slots = self.slots_in_use.of(series.rule);
                out.labelled(&[&series.domain.name, &series.name], slots);
            }
        }
    }

    /// Writes the hits over each limit, for the rules that have several limits.
    pub(super) fn over_limit_samples(&self, out: &mut Samples<'_>) {
        for series in &self.rules {
            let limits = registry::several_limits(series.rule).unwrap_or_default();
            let numbers = series.rule.metric_ids.get().get(1..).unwrap_or_default();
            for (name, number) in registry::limit_names(limits).iter().zip(numbers) {
                let hits = self.metrics.over_limit(*number);
                out.labelled(&[&series.domain.name, &series.name, name], hits);
            }
        }
    }
}

fn rules<'p>(metrics: &Metrics, policy: &'p Policy) -> Vec<RuleSeries<'p>> {
    let omits_idle = policy.rule_count() > MAX_IDLE_RULES;
    let mut rules = Vec::new();
    for domain in policy.domains() {
        for (rule, name) in registry::named_rules(domain) {
            let hits = metrics.rule(rule);
            if omits_idle && hits.total() == 0 {
                continue;
            }
            let is_detailed = rule.metric.detailed || rule.metric.value_levels != 0;
            rules.push(RuleSeries {
                domain,
                rule,
                name,
                hits,
                details: is_detailed.then(|| details(metrics, rule)),
            });
        }
    }
    rules
}

fn details(metrics: &Metrics, rule: &Rule) -> Vec<(Option<Arc<Detail>>, RuleHits)> {
    let Some(number) = rule.metric_ids.get().first() else {
        return Vec::new();
    };
    let (details, other) = metrics.registry.lock().details(*number);
    let details = details
        .into_iter()
        .map(|(values, number)| (Some(values), number));
    let all = details.chain(other.map(|number| (None, number)));
    all.map(|(values, number)| (values, metrics.hits(number)))
        .collect()
}

/// The levels of a rule with the values that were sent: `tenant=gold, route=/orders`.
fn describe(name: &RuleName, values: &Detail) -> String {
    let shown = name.levels.iter().zip(values);
    let shown = shown.filter(|(_, value)| !value.is_empty());
    let shown: Vec<String> = shown
        .map(|(level, value)| format!("{}={value}", level.key))
        .collect();
    shown.join(", ")
}
