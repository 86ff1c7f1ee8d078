//! A request and what its descriptors match: which counters it hits, and against which limits.

use std::sync::Arc;

use smallvec::SmallVec;

use super::enforcement::RequestEnforcement;
use super::identity::{self, Parts};
use super::overrides::{self, Overrides};
use super::target::{Match, MatchedLimits, Target};
use crate::clock::Timestamp;
use crate::limit::{Active, LimitSet};
use crate::policy::{Assignment, Domain, Limits, Policy, Rule, Terms};
use crate::request::{Cost, Descriptor, Entry, LeaseId, Request};
use crate::store::{Batch, Enforcement, Hit, KeyBuilder, KeyHasher};

/// A request with what its descriptors match.
#[derive(Debug)]
pub(super) struct MatchedRequest<'a> {
    policy: &'a Policy,
    pub(super) request: &'a Request,
    /// `None` if no policy defines the request's domain.
    pub(super) domain: Option<&'a Domain>,
    /// One per descriptor, in order.
    pub(super) targets: SmallVec<[Target<'a>; 2]>,
    /// The hits for the store, one per target that has limits, in order.
    pub(super) batch: Batch<'a>,
    /// Whether a refused target refuses the request.
    pub(super) enforcement: RequestEnforcement<'a>,
    /// Whether a rule exempts the request from all limits.
    pub(super) is_exempt: bool,
}

impl<'a> MatchedRequest<'a> {
    /// Finds the domain; [`MatchedRequest::match_descriptors`] fills in the rest.
    ///
    /// Two steps, so that it is filled in where it is: moving it costs time.
    pub(super) fn new(policy: &'a Policy, request: &'a Request) -> Self {
        let domain = policy.domain(&request.domain);
        Self {
            policy,
            request,
            domain,
            targets: SmallVec::new(),
            batch: Batch {
                hits: SmallVec::new(),
                atomic: domain.is_some_and(|domain| domain.atomic),
            },
            enforcement: RequestEnforcement::default(),
            is_exempt: false,
        }
    }

    /// Matches the descriptors, by the assignments in force at `now`. `overrides` are the limits that came with the
    /// request; `new_lease` makes the lease, if the request acquires slots.
    pub(super) fn match_descriptors(
        &mut self,
        overrides: &'a Overrides,
        hasher: &KeyHasher,
        now: Timestamp,
        new_lease: impl FnOnce() -> LeaseId,
    ) {
        let descriptors = &self.request.descriptors;
        match self.domain {
            Some(domain) => {
                let begun = identity::of_domain(domain, hasher);
                for (index, descriptor) in descriptors.iter().enumerate() {
                    self.match_one(domain, descriptor, overrides.get(index), &begun, now);
                }
            }
            None => self
                .targets
                .resize_with(descriptors.len(), || Target::UNMATCHED),
        }
        match self.is_exempt {
            true => self.exempt(),
            false => self.replace(),
        }
        self.enforce();
        self.assign_lease(new_lease);
    }

    fn match_one(
        &mut self,
        domain: &'a Domain,
        descriptor: &'a Descriptor,
        own: Option<&'a LimitSet>,
        begun: &KeyBuilder,
        now: Timestamp,
    ) {
        let (entries, released) = released_lease(domain, descriptor);
        let mut identity = *begun;
        let mut node = domain.walk(entries, &mut Parts(&mut identity));
        let rule = node.and_then(|node| node.rule);
        let terms = match (own, rule) {
            (None, Some(rule)) if rule.has_assignments() => {
                self.assigned_terms(domain, rule, entries, now)
            }
            _ => None,
        };
        if let (Some(node), Some(terms)) = (&mut node, terms) {
            node.metadata = terms.metadata.as_ref().or(node.metadata);
            node.response = terms.response.as_ref().or(node.response);
        }
        let limits = rule.map(|rule| (rule, terms.map_or(&rule.limits, |terms| &terms.limits)));
        let (rule, set) = match (own, limits) {
            (_, Some((_, Limits::Exempt))) => {
                self.is_exempt = true;
                return self.targets.push(Target {
                    node,
                    terms,
                    matched: Match::Exempt,
                });
            }
            (Some(set), _) => {
                if !node.is_some_and(|node| overrides::counts_like(&node, set)) {
                    identity = *begun;
                    identity::add_override(&mut identity, entries, set);
                }
                (None, set)
            }
            (None, Some((rule, Limits::Counted(set)))) => (Some(&**rule), set),
            (None, Some((_, Limits::Unlimited { .. }))) => {
                return self.targets.push(Target {
                    node,
                    terms,
                    matched: Match::Unlimited,
                });
            }
            (None, None) => {
                return self.targets.push(Target {
                    node,
                    terms,
                    matched: Match::None,
                });
            }
        };
        let active = Active::ALL;
        let matched = Match::Limits(MatchedLimits { rule, set, active });
        self.targets.push(Target {
            node,
            terms,
            matched,
        });
        self.batch.hits.push(Hit {
            key: identity.key(),
            set,
            active,
            cost: descriptor.cost,
            lease: released,
            enforcement: Enforcement::Enforced,
        });
    }

    /// Removes all hits, but for those of leases: a release is carried out, whether the request is exempt now or not.
    #[cold]
    fn exempt(&mut self) {
        let hits = &mut self.batch.hits;
        let mut next = 0;
        for target in &mut self.targets {
            if matches!(target.matched, Match::Exempt) {
                continue;
            }
            if target.limits().is_some() {
                if hits[next].lease.is_some() {
                    next += 1;
                    continue;
                }
                hits.remove(next);
            }
            target.matched = Match::Exempted;
        }
    }

    /// The row that a table has for the client of a descriptor.
    pub(super) fn assignment(
        &self,
        target: &Target<'a>,
        descriptor: &'a Descriptor,
        now: Timestamp,
    ) -> Option<Assignment<'a>> {
        target.terms?;
        let domain = self.domain?;
        let (entries, _) = released_lease(domain, descriptor);
        let rule = target.node?.rule?;
        self.policy
            .assignment(domain, rule, &entries.last()?.value, now)
    }

    /// What the tables of a rule say of the client, which the last entry names.
    #[inline(never)]
    fn assigned_terms(
        &self,
        domain: &'a Domain,
        rule: &Rule,
        entries: &[Entry],
        now: Timestamp,
    ) -> Option<&'a Terms> {
        let client = entries.last()?;
        let found = self.policy.assignment(domain, rule, &client.value, now)?;
        Some(found.terms)
    }

    /// Removes the limits whose names another rule of the request replaces, even if that rule is
    /// itself replaced: the order of descriptors does not matter.
    fn replace(&mut self) {
        let replacing: SmallVec<[Replacing<'a>; 4]> =
            self.targets.iter().filter_map(Replacing::of).collect();
        if replacing.is_empty() {
            return;
        }
        let hits = &mut self.batch.hits;
        let mut next = 0;
        for target in &mut self.targets {
            let had_limits = target.limits().is_some();
            // A release is carried out, whichever limits apply now.
            let releases = had_limits && hits[next].lease.is_some();
            if let Some(rule) = target.rule().filter(|_| !releases) {
                target.replace(rule, |name| is_replaced(rule, name, &replacing));
            }
            match target.limits() {
                Some(limits) => {
                    hits[next].active = limits.active;
                    next += 1;
                }
                None if had_limits => {
                    hits.remove(next);
                }
                None => {}
            }
        }
    }

    fn enforce(&mut self) {
        self.enforcement = RequestEnforcement::new(self.domain, &self.targets);
        let targets = self.targets.iter();
        let targets = targets.filter(|target| target.limits().is_some());
        for (hit, target) in self.batch.hits.iter_mut().zip(targets) {
            hit.enforcement = self.enforcement.of(target);
        }
    }

    /// All hits of a request that acquire slots share one lease.
    fn assign_lease(&mut self, new_lease: impl FnOnce() -> LeaseId) {
        let mut acquiring = self
            .batch
            .hits
            .iter_mut()
            .filter(|hit| hit.acquires_slots());
        let Some(first) = acquiring.next() else {
            return;
        };
        let lease = Some(new_lease());
        first.lease = lease;
        for hit in acquiring {
            hit.lease = lease;
        }
    }
}

/// A rule that replaces limits of others.
struct Replacing<'a> {
    rule: &'a Rule,
    /// The names of the limits.
    names: &'a [Arc<str>],
}

impl<'a> Replacing<'a> {
    fn of(target: &Target<'a>) -> Option<Self> {
        let rule = target.rule()?;
        let names = target.replaces(rule);
        (!names.is_empty()).then_some(Self { rule, names })
    }
}

/// Whether a rule other than `rule` replaces limits of that name.
fn is_replaced(rule: &Rule, name: Option<&Arc<str>>, replacing: &[Replacing<'_>]) -> bool {
    name.is_some_and(|name| {
        let others = replacing
            .iter()
            .filter(|other| !std::ptr::eq(other.rule, rule));
        others
            .flat_map(|other| other.names)
            .any(|replaced| replaced == name)
    })
}

/// The entries that are matched, and the lease to release that the last entry names.
fn released_lease<'a>(
    domain: &Domain,
    descriptor: &'a Descriptor,
) -> (&'a [Entry], Option<LeaseId>) {
    match (descriptor.cost, descriptor.entries.split_last()) {
        (Cost::Refund(_), Some((last, entries))) if domain.lease_entry() == Some(&last.key) => {
            (entries, Some(LeaseId::parse(&last.value)))
        }
        _ => (&descriptor.entries, None),
    }
}
