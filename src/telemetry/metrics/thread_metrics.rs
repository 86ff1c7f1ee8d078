//! Numbers that one thread counts up and others read.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::histogram::Buckets;

/// Goes up only. One thread writes to it, so that counting takes no lock and no locked instruction; any may read.
#[derive(Debug, Default)]
pub(super) struct ThreadCounter(AtomicU64);

impl ThreadCounter {
    /// Counts so many more. Only for the thread whose counter it is.
    #[inline]
    pub(super) fn add(&self, more: u64) {
        let sum = self.0.load(Ordering::Relaxed).wrapping_add(more);
        self.0.store(sum, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The hits that met a rule.
#[derive(Debug, Default)]
pub(super) struct RuleCounters {
    /// Within all its limits.
    pub(super) within: ThreadCounter,
    /// Of those the ones that came near one.
    pub(super) near: ThreadCounter,
    /// Over one of its limits.
    pub(super) over: ThreadCounter,
    /// Of those the ones that shadow mode let pass.
    pub(super) shadow: ThreadCounter,
}

/// The decisions of a domain.
#[derive(Debug, Default)]
pub(super) struct DomainCounters {
    pub(super) ok: ThreadCounter,
    pub(super) over_limit: ThreadCounter,
    /// Of those that are OK the ones that the domain's shadow mode made so.
    pub(super) shadow: ThreadCounter,
}

/// All that one thread has counted.
#[derive(Debug, Default)]
pub(super) struct ThreadMetrics {
    /// Whether it has connections.
    pub(super) is_worker: bool,
    pub(super) rules: GrowingTable<RuleCounters>,
    /// One per limit of rules that have a list of them: hits over that limit.
    pub(super) limits: GrowingTable<ThreadCounter>,
    pub(super) domains: GrowingTable<DomainCounters>,
    /// By what descriptors met, see [`super::MatchKind`].
    pub(super) descriptors: [ThreadCounter; super::MatchKind::ALL.len()],
    /// By gRPC status code.
    pub(super) errors: [ThreadCounter; 17],
    /// Decisions for which not all hits could be counted …
    pub(super) degraded: ThreadCounter,
    /// … and of those for which a rule said to fail.
    pub(super) failed: ThreadCounter,
    /// Calls that their client gave up.
    pub(super) abandoned: ThreadCounter,
    pub(super) took: Buckets,
    pub(super) connections: Arc<AtomicUsize>,
}

/// How many entries the first chunk of a table has; each further one has twice as many.
const FIRST: usize = 64;
const CHUNKS: usize = 26;

/// Entries by number. It grows without moving any, so nobody waits for that.
#[derive(Debug)]
pub(super) struct GrowingTable<T>([OnceLock<Box<[T]>>; CHUNKS]);

impl<T> Default for GrowingTable<T> {
    fn default() -> Self {
        Self([const { OnceLock::new() }; CHUNKS])
    }
}

impl<T: Default> GrowingTable<T> {
    /// The entry of that number, which is there from now on.
    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        let (chunk, at) = place(number);
        let fill = || (0..FIRST << chunk).map(|_| T::default()).collect();
        self.0.get(chunk)?.get_or_init(fill).get(at)
    }

    /// The entry of that number, if its chunk is there.
    pub(super) fn peek(&self, number: u32) -> Option<&T> {
        let (chunk, at) = place(number);
        self.0.get(chunk)?.get()?.get(at)
    }
}

#[inline]
fn place(number: u32) -> (usize, usize) {
    let shifted = number as usize + FIRST;
    let chunk = (shifted / FIRST).ilog2() as usize;
    (chunk, shifted - (FIRST << chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_place_of_its_own() {
        let table = GrowingTable::<ThreadCounter>::default();
        for number in 0..10_000 {
            table.get(number).unwrap().add(u64::from(number) + 1);
        }
        for number in 0..10_000 {
            assert_eq!(table.peek(number).unwrap().get(), u64::from(number) + 1);
        }
        assert!(table.peek(1 << 20).is_none());
        assert_eq!(place(0), (0, 0));
        assert_eq!(place(63), (0, 63));
        assert_eq!(place(64), (1, 0));
        assert!(place(u32::MAX).0 <= CHUNKS + 1);
        assert!(table.get(u32::MAX).is_none());
    }
}
