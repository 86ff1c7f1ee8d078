//! The writes of one counter: waiting, and in flight.

use tokio::time::Instant;

use crate::limit::{LimitSet, States};
use crate::store::Hit;
use crate::store::redis::pending_write::PendingWrite;

/// The writes of one counter. It exists while it has any.
#[derive(Debug)]
pub(super) struct WriteBackEntry {
    /// What waits to be sent, on top of what was sent already.
    pub(super) next: PendingWrite,
    /// Whether `next` has to be sent; it may have to without any hits, to raise Redis.
    pub(super) is_waiting: bool,
    /// When to send `next` in the background.
    pub(super) due: Instant,
    pub(super) in_flight: Vec<(u64, PendingWrite)>,
    /// Whether the fallback store has counted all of this, too.
    pub(super) is_in_fallback: bool,
}

impl WriteBackEntry {
    /// Nothing waits yet; `reported` is what Redis last reported.
    pub(super) fn new(set: &LimitSet, reported: States) -> Self {
        Self {
            next: PendingWrite::new(set, reported),
            is_waiting: false,
            due: Instant::now(),
            in_flight: Vec::new(),
            is_in_fallback: false,
        }
    }

    /// Adds all writes to what Redis reported; `states` are aligned to the limits of the hit.
    pub(super) fn add_to(&mut self, hit: &Hit<'_>, states: &mut States) {
        self.add_in_flight_to(hit, states);
        self.next.add_to(hit.set, states);
    }

    fn add_in_flight_to(&mut self, hit: &Hit<'_>, states: &mut States) {
        for (_, write) in &mut self.in_flight {
            write.add_to(hit.set, states);
        }
    }

    /// Moves what waits on top of what Redis has `reported` since, and of what is in flight.
    pub(super) fn rebase(&mut self, hit: &Hit<'_>, mut reported: States) {
        reported.align(hit.set);
        self.add_in_flight_to(hit, &mut reported);
        self.next.rebase(hit.set, reported);
    }

    pub(super) fn has_writes(&self) -> bool {
        self.is_waiting || !self.in_flight.is_empty()
    }
}
