//! The decision on a request: match (pure), [`Store::hit`] (the only wait), conclude (pure).
//!
//! [`Engine::decide`] is the entry point. `matched_request` matches the descriptors and lists the hits,
//! `degrade` answers for hits that the store could not count, `conclude` builds the [`Decision`].
//! The engine does not know the protocol: `server::grpc` converts requests and decisions.

mod conclude;
mod decision;
mod degrade;
mod enforcement;
mod explain;
mod identity;
mod lease;
mod matched_request;
mod observe;
mod overrides;
mod reported;
mod respond;
mod slots_in_use;
mod target;

pub use decision::{Code, CountingStatus, CurrentLimit, Decision, Grant, Header, Status};
pub use explain::{
    CounterSource, ExplainedAssignment, ExplainedDescriptor, ExplainedEntry, ExplainedLimit,
    ExplainedRule, ExplainedStatus, Explanation, LimitNumbers, LimitState, MatchResult,
};
pub use lease::LeaseStats;
pub use observe::DescriptorResult;
pub use slots_in_use::SlotsInUse;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

use crate::clock::{Clock, Timestamp};
use crate::limit::Outcomes;
use crate::policy::Policy;
use crate::request::Request;
use crate::store::{BatchOutcome, RecordStore, Stats, Store};
use conclude::conclude;
use degrade::degrade;
use lease::{LeaseStatsCounter, ReleaseOnDrop};
use matched_request::MatchedRequest;
use observe::observe_each;
use overrides::Overrides;
use slots_in_use::GrantedSlots;

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

/// Decides requests by the policy in force.
///
/// ```
/// use std::path::Path;
/// use weir::clock::{Clock, ManualClock, Timestamp};
/// use weir::engine::{Code, Engine};
/// use weir::request::{Descriptor, Request};
/// use weir::store::{MemoryConfig, Store};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let yaml = "{domain: shop, descriptors: [{key: a, rate_limit: {unit: day, requests_per_unit: 1}}]}";
/// let policy = weir::policy::load_text(Path::new("shop.yaml"), yaml).policy.ok_or("see diagnostics")?;
/// let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
/// let engine = Engine::new(policy, Store::memory(MemoryConfig::default())?, Clock::Manual(clock));
///
/// let descriptor = Descriptor::new([("a", "x")]);
/// let request = Request { domain: "shop".into(), descriptors: vec![descriptor] };
/// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// let decision = runtime.block_on(engine.decide(&request));
/// assert_eq!((decision.code, decision.statuses[0].remaining), (Code::Ok, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Engine {
    policy: ArcSwap<Policy>,
    /// Whether `policy` is only a placeholder for one that has not arrived.
    awaits_policy: AtomicBool,
    store: Store,
    clock: Clock,
    lease_stats: LeaseStatsCounter,
    granted_slots: GrantedSlots,
}

/// An engine whose counters are in memory, so that its decisions wait for nothing.
#[derive(Clone, Copy, Debug)]
pub struct LocalEngine<'e>(&'e Engine);

impl LocalEngine<'_> {
    /// Decides as [`Engine::decide_observed`] does.
    pub fn decide_observed(
        self,
        request: &Request,
        observe: impl FnMut(DescriptorResult<'_>),
    ) -> Decision {
        let Self(engine) = self;
        let now = engine.clock.now();
        let policy = engine.policy.load();
        let overrides = Overrides::from_request(request);
        let mut matched = MatchedRequest::new(&policy, request);
        let new_lease = || engine.store.new_lease();
        matched.match_descriptors(&overrides, &engine.store.hasher(), now, new_lease);
        let outcomes = engine.store.hit_local(now, &matched.batch, &[]);
        let counting_status = CountingStatus::of(&matched.batch);
        engine.conclude(&matched, &outcomes, now, counting_status, observe)
    }
}

impl Engine {
    /// An engine that counts in `store` by the time of `clock`.
    pub fn new(policy: impl Into<Arc<Policy>>, store: Store, clock: Clock) -> Self {
        let policy = policy.into();
        Self {
            awaits_policy: policy.is_awaited().into(),
            policy: ArcSwap::new(policy),
            store,
            clock,
            lease_stats: LeaseStatsCounter::default(),
            granted_slots: GrantedSlots::default(),
        }
    }

    /// Decides a request and counts it, by one policy and at one time.
    ///
    /// It never fails: what the store cannot count is answered by the rule's `on_store_error`, and a
    /// descriptor without a limit is OK. A caller that cannot deliver the decision must
    /// [`release`](Engine::release) its grant.
    pub async fn decide(&self, request: &Request) -> Decision {
        self.decide_observed(request, |_| {}).await
    }

    /// Decides as [`Engine::decide`] does, and calls `observe` with the result of each descriptor.
    pub async fn decide_observed(
        &self,
        request: &Request,
        observe: impl FnMut(DescriptorResult<'_>),
    ) -> Decision {
        // A future keeps all its variables, and moving them takes half of the time of a decision.
        // A store in memory never waits, so its decisions are plain functions.
        match self.local() {
            Some(local) => local.decide_observed(request, observe),
            None => Box::pin(self.decide_remote(request, observe)).await,
        }
    }

    /// The engine as one whose decisions wait for nothing; `None` if its counters are not in memory.
    pub fn local(&self) -> Option<LocalEngine<'_>> {
        self.store.is_local().then_some(LocalEngine(self))
    }

    async fn decide_remote(
        &self,
        request: &Request,
        observe: impl FnMut(DescriptorResult<'_>),
    ) -> Decision {
        let now = self.clock.now();
        let policy = self.policy.load();
        let overrides = Overrides::from_request(request);
        let mut matched = MatchedRequest::new(&policy, request);
        let new_lease = || self.store.new_lease();
        matched.match_descriptors(&overrides, &self.store.hasher(), now, new_lease);
        let release_on_drop = ReleaseOnDrop::new(self, &matched.batch);
        let mut outcome = self.store.hit(now, &matched.batch).await;
        release_on_drop.disarm();
        let counting_status = degrade(&matched, &mut outcome, &self.store);
        let BatchOutcome { now, outcomes, .. } = outcome;
        self.conclude(&matched, &outcomes, now, counting_status, observe)
    }

    fn conclude(
        &self,
        matched: &MatchedRequest<'_>,
        outcomes: &[Outcomes],
        now: Timestamp,
        counting_status: CountingStatus,
        observe: impl FnMut(DescriptorResult<'_>),
    ) -> Decision {
        self.lease_stats.count(outcomes);
        self.granted_slots.record(matched, outcomes, now);
        let decision = conclude(matched, outcomes, now, counting_status);
        observe_each(matched, outcomes, &decision.statuses, now, observe);
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

    /// Puts another policy in force for the requests to come, and returns the previous one.
    ///
    /// Counters stay. Requests in progress keep the previous policy; the last owner frees it.
    pub fn replace_policy(&self, policy: impl Into<Arc<Policy>>) -> Arc<Policy> {
        let policy = policy.into();
        let is_awaited = policy.is_awaited();
        let before = self.policy.swap(policy);
        self.awaits_policy.store(is_awaited, Ordering::Relaxed);
        before
    }

    /// Whether no policy has arrived yet, so that nothing can be decided.
    pub fn awaits_policy(&self) -> bool {
        self.awaits_policy.load(Ordering::Relaxed)
    }

    /// The time by the engine's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// Connects the current thread to the store, on the current runtime.
    pub fn prepare(&self) {
        self.store.prepare();
    }

    /// Why the store is unavailable; `None` if it is available or in memory.
    pub fn unavailable_reason(&self) -> Option<String> {
        self.store.unavailable_reason()
    }

    /// Releases the slots of a decision that could not be delivered. Releasing twice has no effect.
    pub fn release(&self, grant: &Grant) {
        self.granted_slots.release(grant.lease);
        self.store
            .release(self.clock.now(), grant.lease, &grant.keys);
    }

    /// Releases without effect since the start.
    pub fn lease_stats(&self) -> LeaseStats {
        self.lease_stats.stats()
    }

    /// The slots in use that this instance granted. Walks over all leases: for scrapes, not for
    /// decisions.
    pub fn slots_in_use(&self) -> SlotsInUse {
        self.granted_slots.in_use(self.clock.now())
    }

    /// What instances share beside counters; `None` if counters are in memory.
    pub fn records(&self) -> Option<RecordStore<'_>> {
        self.store.records()
    }

    /// Statistics of the store.
    pub fn stats(&self) -> Stats {
        self.store.stats()
    }
}
