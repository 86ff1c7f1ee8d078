//! The decision: plan (pure), [`Store::hit`] (the only wait, where there is one), conclude (pure).

mod conclude;
mod decision;
mod degrade;
mod explain;
mod identity;
mod lease;
mod met;
mod overrides;
mod plan;
mod respond;
mod standard;
mod weights;

pub use decision::{Basis, Code, CurrentLimit, Decision, Grant, Header, Status};
pub use explain::{
    End, Explained, ExplainedCandidate, ExplainedLevel, ExplainedLimit, Explanation, LimitStanding,
    RulePlace, Verdict,
};
pub use lease::LeaseStats;
pub use met::Met;

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::clock::{Clock, Timestamp};
use crate::limit::Outcomes;
use crate::policy::Policy;
use crate::request::Request;
use crate::store::{Answer, Stats, Store};
use conclude::conclude;
use degrade::degrade;
use lease::{Returns, Taking};
use overrides::Overrides;
use plan::Plan;

/// Answers requests by the policy in force.
#[derive(Debug)]
pub struct Engine {
    policy: ArcSwap<Policy>,
    store: Store,
    clock: Clock,
    returns: Returns,
}

impl Engine {
    /// An engine that counts in `store` by the time of `clock`.
    pub fn new(policy: impl Into<Arc<Policy>>, store: Store, clock: Clock) -> Self {
        Self {
            policy: ArcSwap::new(policy.into()),
            store,
            clock,
            returns: Returns::default(),
        }
    }

    /// Decides and counts. Whoever cannot deliver a decision gives back what it grants, see [`Engine::give_back`].
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
        observe: impl FnMut(Met<'_>),
    ) -> Decision {
        // What waits keeps all it has in its future, and what does not wait need not pay for that: half of its time would
        // go into moving things there and back.
        match self.store.is_here() {
            true => self.decide_here(request, observe),
            false => Box::pin(self.decide_elsewhere(request, observe)).await,
        }
    }

    fn decide_here(&self, request: &Request, observe: impl FnMut(Met<'_>)) -> Decision {
        let now = self.clock.now();
        let policy = self.policy.load();
        let overrides = Overrides::of(request);
        let mut plan = Plan::new(&policy, request);
        plan.look_up(&overrides, &self.store.hasher(), || self.store.new_lease());
        let outcomes = self.store.hit_here(now, &plan.batch, &[]);
        let basis = Basis::of(&plan.batch);
        self.concluded((&plan, &outcomes), (now, basis), observe)
    }

    async fn decide_elsewhere(&self, request: &Request, observe: impl FnMut(Met<'_>)) -> Decision {
        let now = self.clock.now();
        let policy = self.policy.load();
        let overrides = Overrides::of(request);
        let mut plan = Plan::new(&policy, request);
        plan.look_up(&overrides, &self.store.hasher(), || self.store.new_lease());
        let taking = Taking::new(self, &plan.batch);
        let mut answer = self.store.hit(now, &plan.batch).await;
        taking.done();
        let basis = degrade(&plan, &mut answer, &self.store);
        let Answer { now, outcomes, .. } = answer;
        self.concluded((&plan, &outcomes), (now, basis), observe)
    }

    fn concluded(
        &self,
        (plan, outcomes): (&Plan<'_>, &[Outcomes]),
        (now, basis): (Timestamp, Basis),
        observe: impl FnMut(Met<'_>),
    ) -> Decision {
        self.returns.count(outcomes);
        let decision = conclude(plan, outcomes, (now, basis));
        met::each(plan, outcomes, (&decision.statuses, now), observe);
        decision
    }

    /// Why a policy cannot be served with these counters; none if it can.
    pub fn objection(&self, policy: &Policy) -> Option<String> {
        let domains = policy.domains();
        let atomic = domains.iter().find(|domain| domain.atomic)?;
        self.store.is_split().then(|| {
            format!(
                "the domain {:?} is `atomic`, and the parts of a cluster do not decide together; \
                 share its counters in one Redis, or leave `atomic` out",
                atomic.name
            )
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
    pub fn store_trouble(&self) -> Option<String> {
        self.store.trouble()
    }

    /// Gives back the slots of a decision that nobody was told of. What was given back already stays so.
    pub fn give_back(&self, grant: &Grant) {
        self.store
            .give_back(self.clock.now(), grant.lease, &grant.keys);
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
