//! Slots in use by rule: what this instance granted, until it is released here or expires.
//!
//! Each instance counts its own grants, with every store. If a lease is released through another
//! instance, which only Redis allows, its slots count here until they expire, so the sum over all
//! instances is an upper bound. Decisions do not depend on these numbers.

use std::collections::HashMap;

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::matched_request::MatchedRequest;
use super::target::Target;
use crate::clock::Timestamp;
use crate::limit::{LeaseOutcome, Outcomes};
use crate::policy::Rule;
use crate::request::{Cost, LeaseId};
use crate::store::CounterKey;

/// Tables, so that threads seldom wait for each other.
const TABLES: usize = 16;

/// A table is not searched for expired grants while it has fewer leases.
const MIN_SWEEP: usize = 64;

/// Every grant that this instance knows of.
#[derive(Debug)]
pub(super) struct GrantedSlots([Mutex<GrantTable>; TABLES]);

#[derive(Debug, Default)]
struct GrantTable {
    grants: HashMap<LeaseId, SmallVec<[GrantedToRule; 1]>>,
    /// The number of leases at which expired ones are removed.
    sweep_at: usize,
}

/// The slots that one descriptor of a request acquired.
#[derive(Clone, Copy, Debug)]
struct GrantedToRule {
    /// The first of the rule's metric ids.
    rule: u32,
    key: CounterKey,
    slots: u32,
    until: Timestamp,
}

/// The slots in use at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotsInUse(HashMap<u32, u64>);

impl SlotsInUse {
    /// The slots in use at all counters of a rule. 0 if the rule is not registered for metrics.
    pub fn of(&self, rule: &Rule) -> u64 {
        let id = rule.metric_ids.get().first();
        id.and_then(|id| self.0.get(id)).copied().unwrap_or(0)
    }
}

impl Default for GrantedSlots {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl GrantedSlots {
    /// Records what a request acquired and released.
    pub(super) fn record(
        &self,
        matched: &MatchedRequest<'_>,
        outcomes: &[Outcomes],
        now: Timestamp,
    ) {
        let is_unchanged = |outcomes: &Outcomes| match outcomes.lease {
            LeaseOutcome::Granted | LeaseOutcome::Released => false,
            LeaseOutcome::None | LeaseOutcome::NotHeld | LeaseOutcome::MissingId => true,
        };
        if outcomes.iter().all(is_unchanged) {
            return;
        }
        let limits = matched.targets.iter().filter_map(Target::limits);
        for ((hit, outcomes), limits) in matched.batch.hits.iter().zip(outcomes).zip(limits) {
            let rule = limits.rule.and_then(|rule| rule.metric_ids.get().first());
            let (Some(lease), Some(&rule)) = (hit.lease, rule) else {
                continue;
            };
            match (outcomes.lease, hit.cost, hit.set.longest_lease()) {
                (LeaseOutcome::Granted, Cost::Hits(slots), Some(length)) => {
                    let grant = GrantedToRule {
                        rule,
                        key: hit.key,
                        slots,
                        until: now.plus(length),
                    };
                    self.table(lease).lock().grant(now, lease, grant);
                }
                (LeaseOutcome::Released, ..) => {
                    let mut table = self.table(lease).lock();
                    table.release(lease, |grant| grant.key == hit.key);
                }
                _ => {}
            }
        }
    }

    /// Records that all slots of a lease were released.
    pub(super) fn release(&self, lease: LeaseId) {
        self.table(lease).lock().grants.remove(&lease);
    }

    /// Records that a counter was reset.
    pub(super) fn reset(&self, key: CounterKey) {
        for table in &self.0 {
            table.lock().grants.retain(|_, grants| {
                grants.retain(|grant| grant.key != key);
                !grants.is_empty()
            });
        }
    }

    pub(super) fn in_use(&self, now: Timestamp) -> SlotsInUse {
        let mut in_use = SlotsInUse::default();
        for table in &self.0 {
            let mut table = table.lock();
            table.remove_expired(now);
            for grant in table.grants.values().flatten() {
                *in_use.0.entry(grant.rule).or_default() += u64::from(grant.slots);
            }
        }
        in_use
    }

    fn table(&self, lease: LeaseId) -> &Mutex<GrantTable> {
        &self.0[lease.bits() as usize % TABLES]
    }
}

impl GrantTable {
    fn grant(&mut self, now: Timestamp, lease: LeaseId, grant: GrantedToRule) {
        if self.grants.len() >= self.sweep_at.max(MIN_SWEEP) {
            self.remove_expired(now);
            self.sweep_at = 2 * self.grants.len();
        }
        self.grants.entry(lease).or_default().push(grant);
    }

    /// Removes the first grant of a lease that `is_released`.
    fn release(&mut self, lease: LeaseId, is_released: impl Fn(&GrantedToRule) -> bool) {
        let Some(grants) = self.grants.get_mut(&lease) else {
            return;
        };
        if let Some(index) = grants.iter().position(is_released) {
            grants.remove(index);
        }
        if grants.is_empty() {
            self.grants.remove(&lease);
        }
    }

    fn remove_expired(&mut self, now: Timestamp) {
        self.grants.retain(|_, grants| {
            grants.retain(|grant| grant.until > now);
            !grants.is_empty()
        });
    }
}
