//! The metric IDs of rules, limits and domains.
//!
//! An ID belongs to a name and survives reloads, so the counters of a rule continue as long as the
//! rule keeps its name.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use crate::limit::Limit;
use crate::policy::{Domain, Limits, Policy, Rule};

/// Maximum number of series by value of one rule.
pub(super) const MAX_DETAILS: usize = 1_000;

/// IDs by name.
#[derive(Debug, Default)]
pub(super) struct Registry {
    domains: Names<Arc<str>>,
    rules: Names<(u32, Arc<str>)>,
    limits: Names<(u32, Arc<str>)>,
    /// By the ID of the rule.
    details: HashMap<u32, Details>,
    /// Hits that were counted in the series `other`.
    pub(super) capped: u64,
}

/// The series of one rule by the values that were sent.
#[derive(Debug, Default)]
struct Details {
    numbers: HashMap<Arc<Detail>, u32>,
    other: Option<u32>,
}

/// The values of one series: one per level, empty if the level does not show it.
pub(super) type Detail = [Box<str>];

/// IDs of one kind of name.
#[derive(Debug)]
struct Names<T> {
    numbers: HashMap<T, u32>,
    next: u32,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self {
            numbers: HashMap::new(),
            next: 0,
        }
    }
}

impl<T: Hash + Eq> Names<T> {
    fn number(&mut self, name: T) -> u32 {
        *self.numbers.entry(name).or_insert_with(|| {
            self.next += 1;
            self.next - 1
        })
    }
}

impl Registry {
    /// Assigns IDs to the domains, rules and limits of a policy.
    pub(super) fn register(&mut self, policy: &Policy) {
        for domain in policy.domains() {
            // ID 0 is for requests with an unknown domain.
            let number = 1 + self.domains.number(Arc::clone(&domain.name));
            domain.metric_ids.set(&[number]);
            for (rule, name) in named_rules(domain) {
                self.register_rule(number, rule, name);
            }
        }
    }

    /// The first ID is the rule's, followed by those of its limits if it has several.
    fn register_rule(&mut self, domain: u32, rule: &Rule, name: Arc<str>) {
        let number = self.rules.number((domain, name));
        let mut numbers = vec![number];
        if let Some(limits) = several_limits(rule) {
            let names = limit_names(limits);
            let limits = names.into_iter().map(|name| (number, name.into()));
            numbers.extend(limits.map(|name| self.limits.number(name)));
        }
        rule.metric_ids.set(&numbers);
    }

    /// The ID of a rule's series for these values, and whether it is for these values alone.
    pub(super) fn detail(&mut self, rule: u32, values: &Detail) -> (u32, bool) {
        let details = self.details.entry(rule).or_default();
        if let Some(number) = details.numbers.get(values) {
            return (*number, true);
        }
        let rules = &mut self.rules;
        let mut next = || {
            rules.next += 1;
            rules.next - 1
        };
        if details.numbers.len() >= MAX_DETAILS {
            self.capped += 1;
            return (*details.other.get_or_insert_with(next), false);
        }
        let number = next();
        details.numbers.insert(values.into(), number);
        (number, true)
    }

    /// The series of a rule by values, and the one for all other values.
    pub(super) fn details(&self, rule: u32) -> (Vec<(Arc<Detail>, u32)>, Option<u32>) {
        let Some(details) = self.details.get(&rule) else {
            return (Vec::new(), None);
        };
        let mut series: Vec<_> = details
            .numbers
            .iter()
            .map(|(values, number)| (Arc::clone(values), *number))
            .collect();
        series.sort_unstable();
        (series, details.other)
    }
}

/// The rules of a domain with unique names: two names can differ only in what is hidden of them.
pub(super) fn named_rules(domain: &Domain) -> impl Iterator<Item = (&Arc<Rule>, Arc<str>)> {
    let mut used: HashSet<Arc<str>> = HashSet::new();
    domain.rules().iter().map(move |rule| {
        let name: Arc<str> = unique(&used, rule.name.to_string()).into();
        used.insert(Arc::clone(&name));
        (rule, name)
    })
}

/// The name of each limit of a rule; without one, its window or `concurrency`.
pub(super) fn limit_names(limits: &[Limit]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for limit in limits {
        let name = match (&limit.name, limit.window()) {
            (Some(name), _) => name.to_string(),
            (None, Some(window)) => window.to_string(),
            (None, None) => limit.algorithm().as_str().to_owned(),
        };
        let used: HashSet<String> = names.iter().cloned().collect();
        names.push(unique(&used, name));
    }
    names
}

/// The name, with a number appended if it is in use.
fn unique<T: Borrow<str> + Hash + Eq>(used: &HashSet<T>, name: String) -> String {
    if !used.contains(&*name) {
        return name;
    }
    let numbered = (2..).map(|number| format!("{name} #{number}"));
    let mut free = numbered.filter(|name| !used.contains(&**name));
    free.next().unwrap_or(name)
}

/// The limits of a rule that has more than one.
pub(super) fn several_limits(rule: &Rule) -> Option<&[Limit]> {
    match &rule.limits {
        Limits::Counted(set) if set.limits.len() > 1 => Some(&set.limits),
        Limits::Counted(_) | Limits::Unlimited { .. } => None,
    }
}
