//! The recent history of rules and domains, as shown on the admin page.
//!
//! History is divided into steps. With steps of 5 seconds, [`HISTORY_STEPS`] of them are 15 minutes.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::metrics::{DomainDecisions, Metrics, RuleHits};
use crate::policy::{Domain, Policy, Rule};

/// Number of steps that are kept.
pub const HISTORY_STEPS: usize = 180;

/// Number of rules whose history is kept, those that are matched first.
const MAX_RULES: usize = 5_000;

/// What was counted in one step: hits of a rule, or requests of a domain.
///
/// In JSON it is an array of the four numbers: an overview has thousands of steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(from = "[u32; 4]", into = "[u32; 4]")]
pub struct HistoryStep {
    /// Within the limits, or let through over a soft one.
    pub ok: u32,
    /// Part of `ok`: near a limit. Always 0 for a domain.
    pub near: u32,
    /// Refused.
    pub over: u32,
    /// Allowed by shadow mode.
    pub shadow: u32,
}

/// The steps of all rules and domains.
#[derive(Debug, Default)]
pub struct History {
    /// Number of steps since the start.
    steps: u64,
    /// By metric ID.
    rules: HashMap<u32, Series<RuleHits>>,
    domains: HashMap<u32, Series<DomainDecisions>>,
}

/// The steps of one rule or domain.
#[derive(Debug)]
struct Series<T> {
    /// The counters at the end of the last step.
    last: T,
    /// The number of steps at which the series ends; later ones are 0.
    end: u64,
    steps: VecDeque<HistoryStep>,
}

impl From<[u32; 4]> for HistoryStep {
    fn from([ok, near, over, shadow]: [u32; 4]) -> Self {
        Self {
            ok,
            near,
            over,
            shadow,
        }
    }
}

impl From<HistoryStep> for [u32; 4] {
    fn from(step: HistoryStep) -> Self {
        [step.ok, step.near, step.over, step.shadow]
    }
}

impl History {
    /// Ends a step: adds what was counted since the one before.
    pub fn step(&mut self, policy: &Policy, metrics: &Metrics) {
        self.steps += 1;
        let forgotten = metrics.take_forgotten();
        self.rules.retain(|id, _| !forgotten.rules.contains(id));
        self.domains.retain(|id, _| !forgotten.domains.contains(id));
        for domain in policy.domains() {
            if let [id] = domain.metric_ids.get() {
                let total = metrics.domain(Some(domain));
                let series = self.domains.entry(*id).or_insert_with(Series::new);
                series.add(self.steps, total, |now, last| HistoryStep {
                    ok: increase(now.ok - now.shadow, last.ok - last.shadow),
                    near: 0,
                    over: increase(now.over_limit, last.over_limit),
                    shadow: increase(now.shadow, last.shadow),
                });
            }
            for rule in domain.rules() {
                self.step_rule(rule, metrics);
            }
        }
    }

    fn step_rule(&mut self, rule: &Rule, metrics: &Metrics) {
        let Some(id) = rule.metric_ids.get().first() else {
            return;
        };
        let total = metrics.rule(rule);
        let is_full = self.rules.len() >= MAX_RULES;
        if total.total() == 0 || (is_full && !self.rules.contains_key(id)) {
            return;
        }
        let series = self.rules.entry(*id).or_insert_with(Series::new);
        series.add(self.steps, total, |now, last| HistoryStep {
            ok: increase(now.within + now.allowed, last.within + last.allowed),
            near: increase(now.near, last.near),
            over: increase(now.refused(), last.refused()),
            shadow: increase(now.shadow, last.shadow),
        });
    }

    /// The steps of a rule, the oldest first, at most [`HISTORY_STEPS`]. Missing steps are 0.
    pub fn of_rule(&self, rule: &Rule) -> Vec<HistoryStep> {
        let id = rule.metric_ids.get().first();
        let series = id.and_then(|id| self.rules.get(id));
        series.map_or_else(Vec::new, |series| series.until(self.steps))
    }

    /// The steps of a domain, the oldest first, at most [`HISTORY_STEPS`].
    pub fn of_domain(&self, domain: &Domain) -> Vec<HistoryStep> {
        let id = domain.metric_ids.get().first();
        let series = id.and_then(|id| self.domains.get(id));
        series.map_or_else(Vec::new, |series| series.until(self.steps))
    }
}

impl<T: Copy + Default> Series<T> {
    fn new() -> Self {
        Self {
            last: T::default(),
            end: 0,
            steps: VecDeque::new(),
        }
    }

    fn add(&mut self, step: u64, now: T, difference: impl FnOnce(&T, &T) -> HistoryStep) {
        self.fill(step - 1);
        self.push(difference(&now, &self.last));
        self.end = step;
        self.last = now;
    }

    /// Adds empty steps for the time in which the policy did not have the rule.
    fn fill(&mut self, end: u64) {
        let missing = end.saturating_sub(self.end).min(HISTORY_STEPS as u64);
        if self.end > 0 {
            (0..missing).for_each(|_| self.push(HistoryStep::default()));
        }
    }

    fn push(&mut self, step: HistoryStep) {
        if self.steps.len() == HISTORY_STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back(step);
    }

    fn until(&self, end: u64) -> Vec<HistoryStep> {
        let missing = end.saturating_sub(self.end).min(HISTORY_STEPS as u64) as usize;
        let steps = self.steps.iter().copied();
        let steps: Vec<HistoryStep> = steps
            .chain(std::iter::repeat_n(HistoryStep::default(), missing))
            .collect();
        steps[steps.len().saturating_sub(HISTORY_STEPS)..].to_vec()
    }
}

fn increase(now: u64, last: u64) -> u32 {
    u32::try_from(now.saturating_sub(last)).unwrap_or(u32::MAX)
}
