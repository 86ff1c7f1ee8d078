//! What a request will count, and against which limits.

use std::sync::Arc;

use smallvec::SmallVec;

use super::enforcement::RequestEnforcement;
use super::identity::{self, Parts};
use super::overrides::{self, Overrides};
use crate::limit::{Active, Limit, LimitSet};
use crate::policy::{
    Domain, Limits, MatchedNode, Metadata, OnStoreError, Policy, ResponseTemplate, Rule,
};
use crate::request::{Cost, Descriptor, Entry, LeaseId, Request};
use crate::store::{Batch, Enforcement, Hit, KeyBuilder, KeyHasher};

/// A request, looked up.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) request: &'a Request,
    /// None if nobody knows the request's domain.
    pub(super) domain: Option<&'a Domain>,
    /// One per descriptor, in order.
    pub(super) targets: SmallVec<[Target<'a>; 2]>,
    /// The calls at the store, one per target that counts, in order.
    pub(super) batch: Batch<'a>,
    /// What a refusal of each target means.
    pub(super) weights: RequestEnforcement<'a>,
}

/// What one descriptor meets.
#[derive(Debug)]
pub(super) struct Target<'a> {
    /// Where the walk of the tree ended.
    pub(super) found: Option<MatchedNode<'a>>,
    pub(super) meets: Match<'a>,
}

#[derive(Debug)]
pub(super) enum Match<'a> {
    /// No rule.
    Nothing,
    /// A rule that another rule of the request displaced.
    Replaced,
    /// A rule that is never over.
    Unlimited,
    /// Limits.
    Limits(MatchedLimits<'a>),
}

/// What one descriptor is counted against.
#[derive(Debug)]
pub(super) struct MatchedLimits<'a> {
    /// None of an override.
    rule: Option<&'a Rule>,
    set: &'a LimitSet,
    active: Active,
}

impl<'a> Plan<'a> {
    /// The plan for a request of which nothing but the domain is looked up.
    pub(super) fn new(policy: &'a Policy, request: &'a Request) -> Self {
        let domain = policy.domain(&request.domain);
        Self {
            request,
            domain,
            targets: SmallVec::new(),
            batch: Batch {
                hits: SmallVec::new(),
                atomic: domain.is_some_and(|domain| domain.atomic),
            },
            weights: RequestEnforcement::default(),
        }
    }

    /// Looks up what its descriptors meet; `overrides` are its own limits, and `new_lease` makes what slots are taken by.
    pub(super) fn look_up(
        &mut self,
        overrides: &'a Overrides,
        hasher: &KeyHasher,
        new_lease: impl FnOnce() -> LeaseId,
    ) {
        let descriptors = &self.request.descriptors;
        match self.domain {
            Some(domain) => {
                let begun = identity::of_domain(domain, hasher);
                for (at, descriptor) in descriptors.iter().enumerate() {
                    self.look_one_up(domain, (descriptor, overrides.get(at)), &begun);
                }
            }
            None => {
                let nothing = || Target {
                    found: None,
                    meets: Match::Nothing,
                };
                self.targets.resize_with(descriptors.len(), nothing);
            }
        }
        self.replace();
        self.weigh();
        self.take_slots_by(new_lease);
    }

    fn look_one_up(
        &mut self,
        domain: &'a Domain,
        (descriptor, own): (&'a Descriptor, Option<&'a LimitSet>),
        begun: &KeyBuilder,
    ) {
        let (entries, named) = given_back(domain, descriptor);
        let mut identity = *begun;
        let found = domain.walk(entries, &mut Parts(&mut identity));
        let rule = found.and_then(|found| found.rule);
        let (rule, set) = match (own, rule.map(|rule| (rule, &rule.limits))) {
            (Some(set), _) => {
                if !found.is_some_and(|found| overrides::counts_like(&found, set)) {
                    identity = *begun;
                    identity::add_override(&mut identity, entries, set);
                }
                (None, set)
            }
            (None, Some((rule, Limits::Counted(set)))) => (Some(&**rule), set),
            (None, Some((_, Limits::Unlimited { .. }))) => {
                let meets = Match::Unlimited;
                return self.targets.push(Target { found, meets });
            }
            (None, None) => {
                let meets = Match::Nothing;
                return self.targets.push(Target { found, meets });
            }
        };
        let active = Active::ALL;
        let meets = Match::Limits(MatchedLimits { rule, set, active });
        self.targets.push(Target { found, meets });
        self.batch.hits.push(Hit {
            key: identity.key(),
            set,
            active,
            cost: descriptor.cost,
            lease: named,
            enforcement: Enforcement::Enforced,
        });
    }

    /// Takes out the limits whose names another rule of the request replaces, be that rule itself
    /// replaced or not: the order of descriptors does not matter.
    fn replace(&mut self) {
        let replacing: SmallVec<[&'a Rule; 4]> = self
            .targets
            .iter()
            .filter_map(|target| target.rule())
            .filter(|rule| !rule.replaces.is_empty())
            .collect();
        if replacing.is_empty() {
            return;
        }
        let hits = &mut self.batch.hits;
        let mut at = 0;
        for target in &mut self.targets {
            let was_counted = target.counted().is_some();
            // What was taken is given back, whatever counts now.
            let gives_back = was_counted && hits[at].lease.is_some();
            if let Some(rule) = target.rule().filter(|_| !gives_back) {
                target.displace(rule, |name| is_replaced(rule, name, &replacing));
            }
            match target.counted() {
                Some(counted) => {
                    hits[at].active = counted.active;
                    at += 1;
                }
                None if was_counted => {
                    hits.remove(at);
                }
                None => {}
            }
        }
    }

    fn weigh(&mut self) {
        self.weights = RequestEnforcement::of(self.domain, &self.targets);
        let counted = self.targets.iter();
        let counted = counted.filter(|target| target.counted().is_some());
        for (hit, target) in self.batch.hits.iter_mut().zip(counted) {
            hit.enforcement = self.weights.of_target(target);
        }
    }

    fn take_slots_by(&mut self, new_lease: impl FnOnce() -> LeaseId) {
        let mut taking = self
            .batch
            .hits
            .iter_mut()
            .filter(|hit| hit.acquires_slots());
        let Some(first) = taking.next() else { return };
        let lease = Some(new_lease());
        first.lease = lease;
        for hit in taking {
            hit.lease = lease;
        }
    }
}

/// Whether a rule other than `rule` replaces limits of that name.
fn is_replaced(rule: &Rule, name: Option<&Arc<str>>, replacing: &[&Rule]) -> bool {
    name.is_some_and(|name| {
        let others = replacing
            .iter()
            .filter(|other| !std::ptr::eq(**other, rule));
        others
            .flat_map(|other| &other.replaces)
            .any(|replaced| replaced == name)
    })
}

impl<'a> Target<'a> {
    /// In a domain that is in quota mode everything is a quota, matched or not, but what is unlimited.
    pub(super) fn is_quota(&self, domain: Option<&Domain>) -> bool {
        if matches!(self.meets, Match::Unlimited) {
            return false;
        }
        let rule = self.counted().and_then(MatchedLimits::rule);
        domain.is_some_and(|domain| domain.quota_mode) || rule.is_some_and(|rule| rule.quota_mode)
    }

    pub(super) fn counted(&self) -> Option<&MatchedLimits<'a>> {
        match &self.meets {
            Match::Limits(counted) => Some(counted),
            Match::Nothing | Match::Replaced | Match::Unlimited => None,
        }
    }

    /// What the matched node says of itself, unless its rule was displaced.
    pub(super) fn metadata(&self) -> Option<&'a Arc<Metadata>> {
        match self.meets {
            Match::Replaced | Match::Nothing => None,
            Match::Unlimited | Match::Limits(_) => self.found?.metadata,
        }
    }

    /// How the answer is worded when this target is reported.
    pub(super) fn response(&self, domain: &'a Domain) -> Option<&'a ResponseTemplate> {
        let response = match self.found {
            Some(found) => found.response,
            None => domain.response(),
        };
        response.map(Arc::as_ref)
    }

    /// The rule of the policy that is in play; none for an override.
    fn rule(&self) -> Option<&'a Rule> {
        match &self.meets {
            Match::Nothing | Match::Replaced => None,
            Match::Unlimited => self.found?.rule.map(Arc::as_ref),
            Match::Limits(counted) => counted.rule(),
        }
    }

    fn displace(&mut self, rule: &Rule, is_replaced: impl Fn(Option<&Arc<str>>) -> bool) {
        let mut left = match &rule.limits {
            Limits::Unlimited { name } => usize::from(!is_replaced(name.as_ref())),
            Limits::Counted(set) => set.limits.len(),
        };
        if let Match::Limits(counted) = &mut self.meets {
            let limits = counted.set.limits.iter().enumerate();
            for (index, _) in limits.filter(|(_, limit)| is_replaced(limit.name.as_ref())) {
                counted.active = counted.active.without(index);
                left -= 1;
            }
        }
        if left == 0 {
            self.meets = Match::Replaced;
        }
    }
}

impl<'a> MatchedLimits<'a> {
    pub(super) fn limits(&self) -> &'a LimitSet {
        self.set
    }

    /// The limits that can refuse: not displaced, and not in shadow mode.
    pub(super) fn enforced(&self) -> impl Iterator<Item = &'a Limit> {
        let shadow = self.rule().is_some_and(|rule| rule.shadow_mode);
        let active = self.active;
        let limits = self.set.limits.iter().enumerate();
        limits
            .filter(move |(index, limit)| !shadow && !limit.shadow_mode && active.contains(*index))
            .map(|(_, limit)| limit)
    }

    /// What to answer when the hits cannot be counted.
    pub(super) fn on_store_error(&self) -> OnStoreError {
        self.rule()
            .map_or(OnStoreError::Local, |rule| rule.on_store_error)
    }

    pub(super) fn rule(&self) -> Option<&'a Rule> {
        self.rule
    }
}

/// The entries that are walked, and the lease that is named behind them to be given back.
fn given_back<'a>(domain: &Domain, descriptor: &'a Descriptor) -> (&'a [Entry], Option<LeaseId>) {
    match (descriptor.cost, descriptor.entries.split_last()) {
        (Cost::Refund(_), Some((last, entries))) if domain.lease_entry() == Some(&last.key) => {
            (entries, Some(LeaseId::parse(&last.value)))
        }
        _ => (&descriptor.entries, None),
    }
}
