//! What was counted here and not in Redis, until it is added there.
//!
//! While Redis is away rules that say so are counted here. What that came to is kept for each counter and sent once Redis
//! answers: before the next call at the same counter, and a few counters at a time for all others. It is sent once. Of what
//! was sent and not answered nobody knows whether it was taken: Redis is then told to have at least as much
//! as is known here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{MutexGuard, Notify};

use super::pending_write::{Charged, Debit};
use super::script;
use crate::clock::Timestamp;
use crate::limit::States;
use crate::store::{CounterKey, Hit};

/// Counters that something is owed for, at most; those that were charged least recently are forgotten then.
const COUNTERS: usize = 65_536;

/// What is owed, counter by counter.
#[derive(Debug, Default)]
pub(super) struct Owed {
    ledger: Mutex<Ledger>,
    /// Counters whose debits wait to be sent.
    waiting: AtomicUsize,
    came: Notify,
    turn: tokio::sync::Mutex<()>,
    settled: AtomicU64,
    forgotten: AtomicU64,
    returned: AtomicU64,
}

#[derive(Debug, Default)]
struct Ledger {
    entries: HashMap<CounterKey, Entry>,
    /// Entries that wait, least recently charged first.
    order: BTreeMap<u64, CounterKey>,
    next: u64,
}

/// What is owed for a counter. It stays, empty, while what it held is on its way: what Redis had before is known by it.
#[derive(Debug)]
struct Entry {
    debit: Debit,
    /// Its place in the order; none if it is empty.
    place: Option<u64>,
    on_their_way: u32,
}

/// A debit that is on its way. It comes back if it is dropped before it was settled.
#[derive(Debug)]
pub(super) struct Owing {
    owed: Arc<Owed>,
    key: CounterKey,
    /// None when that is settled.
    debit: Option<Debit>,
}

impl Owed {
    /// Whether nothing waits to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0
    }

    /// Notes a charge; `base` is what Redis last said of the counter.
    pub(super) fn charge(&self, key: CounterKey, base: Option<States>, charged: &Charged<'_>) {
        let base = || base.unwrap_or_else(|| States::fresh(charged.set));
        self.note(key, |entry| match entry {
            Some(debit) => {
                debit.apart.mark_remote_lost();
                debit.charge(charged);
                None
            }
            None => {
                let mut debit = Debit::new(charged.set, base(), true);
                debit.charge(charged);
                Some(debit)
            }
        });
    }

    /// Sees to it that Redis has at least what it last said of a counter, if that is known.
    pub(super) fn restore(&self, moment: Timestamp, hit: &Hit<'_>, base: Option<States>) {
        if let Some(base) = base {
            let debit = Debit {
                charged: moment,
                ..Debit::new(hit.set, base, true)
            };
            self.keep(hit.key, debit);
        }
    }

    /// Keeps a debit that could not be sent.
    pub(super) fn keep(&self, key: CounterKey, debit: Debit) {
        self.note(key, |entry| match entry {
            Some(owed) => {
                owed.join(debit);
                None
            }
            None => Some(debit),
        });
    }

    /// Adds what waits for a counter to what Redis says of it.
    pub(super) fn add_to(&self, hit: &Hit<'_>, states: &mut States) {
        if self.is_empty() {
            return;
        }
        if let Some(entry) = self.ledger.lock().entries.get_mut(&hit.key) {
            entry.debit.align(hit.set);
            states.align(hit.set);
            entry.debit.apart.add_to(hit.set, states);
        }
    }

    /// What waits for a counter, to be sent.
    pub(super) fn take(self: &Arc<Self>, key: CounterKey) -> Option<Owing> {
        if self.is_empty() {
            return None;
        }
        let debit = self.ledger.lock().take(key)?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(Owing::new(self, key, debit))
    }

    /// What waits for some counters, to be sent; waits until there is something.
    pub(super) async fn some(self: &Arc<Self>, most: usize) -> Vec<Owing> {
        loop {
            let came = self.came.notified();
            let mut owing = Vec::new();
            {
                let mut ledger = self.ledger.lock();
                while owing.len() < most
                    && let Some((_, key)) = ledger.order.pop_first()
                {
                    let debit = ledger.take(key);
                    owing.extend(debit.map(|debit| Owing::new(self, key, debit)));
                }
            }
            if !owing.is_empty() {
                self.waiting.fetch_sub(owing.len(), Ordering::Relaxed);
                return owing;
            }
            came.await;
        }
    }

    /// Waits for the turn to send what waits, so that coming back does not keep Redis from its other clients.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Forgets what waits for a counter.
    pub(super) fn forget(&self, key: CounterKey) {
        let mut ledger = self.ledger.lock();
        if ledger.take(key).is_some() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        ledger.entries.remove(&key);
    }

    /// Hits that Redis was told of afterwards.
    pub(super) fn settled(&self) -> u64 {
        self.settled.load(Ordering::Relaxed)
    }

    /// Hits that Redis is not told of, since there were too many counters.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }

    /// Debits that came back.
    pub(super) fn returned(&self) -> u64 {
        self.returned.load(Ordering::Relaxed)
    }

    /// Changes what is owed for a counter, or begins it.
    fn note(&self, key: CounterKey, change: impl FnOnce(Option<&mut Debit>) -> Option<Debit>) {
        let mut ledger = self.ledger.lock();
        match ledger.entries.get_mut(&key) {
            Some(entry) => drop(change(Some(&mut entry.debit))),
            None => {
                let Some(debit) = change(None) else { return };
                let entry = Entry {
                    debit,
                    place: None,
                    on_their_way: 0,
                };
                ledger.entries.insert(key, entry);
            }
        }
        if ledger.put_last(key) {
            self.waiting.fetch_add(1, Ordering::Relaxed);
        }
        if ledger.order.len() > COUNTERS
            && let Some((_, oldest)) = ledger.order.pop_first()
            && let Some(entry) = ledger.entries.remove(&oldest)
        {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.forgotten
                .fetch_add(entry.debit.hits, Ordering::Relaxed);
        }
        drop(ledger);
        self.came.notify_one();
    }
}

impl Ledger {
    /// Takes out what waits for a counter.
    fn take(&mut self, key: CounterKey) -> Option<Debit> {
        let entry = self.entries.get_mut(&key)?;
        self.order.remove(&entry.place.take()?);
        entry.on_their_way += 1;
        Some(entry.debit.empty())
    }

    /// Lets a counter wait behind all others; tells whether it did not wait before.
    fn put_last(&mut self, key: CounterKey) -> bool {
        let place = self.next;
        let Some(entry) = self.entries.get_mut(&key) else {
            return false;
        };
        self.next += 1;
        self.order.insert(place, key);
        match entry.place.replace(place) {
            Some(before) => {
                self.order.remove(&before);
                false
            }
            None => true,
        }
    }

    /// What was on its way for a counter has arrived, or come back.
    fn arrived(&mut self, key: CounterKey) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.on_their_way = entry.on_their_way.saturating_sub(1);
            if entry.on_their_way == 0 && entry.place.is_none() {
                self.entries.remove(&key);
            }
        }
    }
}

impl Owing {
    pub(super) fn new(owed: &Arc<Owed>, key: CounterKey, debit: Debit) -> Self {
        Self {
            owed: Arc::clone(owed),
            key,
            debit: Some(debit),
        }
    }

    pub(super) fn key(&self) -> CounterKey {
        self.key
    }

    /// As the script reads it.
    pub(super) fn encoded(&self) -> Vec<u8> {
        let encode =
            |debit: &Debit| script::encode_settlement(debit.charged, &debit.set, &debit.apart);
        self.debit.as_ref().map_or_else(Vec::new, encode)
    }

    /// Redis may have got it, and nobody knows.
    pub(super) fn in_doubt(mut self) {
        if let Some(debit) = &mut self.debit {
            debit.apart.mark_maybe_applied();
        }
    }

    /// Redis has got it.
    pub(super) fn settled(mut self) {
        if let Some(debit) = self.debit.take() {
            self.owed.settled.fetch_add(debit.hits, Ordering::Relaxed);
            self.owed.ledger.lock().arrived(self.key);
        }
    }
}

impl Drop for Owing {
    fn drop(&mut self) {
        let Some(mut debit) = self.debit.take() else {
            return;
        };
        debit.apart.mark_remote_lost();
        self.owed.returned.fetch_add(1, Ordering::Relaxed);
        self.owed.keep(self.key, debit);
        self.owed.ledger.lock().arrived(self.key);
    }
}
