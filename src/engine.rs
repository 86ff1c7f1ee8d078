//! The decision: plan (pure), [`Store::hit`] (the only wait), conclude (pure).

mod conclude;
mod decision;
mod degrade;
mod explain;
mod met;
mod plan;
mod respond;
mod standard;

pub use decision::{Basis, Code, CurrentLimit, Decision, Header, Status};
pub use explain::{
    End, Explained, ExplainedCandidate, ExplainedLevel, ExplainedLimit, Explanation, LimitStanding,
    RulePlace, Verdict,
};
pub use met::Met;

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::clock::Clock;
use crate::policy::Policy;
use crate::request::Request;
use crate::store::{Stats, Store};
use conclude::conclude;
use degrade::degrade;
use plan::Plan;

/// Answers requests by the policy in force.
#[derive(Debug)]
pub struct Engine {
    policy: ArcSwap<Policy>,
    store: Store,
    clock: Clock,
}

impl Engine {
    /// An engine that counts in `store` by the time of `clock`.
    pub fn new(policy: impl Into<Arc<Policy>>, store: Store, clock: Clock) -> Self {
        Self {
            policy: ArcSwap::new(policy.into()),
            store,
            clock,
        }
    }

    /// Decides and counts.
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
        let hits = plan.hits();
        let mut answer = self.store.hit(now, &hits).await;
        let basis = degrade(&plan, &hits, &mut answer, &self.store);
        let mut decision = conclude(&plan, &answer.outcomes, answer.now);
        decision.basis = basis;
        met::each(&plan, &answer.outcomes, &decision.statuses, observe);
        decision
    }

    /// Puts another policy in force for the calls that come; counters stay.
    ///
    /// Gives back the one before, which calls that began earlier may still hold. Who drops it last frees it.
    pub fn replace_policy(&self, policy: impl Into<Arc<Policy>>) -> Arc<Policy> {
        self.policy.swap(policy.into())
    }

    /// Gets ready to decide on this thread, on its runtime.
    pub fn prepare(&self) {
        self.store.prepare();
    }

    /// Why counters cannot be shared now; none if they can, or are not to be.
    pub fn store_trouble(&self) -> Option<String> {
        self.store.trouble()
    }

    /// How the store stands.
    pub fn stats(&self) -> Stats {
        self.store.stats()
    }
}
