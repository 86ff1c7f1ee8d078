//! The metric IDs of rules, limits and domains.
//!
//! An ID belongs to a name and survives reloads, so the counters of a rule continue as long as the
//! rule keeps its name. A name that some policies in a row do not have is forgotten, and its ID is
//! given to another one.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::mem;
use std::sync::Arc;

use crate::limit::Limit;
use crate::policy::{Domain, Limits, Policy, Rule};

/// Maximum number of series by value of one rule.
pub(super) const MAX_DETAILS: usize = 1_000;

/// Policies in a row without a name after which it is forgotten.
const KEPT_POLICIES: u64 = 8;

/// The largest number of series by value of all rules together, if nothing else is configured.
pub const DEFAULT_MAX_SERIES: usize = 10_000;

/// IDs by name.
#[derive(Debug)]
pub(super) struct Registry {
    domains: Names<Arc<str>>,
    rules: Names<(u32, Arc<str>)>,
    limits: Names<(u32, Arc<str>)>,
    /// By the ID of the rule.
    details: HashMap<u32, Details>,
    /// Number of series by value, without those for all other values.
    series: usize,
    /// The largest number of them.
    pub(super) max_series: usize,
    /// Number of policies that were registered.
    policies: u64,
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
    numbers: HashMap<T, NamedId>,
    free: FreeIds,
}

/// The ID of a name, and the last policy that had the name.
#[derive(Clone, Copy, Debug)]
struct NamedId {
    number: u32,
    policy: u64,
}

/// IDs that are not in use.
#[derive(Debug, Default)]
struct FreeIds {
    /// Were in use.
    returned: Vec<u32>,
    /// Was never in use, as all above it.
    next: u32,
}

/// The IDs of forgotten names; they may be given to other names.
#[derive(Debug, Default)]
pub(in crate::telemetry) struct ForgottenIds {
    pub(in crate::telemetry) domains: HashSet<u32>,
    /// Of rules, and of their series by value.
    pub(in crate::telemetry) rules: HashSet<u32>,
    pub(super) limits: HashSet<u32>,
}

impl ForgottenIds {
    pub(super) fn extend(&mut self, other: Self) {
        self.domains.extend(other.domains);
        self.rules.extend(other.rules);
        self.limits.extend(other.limits);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.domains.is_empty() && self.rules.is_empty() && self.limits.is_empty()
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            domains: Names::default(),
            rules: Names::default(),
            limits: Names::default(),
            details: HashMap::new(),
            series: 0,
            max_series: DEFAULT_MAX_SERIES,
            policies: 0,
            capped: 0,
        }
    }
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self {
            numbers: HashMap::new(),
            free: FreeIds::default(),
        }
    }
}

impl FreeIds {
    fn take(&mut self) -> u32 {
        self.returned.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }
}

impl<T: Hash + Eq> Names<T> {
    /// The ID of a name that the policy with this number has.
    fn number(&mut self, name: T, policy: u64) -> u32 {
        let named = self.numbers.entry(name).or_insert_with(|| NamedId {
            number: self.free.take(),
            policy,
        });
        named.policy = policy;
        named.number
    }

    /// Forgets the names that no policy since that one has had, and returns their IDs.
    fn forget(&mut self, since: u64) -> Vec<u32> {
        let is_gone = |named: &NamedId| named.policy < since;
        let gone = self.numbers.extract_if(|_, named| is_gone(named));
        let numbers: Vec<u32> = gone.map(|(_, named)| named.number).collect();
        self.free.returned.extend(&numbers);
        numbers
    }
}

impl Registry {
    /// Assigns IDs to the domains, rules and limits of a policy, and returns those of the names that it
    /// has forgotten.
    pub(super) fn register(&mut self, policy: &Policy) -> ForgottenIds {
        self.policies += 1;
        for domain in policy.domains() {
            // ID 0 is for requests with an unknown domain.
            let number = 1 + self.domains.number(Arc::clone(&domain.name), self.policies);
            domain.metric_ids.set(&[number]);
            for (rule, name) in named_rules(domain) {
                self.register_rule(number, rule, name);
            }
        }
        self.forget()
    }

    fn forget(&mut self) -> ForgottenIds {
        let since = self.policies.saturating_sub(KEPT_POLICIES);
        let domains = self.domains.forget(since).into_iter();
        let mut forgotten = ForgottenIds {
            domains: domains.map(|number| 1 + number).collect(),
            rules: self.rules.forget(since).into_iter().collect(),
            limits: self.limits.forget(since).into_iter().collect(),
        };
        let gone = |rule: &u32| forgotten.rules.contains(rule);
        let details: Vec<_> = self.details.extract_if(|rule, _| gone(rule)).collect();
        for (_, mut details) in details {
            self.series -= details.numbers.len();
            let numbers = mem::take(&mut details.numbers).into_values();
            let numbers: Vec<u32> = numbers.chain(details.other).collect();
            self.rules.free.returned.extend(&numbers);
            forgotten.rules.extend(numbers);
        }
        forgotten
    }

    /// The first ID is the rule's, followed by those of its limits if it has several.
    fn register_rule(&mut self, domain: u32, rule: &Rule, name: Arc<str>) {
        let policy = self.policies;
        let number = self.rules.number((domain, name), policy);
        let mut numbers = vec![number];
        if let Some(limits) = several_limits(rule) {
            let names = limit_names(limits);
            let limits = names.into_iter().map(|name| (number, name.into()));
            numbers.extend(limits.map(|name| self.limits.number(name, policy)));
        }
        rule.metric_ids.set(&numbers);
    }

    /// The ID of a rule's series for these values, and whether it is for these values alone.
    pub(super) fn detail(&mut self, rule: u32, values: &Detail) -> (u32, bool) {
        let details = self.details.entry(rule).or_default();
        if let Some(number) = details.numbers.get(values) {
            return (*number, true);
        }
        let free = &mut self.rules.free;
        if details.numbers.len() >= MAX_DETAILS || self.series >= self.max_series {
            self.capped += 1;
            return (*details.other.get_or_insert_with(|| free.take()), false);
        }
        self.series += 1;
        let number = free.take();
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
        Limits::Counted(_) | Limits::Unlimited { .. } | Limits::Exempt => None,
    }
}
