//! Plays a request through, and writes down what it meets.

use super::{
    End, Explained, ExplainedCandidate, ExplainedLevel, ExplainedLimit, Explanation, LimitStanding,
    RulePlace, Verdict,
};
use crate::clock::Timestamp;
use crate::engine::conclude::conclude;
use crate::engine::overrides::Overrides;
use crate::engine::plan::{Match, Plan, Target};
use crate::engine::{CountingStatus, Engine};
use crate::limit::{Operation, Outcomes, States, check_and_apply};
use crate::policy::{CountedBy, Domain, HIDDEN, MatcherText, Policy, Redactor, Rule, TracedLevel};
use crate::request::{Cost, Descriptor, LeaseId, Request};
use crate::store::{Batch, Hit, KeyHasher, StoreError};

impl Engine {
    /// Tells what a look at the counters of a request meets now; none if they cannot be reached. Nothing is counted.
    pub async fn inspect(&self, request: &Request) -> Option<Explanation> {
        let policy = self.policy.load_full();
        let hasher = self.store.hasher();
        let mut looked = request.clone();
        for descriptor in &mut looked.descriptors {
            descriptor.cost = Cost::Peek;
        }
        let mut scene = Scene {
            policy: &policy,
            hasher: &hasher,
            now: self.clock.now(),
        };
        let overrides = Overrides::from_request(&looked);
        let plan = scene.plan(&looked, &overrides);
        let answer = self.store.hit(scene.now, &plan.batch).await;
        if !answer.not_counted.is_empty() {
            return None;
        }
        scene.now = answer.now;
        let outcomes = answer.outcomes.into_vec();
        let explanation = scene.told(&plan, outcomes.clone(), outcomes);
        Some(Explanation {
            is_live: true,
            ..explanation
        })
    }

    /// Forgets all that was counted for the descriptors of a request, and tells how many counters that were.
    ///
    /// # Errors
    /// When the counters are not here and cannot be reached.
    pub async fn reset(&self, request: &Request) -> Result<usize, StoreError> {
        let policy = self.policy.load_full();
        let hasher = self.store.hasher();
        let scene = Scene {
            policy: &policy,
            hasher: &hasher,
            now: self.clock.now(),
        };
        let overrides = Overrides::from_request(request);
        let plan = scene.plan(request, &overrides);
        let mut forgotten = 0;
        for hit in &plan.batch.hits {
            forgotten += usize::from(self.store.reset(hit.key).await?);
        }
        Ok(forgotten)
    }

    /// Tells what a request would meet now if nothing had been counted; nothing is.
    pub fn explain(&self, request: &Request) -> Explanation {
        let policy = self.policy.load();
        let scene = Scene {
            policy: &policy,
            hasher: &self.store.hasher(),
            now: self.clock.now(),
        };
        scene.explain(request, |hit| States::fresh(hit.set))
    }
}

/// What an explanation is made from.
#[derive(Clone, Copy, Debug)]
struct Scene<'a> {
    policy: &'a Policy,
    hasher: &'a KeyHasher,
    now: Timestamp,
}

impl<'a> Scene<'a> {
    fn plan<'p>(&self, request: &'p Request, overrides: &'p Overrides) -> Plan<'p>
    where
        'a: 'p,
    {
        let mut plan = Plan::new(self.policy, request);
        plan.look_up(overrides, self.hasher, || LeaseId::NIL);
        plan
    }

    /// Tells what a request would meet; `counted` says what a counter holds, aligned to its limits.
    fn explain(&self, request: &Request, counted: impl FnMut(&Hit<'_>) -> States) -> Explanation {
        let overrides = Overrides::from_request(request);
        let plan = self.plan(request, &overrides);
        let batch = &plan.batch;
        let (hits, places) = batch.by_counter();
        let mut states: Vec<States> = hits.into_iter().map(counted).collect();
        let before = self.looks(batch, &places, states.clone());
        let outcomes = batch.take(self.now, &places, &mut states);
        self.told(&plan, before, outcomes.into_vec())
    }

    /// Tells of a plan what its hits met before and after.
    fn told(&self, plan: &Plan<'_>, before: Vec<Outcomes>, after: Vec<Outcomes>) -> Explanation {
        let request = plan.request;
        let decision = conclude(plan, &after, (self.now, CountingStatus::of(&plan.batch)));
        let steps: Vec<(Outcomes, Outcomes)> = before.into_iter().zip(after).collect();
        let mut steps = steps.iter();
        let pairs = plan.targets.iter().zip(&request.descriptors);
        let explained = pairs.map(|(target, descriptor)| {
            let step = target.counted().and_then(|_| steps.next());
            self.explained((plan.domain, descriptor), target, step)
        });
        Explanation {
            at: self.now,
            domain: text(&request.domain),
            is_live: false,
            is_known: plan.domain.is_some(),
            descriptors: explained.collect(),
            decision,
        }
    }

    /// How each counter stands before its hit, if those before it are let through.
    fn looks(&self, batch: &Batch<'_>, places: &[usize], mut states: Vec<States>) -> Vec<Outcomes> {
        let hits = batch.hits.iter().zip(places);
        let looks = hits.map(|(hit, at)| {
            let states = &mut states[*at];
            let mut call = Operation {
                now: self.now,
                cost: Cost::Peek,
                lease: hit.lease,
            };
            let look = check_and_apply(hit.set, hit.active, states, call);
            call.cost = hit.cost;
            check_and_apply(hit.set, hit.active, states, call);
            look
        });
        looks.collect()
    }

    fn explained(
        &self,
        (domain, descriptor): (Option<&Domain>, &Descriptor),
        target: &Target<'_>,
        step: Option<&(Outcomes, Outcomes)>,
    ) -> Explained {
        let redactor = Redactor::new(domain);
        let entries = descriptor.entries.iter().map(|entry| {
            let value = redactor.value(entry).map(std::borrow::Cow::into_owned);
            (text(&entry.key), value)
        });
        let trace = domain.map(|domain| domain.trace(&descriptor.entries));
        let levels = trace.map(|trace| trace.levels).unwrap_or_default();
        let levels = levels.iter().zip(&descriptor.entries);
        Explained {
            entries: entries.collect(),
            cost: descriptor.cost,
            levels: levels
                .map(|(level, entry)| told(level, redactor.hides(&entry.key)))
                .collect(),
            end: end(domain, target),
            rule: target
                .found
                .and_then(|found| found.rule)
                .map(|rule| place(rule)),
            limits: step.map(|step| limits(target, step)).unwrap_or_default(),
        }
    }
}

fn end(domain: Option<&Domain>, target: &Target<'_>) -> End {
    match (&target.meets, target.found) {
        _ if domain.is_none() => End::UnknownDomain,
        (Match::Nothing, None) => End::NotFound,
        (Match::Nothing, Some(_)) => End::NoRule,
        (Match::Replaced, _) => End::Replaced,
        (Match::Unlimited, _) => End::Unlimited,
        (Match::Limits(counted), _) if counted.rule().is_none() => End::Override,
        (Match::Limits(_), _) => End::Rule,
    }
}

fn told(level: &TracedLevel<'_>, is_secret: bool) -> ExplainedLevel {
    match level {
        TracedLevel::TooDeep => ExplainedLevel::TooDeep,
        TracedLevel::UnknownKey { known } => {
            ExplainedLevel::UnknownKey(known.iter().map(|key| text(key)).collect())
        }
        TracedLevel::Known {
            candidates,
            selected,
            counter,
            rule,
        } => {
            let candidates = candidates.iter().enumerate().map(|(at, candidate)| {
                let (kind, text) = match &candidate.matcher {
                    MatcherText::Values(1) => ("value", "1 value".to_owned()),
                    MatcherText::Values(count) => ("value", format!("{count} values")),
                    MatcherText::Hashes(1) => ("sha256", "1 value".to_owned()),
                    MatcherText::Hashes(count) => ("sha256", format!("{count} values")),
                    MatcherText::Pattern(pattern) => ("pattern", (*pattern).to_owned()),
                    MatcherText::Cidr(block) => ("cidr", block.clone()),
                    MatcherText::Wildcard(wildcard) => ("wildcard", text(wildcard)),
                    MatcherText::Any => ("any value", String::new()),
                };
                let verdict = match candidate.matches {
                    true if *selected == Some(at) => Verdict::Taken,
                    true => Verdict::PassedOver,
                    false => Verdict::DoesNotFit,
                };
                ExplainedCandidate {
                    kind,
                    text,
                    verdict,
                }
            });
            let counter = counter.iter().map(|part| match part {
                CountedBy::Value => "each value".to_owned(),
                CountedBy::Pattern => "the pattern".to_owned(),
                CountedBy::Capture(_) if is_secret => HIDDEN.to_owned(),
                CountedBy::Capture(piece) => text(piece),
                CountedBy::Shared => "what is shared".to_owned(),
            });
            ExplainedLevel::Known {
                candidates: candidates.collect(),
                counter: counter.collect(),
                has_rule: rule.is_some(),
            }
        }
    }
}

fn place(rule: &Rule) -> RulePlace {
    RulePlace {
        path: rule.path(),
        file: rule.file.as_ref().map(|file| file.to_path_buf()),
        position: rule.position,
        shadow_mode: rule.shadow_mode,
        quota_mode: rule.quota_mode,
    }
}

fn limits(target: &Target<'_>, (before, after): &(Outcomes, Outcomes)) -> Vec<ExplainedLimit> {
    let set = target.counted().map(|counted| &*counted.limits().limits);
    let limits = set.unwrap_or_default().iter().enumerate();
    let explained = limits.map(|(at, limit)| {
        let mut pairs = before.limits.iter().zip(&after.limits);
        let standing = pairs.find(|(_, after)| usize::from(after.limit) == at);
        ExplainedLimit {
            limit: limit.clone(),
            standing: standing.map(|(before, after)| LimitStanding {
                before: before.remaining,
                over: after.over,
                after: after.remaining,
                reset_after_secs: after.reset.secs_ceil(),
            }),
        }
    });
    explained.collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
