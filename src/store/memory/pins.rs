//! Counters over their limit, kept until their reset within a share of the budget.
//!
//! When the share is full the counter that resets soonest goes: it has the least left to remember.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::{Counter, Key, KeyBits};
use crate::clock::Timestamp;

/// How many pins that are past their reset go when a new one comes: more than come, so they do not pile up.
const REAPED_AT_ONCE: usize = 2;

#[derive(Debug)]
pub(super) struct Pins {
    budget_bytes: u64,
    table: Mutex<Table>,
    /// The table's length, so that nobody locks an empty one.
    len: AtomicU64,
    dropped_early: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    by_key: HashMap<Key, Pin, KeyBits>,
    by_reset: BTreeSet<(Timestamp, Key)>,
    bytes: u64,
}

/// A counter and until when it is kept.
#[derive(Debug)]
pub(super) struct Pin {
    pub(super) counter: Arc<Counter>,
    pub(super) until: Timestamp,
    /// What it is reckoned to take.
    pub(super) bytes: u32,
}

/// What came of pinning a counter.
#[derive(Debug, Default)]
pub(super) struct Pinned {
    /// It was not pinned before.
    pub(super) newly: bool,
    /// Counters that are pinned no more, perhaps the same one: to be released without any lock held.
    pub(super) released: SmallVec<[Arc<Counter>; 2]>,
}

impl Pins {
    pub(super) fn new(budget_bytes: u64) -> Self {
        Self {
            budget_bytes,
            table: Mutex::default(),
            len: AtomicU64::new(0),
            dropped_early: AtomicU64::new(0),
        }
    }

    pub(super) fn get(&self, key: Key) -> Option<Arc<Counter>> {
        if self.len() == 0 {
            return None;
        }
        self.table
            .lock()
            .by_key
            .get(&key)
            .map(|pin| Arc::clone(&pin.counter))
    }

    /// Pins a counter, or moves its pin.
    pub(super) fn pin(&self, now: Timestamp, key: Key, pin: Pin) -> Pinned {
        let mut table = self.table.lock();
        let mut pinned = Pinned {
            newly: !table.remove(key),
            ..Pinned::default()
        };
        table.insert(key, pin);
        while let Some((until, key)) = table.by_reset.first().copied() {
            let past = until <= now && pinned.released.len() < REAPED_AT_ONCE;
            let full = table.bytes > self.budget_bytes;
            if !past && !full {
                break;
            }
            if until > now {
                self.dropped_early.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(pin) = table.by_key.get(&key) {
                pinned.released.push(Arc::clone(&pin.counter));
            }
            table.remove(key);
        }
        self.len.store(table.by_key.len() as u64, Ordering::Release);
        pinned
    }

    pub(super) fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.table.lock().bytes
    }

    pub(super) fn dropped_early(&self) -> u64 {
        self.dropped_early.load(Ordering::Relaxed)
    }
}

impl Table {
    fn insert(&mut self, key: Key, pin: Pin) {
        self.bytes += u64::from(pin.bytes);
        self.by_reset.insert((pin.until, key));
        self.by_key.insert(key, pin);
    }

    fn remove(&mut self, key: Key) -> bool {
        let Some(pin) = self.by_key.remove(&key) else {
            return false;
        };
        self.bytes -= u64::from(pin.bytes);
        self.by_reset.remove(&(pin.until, key));
        true
    }
}
