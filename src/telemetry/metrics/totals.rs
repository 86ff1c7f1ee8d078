//! Sums over all threads, since the start or since a name was last forgotten.

use std::sync::atomic::Ordering;

use super::counts::{DomainDecisions, RuleHits};
use super::histogram::Histogram;
use super::thread::ThreadMetrics;
use super::{Metrics, UNKNOWN_DOMAIN};
use crate::policy::{Domain, Rule};

impl Metrics {
    /// The hits at a rule since the start.
    pub fn rule(&self, rule: &Rule) -> RuleHits {
        let number = rule.metric_ids.get().first();
        number.map_or_else(RuleHits::default, |number| self.hits(*number))
    }

    /// The decisions in a domain since the start; `None` for unknown domains.
    pub fn domain(&self, domain: Option<&Domain>) -> DomainDecisions {
        let number = domain.map_or(Some(UNKNOWN_DOMAIN), |domain| {
            domain.metric_ids.get().first().copied()
        });
        number.map_or_else(DomainDecisions::default, |number| self.decisions(number))
    }

    pub(super) fn decisions(&self, number: u32) -> DomainDecisions {
        let mut sum = DomainDecisions::default();
        for thread in self.threads.lock().iter() {
            if let Some(counters) = thread.domains.get(number) {
                sum.ok += counters.ok.get();
                sum.over_limit += counters.over_limit.get();
                sum.shadow += counters.shadow.get();
                sum.exempt += counters.exempt.get();
            }
        }
        if let Some(counters) = self.forgotten.domains.get(number) {
            sum.ok = sum.ok.saturating_sub(counters.ok.get());
            sum.over_limit = sum.over_limit.saturating_sub(counters.over_limit.get());
            sum.shadow = sum.shadow.saturating_sub(counters.shadow.get());
            sum.exempt = sum.exempt.saturating_sub(counters.exempt.get());
        }
        sum
    }

    /// Descriptors that matched no rule of a domain since the start.
    pub(super) fn unmatched_total(&self, domain: &Domain) -> u64 {
        let number = domain.metric_ids.get().first();
        number.map_or(0, |number| self.unmatched_of(*number))
    }

    /// The number of open connections of each worker.
    pub(super) fn connections(&self) -> Vec<usize> {
        let threads = self.threads.lock();
        let workers = threads.iter().filter(|thread| thread.is_worker);
        workers
            .map(|thread| thread.connections.load(Ordering::Relaxed))
            .collect()
    }

    pub(super) fn hits(&self, number: u32) -> RuleHits {
        let mut sum = RuleHits::default();
        for thread in self.threads.lock().iter() {
            if let Some(counters) = thread.rules.get(number) {
                sum.add(&counters.into());
            }
        }
        if let Some(counters) = self.forgotten.rules.get(number) {
            sum.subtract(&counters.into());
        }
        sum
    }

    pub(super) fn over_limit(&self, number: u32) -> u64 {
        self.sum_since_forgotten(|thread| thread.limits.get(number).map_or(0, |count| count.get()))
    }

    pub(super) fn unmatched_of(&self, domain: u32) -> u64 {
        self.sum_since_forgotten(|thread| {
            let counters = thread.domains.get(domain);
            counters.map_or(0, |counters| counters.unmatched.get())
        })
    }

    fn sum_since_forgotten(&self, value: impl Fn(&ThreadMetrics) -> u64) -> u64 {
        self.sum(&value).saturating_sub(value(&self.forgotten))
    }

    pub(super) fn sum(&self, value: impl Fn(&ThreadMetrics) -> u64) -> u64 {
        self.threads.lock().iter().map(|thread| value(thread)).sum()
    }

    pub(super) fn decision_time(&self) -> Histogram {
        let mut sum = Histogram::default();
        for thread in self.threads.lock().iter() {
            thread.decision_time.add_to(&mut sum);
        }
        sum
    }
}
