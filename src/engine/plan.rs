//! What a request will count, and against which limits.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::limit::{Active, Algorithm, Charge, Limit, LimitSet, Window};
use crate::policy::{
    Domain, Found, Identity, Limits, Metadata, OnStoreError, Part, Policy, Response, Rule,
};
use crate::request::{Cost, Descriptor, Entry, LeaseId, Override, Request};
use crate::store::{Batch, Hit, Key, KeyBuilder, KeyHasher, Weight};

/// A request, looked up.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) request: &'a Request,
    /// None if nobody knows the request's domain.
    pub(super) domain: Option<&'a Domain>,
    /// One per descriptor, in order.
    pub(super) targets: SmallVec<[Target<'a>; 2]>,
}

/// What one descriptor meets.
#[derive(Debug)]
pub(super) struct Target<'a> {
    /// Where the walk of the tree ended.
    pub(super) found: Option<Found<'a>>,
    pub(super) meets: Meets<'a>,
}

#[derive(Debug)]
pub(super) enum Meets<'a> {
    /// No rule.
    Nothing,
    /// A rule that another rule of the request displaced.
    Replaced,
    /// A rule that is never over.
    Unlimited,
    /// Limits.
    Limits(Counted<'a>),
}

/// What is counted for one descriptor.
#[derive(Debug)]
pub(super) struct Counted<'a> {
    set: Set<'a>,
    key: Key,
    active: Active,
    cost: Cost,
    /// The lease that a refund names.
    named: Option<LeaseId>,
}

#[derive(Debug)]
enum Set<'a> {
    Rule(&'a Rule, &'a LimitSet),
    Override(Box<LimitSet>),
}

/// Kinds of parts in a key's identity. A stored key depends on them: never change one's meaning.
mod kind {
    pub(super) const DOMAIN: u8 = 0;
    pub(super) const KEY: u8 = 1;
    pub(super) const VALUE: u8 = 2;
    pub(super) const PATTERN: u8 = 3;
    pub(super) const CAPTURE: u8 = 4;
    pub(super) const SHARED: u8 = 5;
    pub(super) const OVERRIDE_WINDOW: u8 = 6;
}

impl<'a> Plan<'a> {
    pub(super) fn new(policy: &'a Policy, request: &'a Request, hasher: &KeyHasher) -> Self {
        let domain = policy.domain(&request.domain);
        let mut plan = Self {
            request,
            domain,
            targets: SmallVec::new(),
        };
        let mut identity = KeyBuilder::default();
        for descriptor in &request.descriptors {
            let target = match domain {
                Some(domain) => Target::new(domain, descriptor, (&mut identity, hasher)),
                None => Target {
                    found: None,
                    meets: Meets::Nothing,
                },
            };
            plan.targets.push(target);
        }
        plan.replace();
        plan
    }

    /// The calls at the store, one per target that counts, in order; `new_lease` makes what slots are taken by.
    pub(super) fn batch(&self, new_lease: impl FnOnce() -> LeaseId) -> Batch<'_> {
        let weights = Weights::of(self);
        let counted = self.targets.iter().filter_map(|target| {
            let counted = target.counted()?;
            Some(Hit {
                key: counted.key,
                set: counted.limits(),
                active: counted.active,
                cost: counted.cost,
                lease: counted.named,
                weight: weights.of_target(target),
            })
        });
        let mut batch = Batch {
            hits: counted.collect(),
            atomic: self.domain.is_some_and(|domain| domain.atomic),
        };
        if batch.hits.iter().any(Hit::takes_slots) {
            let lease = Some(new_lease());
            for hit in batch.hits.iter_mut().filter(|hit| hit.takes_slots()) {
                hit.lease = lease;
            }
        }
        batch
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
        for target in &mut self.targets {
            let Some(rule) = target.rule() else { continue };
            let is_replaced = |name: &Option<Arc<str>>| {
                name.as_ref().is_some_and(|name| {
                    let others = replacing
                        .iter()
                        .filter(|other| !std::ptr::eq(**other, rule));
                    others
                        .flat_map(|other| &other.replaces)
                        .any(|replaced| replaced == name)
                })
            };
            // What was taken is given back, whatever counts now.
            if target
                .counted()
                .is_none_or(|counted| counted.named.is_none())
            {
                target.displace(rule, is_replaced);
            }
        }
    }
}

impl<'a> Target<'a> {
    fn new(
        domain: &'a Domain,
        descriptor: &'a Descriptor,
        (identity, hasher): (&mut KeyBuilder, &KeyHasher),
    ) -> Self {
        identity.clear();
        identity.add(kind::DOMAIN, domain.name.as_bytes());
        let (entries, named) = given_back(domain, descriptor);
        let found = domain.walk(entries, &mut Parts(identity));
        let counted = |set, key| {
            Meets::Limits(Counted {
                set,
                key,
                active: Active::ALL,
                cost: descriptor.cost,
                named,
            })
        };
        let rule = found.and_then(|found| found.rule);
        let meets = match (descriptor.limit, rule.map(|rule| (rule, &rule.limits))) {
            (Some(limit), _) => {
                let set = override_set(limit);
                if !found.is_some_and(|found| is_just(&found, &set)) {
                    identify_override(identity, domain, entries, &set);
                }
                counted(Set::Override(Box::new(set)), identity.key(hasher))
            }
            (None, Some((rule, Limits::Counted(set)))) => {
                counted(Set::Rule(rule, set), identity.key(hasher))
            }
            (None, Some((_, Limits::Unlimited { .. }))) => Meets::Unlimited,
            (None, None) => Meets::Nothing,
        };
        Self { found, meets }
    }

    /// In a domain that is in quota mode everything is a quota, matched or not, but what is unlimited.
    pub(super) fn is_quota(&self, domain: Option<&Domain>) -> bool {
        if matches!(self.meets, Meets::Unlimited) {
            return false;
        }
        let rule = self.counted().and_then(Counted::rule);
        domain.is_some_and(|domain| domain.quota_mode) || rule.is_some_and(|rule| rule.quota_mode)
    }

    pub(super) fn counted(&self) -> Option<&Counted<'a>> {
        match &self.meets {
            Meets::Limits(counted) => Some(counted),
            Meets::Nothing | Meets::Replaced | Meets::Unlimited => None,
        }
    }

    /// What the matched node says of itself, unless its rule was displaced.
    pub(super) fn metadata(&self) -> Option<&'a Arc<Metadata>> {
        match self.meets {
            Meets::Replaced | Meets::Nothing => None,
            Meets::Unlimited | Meets::Limits(_) => self.found?.metadata,
        }
    }

    /// How the answer is worded when this target is reported.
    pub(super) fn response(&self, domain: &'a Domain) -> Option<&'a Response> {
        let response = match self.found {
            Some(found) => found.response,
            None => domain.response(),
        };
        response.map(Arc::as_ref)
    }

    /// The rule of the policy that is in play; none for an override.
    fn rule(&self) -> Option<&'a Rule> {
        match &self.meets {
            Meets::Nothing | Meets::Replaced => None,
            Meets::Unlimited => self.found?.rule.map(Arc::as_ref),
            Meets::Limits(counted) => counted.rule(),
        }
    }

    fn displace(&mut self, rule: &Rule, is_replaced: impl Fn(&Option<Arc<str>>) -> bool) {
        let mut left = match &rule.limits {
            Limits::Unlimited { name } => usize::from(!is_replaced(name)),
            Limits::Counted(set) => set.limits.len(),
        };
        if let Meets::Limits(counted) = &mut self.meets {
            let limits = counted.set.limits().limits.iter().enumerate();
            for (index, _) in limits.filter(|(_, limit)| is_replaced(&limit.name)) {
                counted.active = counted.active.without(index);
                left -= 1;
            }
        }
        if left == 0 {
            self.meets = Meets::Replaced;
        }
    }
}

impl<'a> Counted<'a> {
    pub(super) fn limits(&self) -> &LimitSet {
        self.set.limits()
    }

    /// The limits that can refuse: not displaced, and not in shadow mode.
    pub(super) fn enforced(&self) -> impl Iterator<Item = &Limit> {
        let shadow = self.rule().is_some_and(|rule| rule.shadow_mode);
        let limits = self.limits().limits.iter().enumerate();
        limits
            .filter(move |(index, limit)| {
                !shadow && !limit.shadow_mode && self.active.contains(*index)
            })
            .map(|(_, limit)| limit)
    }

    /// What to answer when the hits cannot be counted.
    pub(super) fn on_store_error(&self) -> OnStoreError {
        self.rule()
            .map_or(OnStoreError::Local, |rule| rule.on_store_error)
    }

    pub(super) fn rule(&self) -> Option<&'a Rule> {
        match self.set {
            Set::Rule(rule, _) => Some(rule),
            Set::Override(_) => None,
        }
    }
}

impl Set<'_> {
    fn limits(&self) -> &LimitSet {
        match self {
            Self::Rule(_, set) => set,
            Self::Override(set) => set,
        }
    }
}

/// What a refused hit of each target means for the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights<'p> {
    domain: Option<&'p Domain>,
    /// A quota that is never over keeps all the others from refusing.
    quotas: Weight,
}

impl<'p> Weights<'p> {
    pub(super) fn of(plan: &Plan<'p>) -> Self {
        let mut quotas = plan
            .targets
            .iter()
            .filter(|target| target.is_quota(plan.domain));
        let never_over = |target: &Target<'_>| match target.counted() {
            Some(counted) => counted.rule().is_some_and(|rule| rule.shadow_mode),
            None => true,
        };
        Self {
            domain: plan.domain,
            quotas: match quotas.any(never_over) {
                true => Weight::None,
                false => Weight::Quota,
            },
        }
    }

    pub(super) fn of_target(&self, target: &Target<'_>) -> Weight {
        let rule = target.counted().and_then(Counted::rule);
        if self.domain.is_some_and(|domain| domain.shadow_mode)
            || rule.is_some_and(|rule| rule.shadow_mode)
        {
            Weight::None
        } else if target.is_quota(self.domain) {
            self.quotas
        } else {
            Weight::Decides
        }
    }
}

/// The entries that are walked, and the lease that is named behind them to be given back.
fn given_back<'a>(domain: &Domain, descriptor: &'a Descriptor) -> (&'a [Entry], Option<LeaseId>) {
    match (descriptor.cost, descriptor.entries.split_last()) {
        (Cost::Refund(_), Some((last, entries))) if domain.lease_entry() == Some(&last.key) => {
            (entries, Some(LeaseId::read(&last.value)))
        }
        _ => (&descriptor.entries, None),
    }
}

/// An override is one fixed window that is always charged, as in the reference.
fn override_set(limit: Override) -> LimitSet {
    let window = Window::new(limit.unit, limit.unit_multiplier).unwrap_or(Window::LONGEST);
    let limit = Limit {
        algorithm: Algorithm::FixedWindow,
        requests_per_unit: limit.requests_per_unit,
        window,
        name: None,
        shadow_mode: false,
    };
    LimitSet {
        limits: Box::new([limit]),
        charge: Charge::Always,
    }
}

/// Whether the rule that was found counts exactly as the override does, so that they share a counter.
fn is_just(found: &Found<'_>, set: &LimitSet) -> bool {
    let Some(Limits::Counted(own)) = found.rule.map(|rule| &rule.limits) else {
        return false;
    };
    let alike =
        |a: &Limit, b: &Limit| a.algorithm == b.algorithm && a.window.secs() == b.window.secs();
    found.per_value
        && own.charge == set.charge
        && own.limits.len() == set.limits.len()
        && own
            .limits
            .iter()
            .zip(&set.limits)
            .all(|(own, other)| alike(own, other))
}

fn identify_override(
    identity: &mut KeyBuilder,
    domain: &Domain,
    entries: &[Entry],
    set: &LimitSet,
) {
    identity.clear();
    identity.add(kind::DOMAIN, domain.name.as_bytes());
    for entry in entries {
        identity.add(kind::KEY, &entry.key);
        identity.add(kind::VALUE, &entry.value);
    }
    for limit in &set.limits {
        identity.add(kind::OVERRIDE_WINDOW, &limit.window.secs().to_le_bytes());
    }
}

/// Gathers the parts of a walk.
struct Parts<'k>(&'k mut KeyBuilder);

impl Identity for Parts<'_> {
    fn add(&mut self, part: Part<'_>) {
        let (kind, bytes) = match part {
            Part::Key(key) => (kind::KEY, key),
            Part::Value(value) => (kind::VALUE, value),
            Part::Pattern(pattern) => (kind::PATTERN, pattern),
            Part::Capture(capture) => (kind::CAPTURE, capture),
            Part::Shared(wildcard) => (kind::SHARED, wildcard),
        };
        self.0.add(kind, bytes);
    }
}
