//! The counters of one thread.
//!
//! Rules, limits and domains are addressed by the numbers that the registry gives them.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};

use super::counter::ThreadCounter;
use super::counts::{HitsWithRoom, RuleHits};
use super::histogram::ThreadHistogram;
use super::match_kind::MatchKind;
use crate::telemetry::rejection_log::ByReason;

/// Hits that matched a rule.
#[derive(Debug, Default)]
pub(super) struct RuleCounters {
    /// Within all limits of the rule.
    pub(super) within: ThreadCounter,
    /// Part of `within`: near one of the limits.
    pub(super) near: ThreadCounter,
    /// Over one of the limits.
    pub(super) over: ThreadCounter,
    /// Part of `over`: allowed by shadow mode.
    pub(super) shadow: ThreadCounter,
    /// Part of `over`: let through over a soft limit.
    pub(super) allowed: ThreadCounter,
    /// Blocks that penalties began.
    pub(super) blocks: ThreadCounter,
    /// Part of `over`: hits of a request of several hits for which there was room …
    pub(super) room: ThreadCounter,
    /// … and which would have been near the limit, …
    pub(super) near_room: ThreadCounter,
    /// … or are part of `shadow`.
    pub(super) shadow_room: ThreadCounter,
}

impl RuleCounters {
    pub(super) fn add(&self, hits: RuleHits) {
        self.within.add(hits.within);
        self.near.add(hits.near);
        self.over.add(hits.over);
        self.shadow.add(hits.shadow);
        self.allowed.add(hits.allowed);
        self.blocks.add(hits.blocks);
    }
}

impl From<&RuleCounters> for RuleHits {
    fn from(counters: &RuleCounters) -> Self {
        Self {
            within: counters.within.get(),
            near: counters.near.get(),
            over: counters.over.get(),
            shadow: counters.shadow.get(),
            allowed: counters.allowed.get(),
            blocks: counters.blocks.get(),
            room: HitsWithRoom {
                hits: counters.room.get(),
                near: counters.near_room.get(),
                shadow: counters.shadow_room.get(),
            },
        }
    }
}

/// Decisions in a domain.
#[derive(Debug, Default)]
pub(super) struct DomainCounters {
    pub(super) ok: ThreadCounter,
    pub(super) over_limit: ThreadCounter,
    /// Part of `ok`: would be refused without the domain's shadow mode.
    pub(super) shadow: ThreadCounter,
    /// Part of `ok`: exempt from all limits.
    pub(super) exempt: ThreadCounter,
    /// Descriptors that matched no rule.
    pub(super) unmatched: ThreadCounter,
}

/// Everything that one thread counts.
#[derive(Debug, Default)]
pub(super) struct ThreadMetrics {
    /// Whether the thread is a worker, which has connections.
    pub(super) is_worker: bool,
    pub(super) rules: GrowingTable<RuleCounters>,
    /// Hits over one limit, for the rules that have several.
    pub(super) limits: GrowingTable<ThreadCounter>,
    pub(super) domains: GrowingTable<DomainCounters>,
    /// Descriptors by [`MatchKind`].
    pub(super) descriptors: [ThreadCounter; MatchKind::ALL.len()],
    /// Failed calls by gRPC status code.
    pub(super) errors: [ThreadCounter; 17],
    /// Rejected calls and connections.
    pub(super) rejections: ByReason<ThreadCounter>,
    /// Decisions in which a hit was not counted by the store and `on_store_error` supplied an answer.
    pub(super) degraded: ThreadCounter,
    /// Decisions that failed because of `on_store_error: error`.
    pub(super) failed: ThreadCounter,
    /// Calls that were cancelled before their decision.
    pub(super) cancelled: ThreadCounter,
    pub(super) decision_time: ThreadHistogram,
    pub(super) connections: Arc<AtomicUsize>,
}

/// Number of entries in the first chunk of a table; each further chunk has twice as many.
const FIRST: usize = 64;
const CHUNKS: usize = 26;

/// A table indexed by number. It grows without moving entries, so readers never wait.
#[derive(Debug)]
pub(super) struct GrowingTable<T>([OnceLock<Box<[T]>>; CHUNKS]);

impl<T> Default for GrowingTable<T> {
    fn default() -> Self {
        Self([const { OnceLock::new() }; CHUNKS])
    }
}

impl<T: Default> GrowingTable<T> {
    /// The entry with that number, created if necessary; `None` beyond the largest table.
    #[inline]
    pub(super) fn get_or_insert(&self, number: u32) -> Option<&T> {
        let (chunk, index) = locate(number);
        let fill = || (0..FIRST << chunk).map(|_| T::default()).collect();
        self.0.get(chunk)?.get_or_init(fill).get(index)
    }

    /// The entry with that number, if its chunk exists.
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        let (chunk, index) = locate(number);
        self.0.get(chunk)?.get()?.get(index)
    }
}

/// The chunk of a number, and its index there.
#[inline]
fn locate(number: u32) -> (usize, usize) {
    let shifted = number as usize + FIRST;
    let chunk = (shifted / FIRST).ilog2() as usize;
    (chunk, shifted - (FIRST << chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_own_entry() {
        let table = GrowingTable::<ThreadCounter>::default();
        for number in 0..10_000 {
            let entry = table.get_or_insert(number).unwrap();
            entry.add(u64::from(number) + 1);
        }
        for number in 0..10_000 {
            assert_eq!(table.get(number).unwrap().get(), u64::from(number) + 1);
        }
        assert!(table.get(1 << 20).is_none());
        assert_eq!(locate(0), (0, 0));
        assert_eq!(locate(63), (0, 63));
        assert_eq!(locate(64), (1, 0));
        assert!(locate(u32::MAX).0 <= CHUNKS + 1);
        assert!(table.get_or_insert(u32::MAX).is_none());
    }
}
