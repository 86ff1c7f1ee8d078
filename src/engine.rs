//! The decision: plan (pure), [`Store::hit`] (the only wait), conclude (pure).

mod conclude;
mod decision;
mod degrade;
mod explain;
mod lease;
mod met;
mod plan;
mod respond;
mod standard;

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
use crate::policy::Policy;
use crate::request::Request;
use crate::store::{Answer, Stats, Store};
use conclude::conclude;
use degrade::degrade;
use lease::{Returns, Taking};
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
        let now = self.clock.now();
        let policy = self.policy.load();
        let plan = Plan::new(&policy, request, &self.store.hasher());
        let batch = plan.batch(|| self.store.new_lease());
        let taking = Taking::new(self, &batch);
        let mut answer = self.store.hit(now, &batch).await;
        taking.done();
        let basis = degrade(&plan, &batch, &mut answer, &self.store);
        let Answer { now, outcomes, .. } = answer;
        self.returns.count(&outcomes);
        let decision = conclude(&plan, (&batch, &outcomes), (now, basis));
        met::each(&plan, &outcomes, (&decision.statuses, now), observe);
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
