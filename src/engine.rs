//! The decision: plan (pure), [`Store::hit`] (the only wait, where there is one), conclude (pure).

mod conclude;
mod decision;
mod degrade;
mod enforcement;
mod explain;
mod identity;
mod lease;
mod observe;
mod overrides;
mod plan;
mod respond;
mod standard;

pub use decision::{Code, CountingStatus, CurrentLimit, Decision, Grant, Header, Status};
pub use explain::{
    CounterSource, ExplainedDescriptor, ExplainedEntry, ExplainedLimit, ExplainedRule,
    ExplainedStatus, Explanation, LimitNumbers, LimitState, MatchResult,
};
pub use lease::LeaseStats;
pub use observe::DescriptorResult;

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::clock::{Clock, Timestamp};
use crate::limit::Outcomes;
use crate::policy::Policy;
use crate::request::Request;
use crate::store::{BatchOutcome, Stats, Store};
use conclude::conclude;
use degrade::degrade;
use lease::{LeaseStatsCounter, ReleaseOnDrop};
use overrides::Overrides;
use plan::Plan;

/// A policy that cannot be served with the engine's store: an `atomic` domain in a Redis Cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the domain {domain:?} is `atomic`, and the shards of a cluster do not decide together; \
     share its counters in one Redis, or leave `atomic` out"
)]
pub struct IncompatiblePolicy {
    /// The name of the domain.
    pub domain: Arc<str>,
}

/// Answers requests by the policy in force.
#[derive(Debug)]
pub struct Engine {
    policy: ArcSwap<Policy>,
    store: Store,
    clock: Clock,
    returns: LeaseStatsCounter,
}

impl Engine {
    /// An engine that counts in `store` by the time of `clock`.
    pub fn new(policy: impl Into<Arc<Policy>>, store: Store, clock: Clock) -> Self {
        Self {
            policy: ArcSwap::new(policy.into()),
            store,
            clock,
            returns: LeaseStatsCounter::default(),
        }
    }

    /// Decides and counts. Whoever cannot deliver a decision gives back what it grants, see [`Engine::release`].
    ///
    /// One policy and one moment hold for the whole call. It never fails: a descriptor that meets
    /// no limit is within it.
    pub async fn decide(&self, request: &Request) -> Decision {
        self.decide_observed(request, |_| {}).await
    }

    /// The same, and tells `observe` what each descriptor has met, in their order.
    pub async fn decide_observed(
        &self,
        request: &Request,
        observe: impl FnMut(DescriptorResult<'_>),
    ) -> Decision {
        // What waits keeps all it has in its future, and what does not wait need not pay for that: half of its time would
        // go into moving things there and back.
        match self.store.is_local() {
            true => self.decide_local(request, observe),
            false => Box::pin(self.decide_remote(request, observe)).await,
        }
    }

    fn decide_local(
        &self,
        request: &Request,
        observe: impl FnMut(DescriptorResult<'_>),
    ) -> Decision {
        let now = self.clock.now();
        let policy = self.policy.load();
        let overrides = Overrides::from_request(request);
        let mut plan = Plan::new(&policy, request);
        plan.look_up(&overrides, &self.store.hasher(), || self.store.new_lease());
        let outcomes = self.store.hit_local(now, &plan.batch, &[]);
        let counting_status = CountingStatus::of(&plan.batch);
        self.concluded((&plan, &outcomes), (now, counting_status), observe)
    }

    async fn decide_remote(
        &self,
        request: &Request,
        observe: impl FnMut(DescriptorResult<'_>),
    ) -> Decision {
        let now = self.clock.now();
        let policy = self.policy.load();
        let overrides = Overrides::from_request(request);
        let mut plan = Plan::new(&policy, request);
        plan.look_up(&overrides, &self.store.hasher(), || self.store.new_lease());
        let taking = ReleaseOnDrop::new(self, &plan.batch);
        let mut answer = self.store.hit(now, &plan.batch).await;
        taking.done();
        let counting_status = degrade(&plan, &mut answer, &self.store);
        let BatchOutcome { now, outcomes, .. } = answer;
        self.concluded((&plan, &outcomes), (now, counting_status), observe)
    }

    fn concluded(
        &self,
        (plan, outcomes): (&Plan<'_>, &[Outcomes]),
        (now, counting_status): (Timestamp, CountingStatus),
        observe: impl FnMut(DescriptorResult<'_>),
    ) -> Decision {
        self.returns.count(outcomes);
        let decision = conclude(plan, outcomes, (now, counting_status));
        observe::each(plan, outcomes, (&decision.statuses, now), observe);
        decision
    }

    /// Why a policy cannot be served with this store; `None` if it can.
    pub fn incompatibility(&self, policy: &Policy) -> Option<IncompatiblePolicy> {
        let domains = policy.domains();
        let atomic = domains.iter().find(|domain| domain.atomic)?;
        self.store.is_split().then(|| IncompatiblePolicy {
            domain: Arc::clone(&atomic.name),
        })
    }

    /// Puts another policy in force for the calls that come; counters stay.
    ///
    /// Gives back the one before, which calls that began earlier may still hold. Who drops it last frees it.
    pub fn replace_policy(&self, policy: impl Into<Arc<Policy>>) -> Arc<Policy> {
        self.policy.swap(policy.into())
    }

    /// The moment it is, by the clock that decisions go by.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// Gets ready to decide on this thread, on its runtime.
    pub fn prepare(&self) {
        self.store.prepare();
    }

    /// Why counters cannot be shared now; none if they can, or are not to be.
    pub fn unavailable_reason(&self) -> Option<String> {
        self.store.unavailable_reason()
    }

    /// Gives back the slots of a decision that nobody was told of. What was given back already stays so.
    pub fn release(&self, grant: &Grant) {
        self.store
            .release(self.clock.now(), grant.lease, &grant.keys);
    }

    /// What was given back without effect, since the start.
    pub fn lease_stats(&self) -> LeaseStats {
        self.returns.stats()
    }

    /// How the store stands.
    pub fn stats(&self) -> Stats {
        self.store.stats()
    }
}
