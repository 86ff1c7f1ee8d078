//! Which number a rule, a limit or a domain has: the same after every reload, as long as it has the same name.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use crate::limit::Limit;
use crate::policy::{Domain, Limits, Policy, Rule};

/// The most series that the values which requests bring make of one rule.
pub(super) const MOST_DETAILS: usize = 1_000;

/// Names and their numbers.
#[derive(Debug, Default)]
pub(super) struct Registry {
    domains: Names<Arc<str>>,
    rules: Names<(u32, Arc<str>)>,
    limits: Names<(u32, Arc<str>)>,
    /// By the rule's number.
    details: HashMap<u32, Details>,
    /// Calls that were counted under `other`.
    pub(super) capped: u64,
}

/// The series of one rule, by what was sent.
#[derive(Debug, Default)]
struct Details {
    numbers: HashMap<Arc<Detail>, u32>,
    other: Option<u32>,
}

/// What was sent, as a metric shows it: one text per level.
pub(super) type Detail = [Box<str>];

/// Names of one kind.
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
    /// Gives numbers to all that a policy holds.
    pub(super) fn adopt(&mut self, policy: &Policy) {
        for domain in policy.domains() {
            // Number 0 is for calls that ask no domain that anybody knows.
            let number = 1 + self.domains.number(Arc::clone(&domain.name));
            domain.metric_ids.set(&[number]);
            for (rule, name) in named_rules(domain) {
                self.adopt_rule(number, rule, name);
            }
        }
    }

    /// The first number is the rule's, those after it are those of its limits if it has a list of them.
    fn adopt_rule(&mut self, domain: u32, rule: &Rule, name: Arc<str>) {
        let number = self.rules.number((domain, name));
        let mut numbers = vec![number];
        if let Some(limits) = list(rule) {
            let names = limit_names(limits);
            let limits = names.into_iter().map(|name| (number, name.into()));
            numbers.extend(limits.map(|name| self.limits.number(name)));
        }
        rule.metric_ids.set(&numbers);
    }

    /// The number of a rule's series for these values, and whether it is theirs alone.
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
        if details.numbers.len() >= MOST_DETAILS {
            self.capped += 1;
            return (*details.other.get_or_insert_with(next), false);
        }
        let number = next();
        details.numbers.insert(values.into(), number);
        (number, true)
    }

    /// The series of a rule by what was sent, and the one for all others.
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

/// The rules of a domain with their names, no two alike: what is hidden of a name may be what tells it from another.
pub(super) fn named_rules(domain: &Domain) -> impl Iterator<Item = (&Arc<Rule>, Arc<str>)> {
    let mut taken: HashSet<Arc<str>> = HashSet::new();
    domain.rules().iter().map(move |rule| {
        let name: Arc<str> = unlike(&taken, rule.name.to_string()).into();
        taken.insert(Arc::clone(&name));
        (rule, name)
    })
}

/// What each limit of a list is called: by its name, else by its window.
pub(super) fn limit_names(limits: &[Limit]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for limit in limits {
        let name = match &limit.name {
            Some(name) => name.to_string(),
            None => match limit.window() {
                Some(window) => window.to_string(),
                None => limit.algorithm().as_str().to_owned(),
            },
        };
        let taken: HashSet<String> = names.iter().cloned().collect();
        names.push(unlike(&taken, name));
    }
    names
}

fn unlike<T: Borrow<str> + Hash + Eq>(taken: &HashSet<T>, name: String) -> String {
    if !taken.contains(&*name) {
        return name;
    }
    let numbered = (2..).map(|number| format!("{name} #{number}"));
    let mut free = numbered.filter(|name| !taken.contains(&**name));
    free.next().unwrap_or(name)
}

/// The limits of a rule that has more than one.
pub(super) fn list(rule: &Rule) -> Option<&[Limit]> {
    match &rule.limits {
        Limits::Counted(set) if set.limits.len() > 1 => Some(&set.limits),
        Limits::Counted(_) | Limits::Unlimited { .. } => None,
    }
}
