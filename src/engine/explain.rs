//! What a request would meet and why, without counting it.
//!
//! The same plan and the same conclusion as a decision, between them a step that nobody keeps. All
//! that is told is owned, and values of secret keys are left out of it: it may be shown to anybody
//! who may see the policy.

mod json;

use std::path::PathBuf;

use super::conclude::conclude;
use super::overrides::Overrides;
use super::plan::{Meets, Plan, Target};
use super::{Basis, Decision, Engine};
use crate::clock::Timestamp;
use crate::limit::{Call, Limit, Outcomes, States, step};
use crate::policy::{Counter, Domain, Place, Policy, Rule, TracedLevel, Written};
use crate::request::{Cost, Descriptor, LeaseId, Request};
use crate::store::{Batch, Hit, KeyHasher};

/// What a request would meet.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The moment for which it is told.
    pub at: Timestamp,
    /// The domain that was asked.
    pub domain: String,
    /// Whether it is told by what a server has counted, rather than with fresh counters.
    pub is_live: bool,
    /// Whether the policy has that domain.
    pub is_known: bool,
    /// One per descriptor of the request.
    pub descriptors: Vec<Explained>,
    /// What would be answered.
    pub decision: Decision,
}

/// What one descriptor would meet.
#[derive(Clone, Debug)]
pub struct Explained {
    /// Its entries; a value is none if its key is secret.
    pub entries: Vec<(String, Option<String>)>,
    /// What it costs.
    pub cost: Cost,
    /// One per entry, up to the one where the walk of the tree ended.
    pub levels: Vec<ExplainedLevel>,
    /// What was found there.
    pub end: End,
    /// The rule that was found.
    pub rule: Option<RulePlace>,
    /// Each limit that it counts against.
    pub limits: Vec<ExplainedLimit>,
}

/// What one entry met in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExplainedLevel {
    /// The tree has no level for it.
    TooDeep,
    /// No descriptor of the level has its key, but these.
    UnknownKey(Vec<String>),
    /// Descriptors with its key.
    Known {
        /// In the order in which they are tried.
        candidates: Vec<ExplainedCandidate>,
        /// What the counter is known by at this level.
        counter: Vec<String>,
        /// The one that was taken has a rule, for requests that end here.
        has_rule: bool,
    },
}

/// A descriptor of the policy that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedCandidate {
    /// `value`, `sha256`, `pattern`, `cidr`, `wildcard` or `any value`.
    pub kind: &'static str,
    /// Its text in the policy; of values only how many there are.
    pub text: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fits, and was taken.
    Taken,
    /// It fits, but another one goes first.
    PassedOver,
    /// It does not fit.
    DoesNotFit,
}

/// What a descriptor meets in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The policy does not have the domain.
    UnknownDomain,
    /// The walk ended before the last entry, or there was none.
    NotFound,
    /// The descriptor of the last entry has no `rate_limit`.
    NoRule,
    /// A rule that another descriptor's rule replaces.
    Replaced,
    /// A rule that is `unlimited`.
    Unlimited,
    /// The limits of a rule.
    Rule,
    /// The limit that came with the request.
    Override,
}

/// A rule and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulePlace {
    /// Its path in the tree.
    pub path: String,
    /// Its file.
    pub file: Option<PathBuf>,
    /// The place of its `rate_limit` there.
    pub place: Option<Place>,
    /// Counted and reported, never refused.
    pub shadow_mode: bool,
    /// Refuses only when every quota of the request is over.
    pub quota_mode: bool,
}

/// A limit and how it would stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedLimit {
    /// The limit.
    pub limit: Limit,
    /// How it would stand; none if it is replaced, and so not counted.
    pub standing: Option<LimitStanding>,
}

/// How a limit would stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitStanding {
    /// Hits that would pass before the request.
    pub before: u32,
    /// Whether the request is over it.
    pub over: bool,
    /// Hits that would pass after it.
    pub after: u32,
    /// Seconds, rounded up, until there is room again.
    pub reset_after_secs: u64,
}

impl Engine {
    /// Tells what a look at the counters of a request meets now; none if they cannot be reached. Nothing is counted.
    pub async fn inspect(&self, request: &Request) -> Option<Explanation> {
        let policy = self.policy.load_full();
        let hasher = self.store.hasher();
        let mut looked = request.clone();
        for descriptor in &mut looked.descriptors {
            descriptor.cost = Cost::Look;
        }
        let mut scene = Scene {
            policy: &policy,
            hasher: &hasher,
            now: self.clock.now(),
        };
        let overrides = Overrides::of(&looked);
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
    pub async fn reset(&self, request: &Request) -> Result<usize, String> {
        let policy = self.policy.load_full();
        let hasher = self.store.hasher();
        let scene = Scene {
            policy: &policy,
            hasher: &hasher,
            now: self.clock.now(),
        };
        let overrides = Overrides::of(request);
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
pub(super) struct Scene<'a> {
    pub(super) policy: &'a Policy,
    pub(super) hasher: &'a KeyHasher,
    pub(super) now: Timestamp,
}

impl<'a> Scene<'a> {
    fn plan<'p>(&self, request: &'p Request, overrides: &'p Overrides) -> Plan<'p>
    where
        'a: 'p,
    {
        let mut plan = Plan::new(self.policy, request);
        plan.look_up(overrides, self.hasher, || LeaseId::NOBODYS);
        plan
    }

    /// Tells what a request would meet; `counted` says what a counter holds, aligned to its limits.
    pub(super) fn explain(
        &self,
        request: &Request,
        counted: impl FnMut(&Hit<'_>) -> States,
    ) -> Explanation {
        let overrides = Overrides::of(request);
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
        let decision = conclude(plan, &after, (self.now, Basis::of(&plan.batch)));
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
            let mut call = Call {
                now: self.now,
                cost: Cost::Look,
                lease: hit.lease,
            };
            let look = step(hit.set, hit.active, states, call);
            call.cost = hit.cost;
            step(hit.set, hit.active, states, call);
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
        let is_secret = |key: &[u8]| match domain {
            Some(domain) => domain.is_secret(key),
            // Whoever asks the wrong domain still sends the right key.
            None => self
                .policy
                .domains()
                .iter()
                .any(|domain| domain.is_secret(key)),
        };
        let entries = descriptor.entries.iter().map(|entry| {
            let value = (!is_secret(&entry.key)).then(|| text(&entry.value));
            (text(&entry.key), value)
        });
        let trace = domain.map(|domain| domain.trace(&descriptor.entries));
        let levels = trace.map(|trace| trace.levels).unwrap_or_default();
        let levels = levels.iter().zip(&descriptor.entries);
        Explained {
            entries: entries.collect(),
            cost: descriptor.cost,
            levels: levels
                .map(|(level, entry)| told(level, is_secret(&entry.key)))
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
        (Meets::Nothing, None) => End::NotFound,
        (Meets::Nothing, Some(_)) => End::NoRule,
        (Meets::Replaced, _) => End::Replaced,
        (Meets::Unlimited, _) => End::Unlimited,
        (Meets::Limits(counted), _) if counted.rule().is_none() => End::Override,
        (Meets::Limits(_), _) => End::Rule,
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
            taken,
            counter,
            rule,
        } => {
            let candidates = candidates.iter().enumerate().map(|(at, candidate)| {
                let (kind, text) = match &candidate.written {
                    Written::Values(1) => ("value", "1 value".to_owned()),
                    Written::Values(count) => ("value", format!("{count} values")),
                    Written::Hashes(1) => ("sha256", "1 value".to_owned()),
                    Written::Hashes(count) => ("sha256", format!("{count} values")),
                    Written::Pattern(pattern) => ("pattern", (*pattern).to_owned()),
                    Written::Block(block) => ("cidr", block.clone()),
                    Written::Wildcard(wildcard) => ("wildcard", text(wildcard)),
                    Written::Any => ("any value", String::new()),
                };
                let verdict = match candidate.fits {
                    true if *taken == Some(at) => Verdict::Taken,
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
                Counter::Value => "each value".to_owned(),
                Counter::Pattern => "the pattern".to_owned(),
                Counter::Capture(_) if is_secret => "***".to_owned(),
                Counter::Capture(piece) => text(piece),
                Counter::Shared => "what is shared".to_owned(),
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
        place: rule.place,
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
