//! How an explanation is made: a request is matched and decided, and every step is written down.

use super::{
    CounterSource, ExplainedAssignment, ExplainedDescriptor, ExplainedEntry, ExplainedLimit,
    ExplainedRule, ExplainedStatus, Explanation, LimitState, MatchResult,
};
use crate::clock::Timestamp;
use crate::engine::conclude::conclude;
use crate::engine::matched_request::MatchedRequest;
use crate::engine::overrides::Overrides;
use crate::engine::target::{Match, Target};
use crate::engine::{CountingStatus, Engine, Status};
use crate::limit::{BlockOutcome, Operation, Outcomes, States, check_and_apply};
use crate::policy::{Assignment, AssignmentOrigin, Domain, Policy, Redactor, Rule};
use crate::request::{Cost, Descriptor, LeaseId, Request};
use crate::store::{Batch, Hit, KeyHasher, StoreError};

impl Engine {
    /// Explains what a peek at the counters of a request reports now; `None` if the store is
    /// unavailable. Nothing is counted.
    pub async fn inspect(&self, request: &Request) -> Option<Explanation> {
        let policy = self.policy.load_full();
        let hasher = self.store.hasher();
        let mut peek = request.clone();
        for descriptor in &mut peek.descriptors {
            descriptor.cost = Cost::Peek;
        }
        let mut explainer = Explainer {
            policy: &policy,
            hasher: &hasher,
            now: self.clock.now(),
        };
        let overrides = Overrides::from_request(&peek);
        let matched = explainer.match_request(&peek, &overrides);
        let answer = self.store.hit(explainer.now, &matched.batch).await;
        if !answer.not_counted.is_empty() {
            return None;
        }
        explainer.now = answer.now;
        let outcomes = answer.outcomes.into_vec();
        let source = CounterSource::Live;
        Some(explainer.explanation(&matched, &outcomes, &outcomes, source))
    }

    /// Deletes the counters of a request, and returns how many there were.
    ///
    /// # Errors
    /// The store is unavailable.
    pub async fn reset(&self, request: &Request) -> Result<usize, StoreError> {
        let policy = self.policy.load_full();
        let hasher = self.store.hasher();
        let explainer = Explainer {
            policy: &policy,
            hasher: &hasher,
            now: self.clock.now(),
        };
        let overrides = Overrides::from_request(request);
        let matched = explainer.match_request(request, &overrides);
        let mut deleted = 0;
        for hit in &matched.batch.hits {
            deleted += usize::from(self.store.reset(hit.key).await?);
            self.granted_slots.reset(hit.key);
        }
        Ok(deleted)
    }

    /// Explains what a request would meet now if nothing had been counted. Nothing is counted.
    pub fn explain(&self, request: &Request) -> Explanation {
        let policy = self.policy.load();
        let explainer = Explainer {
            policy: &policy,
            hasher: &self.store.hasher(),
            now: self.clock.now(),
        };
        explainer.explain_fresh(request)
    }
}

/// Makes explanations of one policy at one time.
#[derive(Clone, Copy, Debug)]
struct Explainer<'a> {
    policy: &'a Policy,
    hasher: &'a KeyHasher,
    now: Timestamp,
}

impl<'a> Explainer<'a> {
    fn match_request<'p>(
        &self,
        request: &'p Request,
        overrides: &'p Overrides,
    ) -> MatchedRequest<'p>
    where
        'a: 'p,
    {
        let mut matched = MatchedRequest::new(self.policy, request);
        matched.match_descriptors(overrides, self.hasher, self.now, || LeaseId::NIL);
        matched
    }

    fn explain_fresh(&self, request: &Request) -> Explanation {
        let overrides = Overrides::from_request(request);
        let matched = self.match_request(request, &overrides);
        let batch = &matched.batch;
        let (hits, counters) = batch.by_counter();
        let fresh = |hit: &Hit<'_>| States::fresh(hit.set);
        let mut states: Vec<States> = hits.into_iter().map(fresh).collect();
        let before = self.peeks(batch, &counters, states.clone());
        let after = batch.apply(self.now, &counters, &mut states);
        self.explanation(&matched, &before, &after, CounterSource::Fresh)
    }

    /// The outcome of a peek before each hit, after the hits in front of it.
    fn peeks(
        &self,
        batch: &Batch<'_>,
        counters: &[usize],
        mut states: Vec<States>,
    ) -> Vec<Outcomes> {
        let hits = batch.hits.iter().zip(counters);
        let peeks = hits.map(|(hit, counter)| {
            let states = &mut states[*counter];
            let mut operation = Operation {
                now: self.now,
                cost: Cost::Peek,
                lease: hit.lease,
            };
            let peek = check_and_apply(hit.set, hit.active, states, operation);
            operation.cost = hit.cost;
            check_and_apply(hit.set, hit.active, states, operation);
            peek
        });
        peeks.collect()
    }

    /// The explanation of a request; `before` and `after` have the outcomes of a peek before each hit
    /// and of the hit itself.
    fn explanation(
        &self,
        matched: &MatchedRequest<'_>,
        before: &[Outcomes],
        after: &[Outcomes],
        counters: CounterSource,
    ) -> Explanation {
        let decision = conclude(matched, after, self.now, CountingStatus::of(&matched.batch));
        let mut hits = before.iter().zip(after);
        let descriptors = matched.request.descriptors.iter();
        let met = matched.targets.iter().zip(&decision.statuses);
        let descriptors = descriptors.zip(met).map(|(descriptor, (target, status))| {
            let hit = target.limits().and_then(|_| hits.next());
            let limits = hit.map(|(before, after)| limits(target, before, after));
            ExplainedDescriptor {
                entries: entries(matched.domain, descriptor),
                cost: descriptor.cost,
                result: result(matched.domain, target),
                rule: target
                    .node
                    .and_then(|node| node.rule)
                    .map(|rule| rule.into()),
                assignment: matched
                    .assignment(target, descriptor, self.now)
                    .map(|found| found.into()),
                limits: limits.unwrap_or_default(),
                status: status.into(),
            }
        });
        Explanation {
            at: self.now,
            domain: String::from_utf8_lossy(&matched.request.domain).into_owned(),
            domain_is_known: matched.domain.is_some(),
            counters,
            descriptors: descriptors.collect(),
            code: decision.code,
            headers: decision.headers,
            request_headers: decision.request_headers,
            body: decision.body,
            lease_granted: decision.grant.is_some(),
        }
    }
}

fn entries(domain: Option<&Domain>, descriptor: &Descriptor) -> Vec<ExplainedEntry> {
    let redactor = Redactor::new(domain);
    let trace = domain.map(|domain| domain.trace(&descriptor.entries));
    let mut levels = trace.into_iter().flatten();
    let entries = descriptor.entries.iter().map(|entry| ExplainedEntry {
        key: String::from_utf8_lossy(&entry.key).into_owned(),
        value: redactor.value(entry).map(|value| value.into_owned()),
        level: levels.next(),
    });
    entries.collect()
}

fn result(domain: Option<&Domain>, target: &Target<'_>) -> MatchResult {
    match (&target.matched, target.node) {
        _ if domain.is_none() => MatchResult::UnknownDomain,
        (Match::None, None) => MatchResult::NotFound,
        (Match::None, Some(_)) => MatchResult::NoRule,
        (Match::Replaced, _) => MatchResult::Replaced,
        (Match::Unlimited, _) => MatchResult::Unlimited,
        (Match::Exempt, _) => MatchResult::Exempt,
        (Match::Exempted, _) => MatchResult::Exempted,
        (Match::Limits(limits), _) if limits.rule.is_none() => MatchResult::Override,
        (Match::Limits(_), _) => MatchResult::Rule,
    }
}

fn limits(target: &Target<'_>, before: &Outcomes, after: &Outcomes) -> Vec<ExplainedLimit> {
    let set = target.limits().map(|limits| &*limits.set.limits);
    let limits = set.unwrap_or_default().iter().enumerate();
    let explained = limits.map(|(at, limit)| {
        let mut outcomes = before.limits.iter().zip(&after.limits);
        let outcomes = outcomes.find(|(_, after)| usize::from(after.limit) == at);
        ExplainedLimit {
            name: limit.name.as_deref().map(str::to_owned),
            text: limit.to_string(),
            algorithm: limit.algorithm(),
            numbers: limit.into(),
            shadow_mode: limit.shadow_mode,
            state: outcomes.map(|(before, after)| LimitState {
                remaining_before: before.available.min(limit.quota().number()),
                remaining: after.available.min(limit.quota().number()),
                available_before: before.available,
                available: after.available,
                over_capacity: after.over_capacity,
                over_limit: after.over,
                is_blocked: after.block != BlockOutcome::None,
                reset_after_secs: after.reset_after.secs_ceil(),
            }),
        }
    });
    explained.collect()
}

impl From<&std::sync::Arc<Rule>> for ExplainedRule {
    fn from(rule: &std::sync::Arc<Rule>) -> Self {
        Self {
            path: rule.path(),
            file: rule.file.as_ref().map(|file| file.to_path_buf()),
            line: rule.position.map(|position| position.line),
            column: rule.position.map(|position| position.column),
            plan: rule.plan.as_deref().map(str::to_owned),
            shadow_mode: rule.shadow_mode,
            quota_mode: rule.quota_mode,
            is_soft: rule.is_soft,
        }
    }
}

impl From<Assignment<'_>> for ExplainedAssignment {
    fn from(found: Assignment<'_>) -> Self {
        let (file, line) = match found.origin() {
            AssignmentOrigin::File(file, line) => (Some(file.to_path_buf()), Some(line)),
            AssignmentOrigin::Added => (None, None),
        };
        Self {
            plan: found.terms.plan.as_deref().map(str::to_owned),
            until: found.until().map(Timestamp::to_rfc3339),
            note: Some(found.note().to_owned()).filter(|note| !note.is_empty()),
            author: found.author().map(str::to_owned),
            file,
            line,
        }
    }
}

impl From<&Status> for ExplainedStatus {
    fn from(status: &Status) -> Self {
        Self {
            code: status.code,
            limit: status.limit.as_ref().map(|limit| limit.quota.to_string()),
            remaining: status.remaining,
            available: status.available,
            over_capacity: status.over_capacity,
            reset_after_secs: status.reset_after_secs,
        }
    }
}
