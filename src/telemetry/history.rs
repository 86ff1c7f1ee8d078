//! The last quarter of an hour, if a step is five seconds long: what every rule and domain counted, step by step.

use std::collections::{HashMap, VecDeque};

use super::metrics::{DomainDecisions, Metrics, RuleHits};
use crate::clock::Timestamp;
use crate::policy::{Domain, Policy, Rule};

/// Steps that are kept.
pub const HISTORY_STEPS: usize = 180;

/// Rules whose steps are kept, those that were met first.
const MOST_RULES: usize = 5_000;

/// What was counted in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryStep {
    /// Within the limits; of a domain, calls that were OK.
    pub ok: u32,
    /// Of those the ones near a limit; of a domain always 0.
    pub near: u32,
    /// Refused.
    pub over: u32,
    /// Let pass by shadow mode.
    pub shadow: u32,
}

/// Steps of all rules and domains, the oldest first.
#[derive(Debug, Default)]
pub struct History {
    /// The end of the last step.
    at: Timestamp,
    /// How many steps there were.
    steps: u64,
    /// By number.
    rules: HashMap<u32, Series<RuleHits>>,
    domains: HashMap<u32, Series<DomainDecisions>>,
}

#[derive(Debug)]
struct Series<T> {
    last: T,
    /// The step after the last of these; what lies between is 0.
    end: u64,
    steps: VecDeque<HistoryStep>,
}

impl History {
    /// A step has ended.
    pub fn step(&mut self, policy: &Policy, metrics: &Metrics, now: Timestamp) {
        self.at = now;
        self.steps += 1;
        for domain in policy.domains() {
            if let [number] = domain.metric_ids.get() {
                let all = metrics.domain(Some(domain));
                let series = self.domains.entry(*number).or_insert_with(Series::new);
                series.add(self.steps, all, |now, last| HistoryStep {
                    ok: less(now.ok - now.shadow, last.ok - last.shadow),
                    near: 0,
                    over: less(now.over_limit, last.over_limit),
                    shadow: less(now.shadow, last.shadow),
                });
            }
            for rule in domain.rules() {
                self.step_of_rule(rule, metrics);
            }
        }
    }

    fn step_of_rule(&mut self, rule: &Rule, metrics: &Metrics) {
        let Some(number) = rule.metric_ids.get().first() else {
            return;
        };
        let hits = metrics.rule(rule);
        let is_full = self.rules.len() >= MOST_RULES;
        if hits.total() == 0 || (is_full && !self.rules.contains_key(number)) {
            return;
        }
        let series = self.rules.entry(*number).or_insert_with(Series::new);
        series.add(self.steps, hits, |now, last| HistoryStep {
            ok: less(now.within, last.within),
            near: less(now.near, last.near),
            over: less(now.over - now.shadow, last.over - last.shadow),
            shadow: less(now.shadow, last.shadow),
        });
    }

    /// The end of the last step.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The steps of a rule up to now, at most [`HISTORY_STEPS`]; those before the first were 0.
    pub fn of_rule(&self, rule: &Rule) -> Vec<HistoryStep> {
        let number = rule.metric_ids.get().first();
        let series = number.and_then(|number| self.rules.get(number));
        series.map_or_else(Vec::new, |series| series.until(self.steps))
    }

    /// The steps of a domain up to now.
    pub fn of_domain(&self, domain: &Domain) -> Vec<HistoryStep> {
        let number = domain.metric_ids.get().first();
        let series = number.and_then(|number| self.domains.get(number));
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

    fn add(&mut self, step: u64, now: T, since: impl FnOnce(&T, &T) -> HistoryStep) {
        self.fill(step - 1);
        self.push(since(&now, &self.last));
        self.end = step;
        self.last = now;
    }

    /// A rule that was away counted nothing.
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

fn less(now: u64, last: u64) -> u32 {
    u32::try_from(now.saturating_sub(last)).unwrap_or(u32::MAX)
}
