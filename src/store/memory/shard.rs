//! A table of counters within its share of the memory budget.
//!
//! A full table evicts by the CLOCK ("second chance") policy: a hand moves over the slab and removes
//! the first counter that was not used since it was inserted or the hand last passed it. So every
//! new counter is stored, and the counters that are lost are cheap ones, often of a single hit.
//!
//! A counter over its limit is pinned until its reset: a flood of new keys cannot evict it. So is a
//! counter that holds leases, until the last one expires. Pinned counters may use half of the
//! budget. Beyond that the one that resets soonest is unpinned first.

mod recorded;

use std::collections::BTreeSet;

use hashbrown::HashTable;

use super::changes::{ChangedCounter, ShardChanges};
use super::slab::Slab;
use crate::clock::Timestamp;
use crate::limit::{EndHint, Outcomes, States};
use crate::request::{Cost, LeaseId};
use crate::store::batch::ReleasedLeases;
use crate::store::{CounterKey, Hit, Stats};

/// How many expired pins each new pin removes: more than one, so that they do not accumulate.
const REMOVED_PER_PIN: usize = 2;

/// Resident bytes of a counter with one fixed window or token bucket, as `cargo bench -p weir-bench --bench resident`
/// measures them: its place in the slab, and four entries of nine bytes in an index that may be half
/// empty and whose previous, smaller table is still allocated. Longer states need more on the heap.
const COUNTER_BYTES: usize = size_of::<Option<CounterEntry>>() + 4 * (size_of::<IndexEntry>() + 1);

/// Bytes of a pin in its ordered set, whose nodes are half full at worst.
const PIN_BYTES: u64 = 2 * size_of::<(u32, u32)>() as u64;

#[derive(Debug)]
pub(super) struct CounterShard {
    index: HashTable<IndexEntry>,
    slab: Slab<CounterEntry>,
    /// Pinned counters: until when, in seconds since the epoch, and the index in the slab.
    pins: BTreeSet<(u32, u32)>,
    budget_bytes: u64,
    bytes: u64,
    /// The part of `bytes` that pinned counters use.
    pinned_bytes: u64,
    /// The index in the slab that the hand checks next.
    hand: u32,
    evicted: u64,
    evicted_over_limit: u64,
    /// `None` if nobody makes records.
    changes: Option<ShardChanges>,
}

/// The index of a counter in the slab, with the bits of its key that find it.
#[derive(Clone, Copy, Debug)]
struct IndexEntry {
    key_bits: u32,
    index: u32,
}

#[derive(Debug)]
pub(super) struct CounterEntry {
    key: CounterKey,
    states: States,
    /// Until when it is pinned, in seconds since the epoch; 0 if it is not.
    pinned_until_secs: u32,
    /// Whether it was used since it was inserted or the hand passed it.
    used: bool,
    /// Whether it is in the list of changes, or there is none: then there is nothing to note.
    is_noted: bool,
    /// Whether it may have a record.
    has_record: bool,
}

impl CounterShard {
    pub(super) fn new(budget_bytes: u64, has_records: bool) -> Self {
        Self {
            index: HashTable::new(),
            slab: Slab::default(),
            pins: BTreeSet::new(),
            budget_bytes,
            bytes: 0,
            pinned_bytes: 0,
            hand: 0,
            evicted: 0,
            evicted_over_limit: 0,
            changes: has_records.then(ShardChanges::default),
        }
    }

    /// Applies a hit to its counter; `outcomes` must be empty.
    pub(super) fn hit(
        &mut self,
        now: Timestamp,
        hit: &Hit<'_>,
        released: &mut ReleasedLeases,
        outcomes: &mut Outcomes,
    ) {
        let found = self.find(hit.key);
        let index = match (found, hit.cost) {
            (Some(index), _) => index,
            (None, Cost::Hits(_)) => self.insert(now, hit.key, States::fresh(hit.set)),
            // They do not change a fresh counter, so none is inserted.
            (None, Cost::Peek | Cost::Refund(_)) => {
                return hit.step(now, &mut States::fresh(hit.set), released, outcomes);
            }
        };
        let Some(counter) = self.slab.get_mut(index) else {
            return;
        };
        counter.used |= found.is_some();
        let is_noted = counter.is_noted || hit.cost == Cost::Peek;
        let may_resize = hit.set.can_grow() || !counter.states.is_aligned(hit.set);
        let before = may_resize.then(|| counter.bytes());
        if may_resize {
            counter.states.align(hit.set);
        }
        hit.step(now, &mut counter.states, released, outcomes);
        if !is_noted {
            self.note(index, EndHint::of(hit.set));
        }
        let grown = before.is_some_and(|before| self.update_bytes(index, before));
        self.update_pin(now, index, hit, [&*outcomes]);
        if grown {
            self.make_room(now, 0);
        }
    }

    /// Removes a counter, pinned or not, and returns whether there was one.
    pub(super) fn reset(&mut self, key: CounterKey) -> bool {
        let Some(index) = self.find(key) else {
            return false;
        };
        self.unpin(index);
        self.remove(index)
    }

    /// The states of a counter, if there is one.
    pub(super) fn states(&self, key: CounterKey) -> Option<States> {
        let counter = self.slab.get(self.find(key)?)?;
        Some(counter.states.clone())
    }

    /// Replaces the states of a counter, or inserts one if they are not fresh. `outcomes` are those of
    /// all hits at the counter.
    pub(super) fn write<'o>(
        &mut self,
        now: Timestamp,
        hit: &Hit<'_>,
        states: States,
        outcomes: impl IntoIterator<Item = &'o Outcomes>,
    ) {
        let index = match self.find(hit.key) {
            Some(index) => index,
            None if states == States::fresh(hit.set) => return,
            None => {
                let index = self.insert(now, hit.key, states);
                self.note(index, EndHint::of(hit.set));
                self.update_pin(now, index, hit, outcomes);
                return;
            }
        };
        let Some(counter) = self.slab.get_mut(index) else {
            return;
        };
        let before = counter.bytes();
        counter.used = true;
        counter.states = states;
        self.note(index, EndHint::of(hit.set));
        let grown = self.update_bytes(index, before);
        self.update_pin(now, index, hit, outcomes);
        if grown {
            self.make_room(now, 0);
        }
    }

    /// Releases one grant of a lease.
    pub(super) fn release(&mut self, now: Timestamp, lease: LeaseId, key: CounterKey) {
        let Some(index) = self.find(key) else {
            return;
        };
        let Some(counter) = self.slab.get_mut(index) else {
            return;
        };
        let before = counter.bytes();
        counter.states.release(now, lease);
        self.update_bytes(index, before);
        self.note(index, EndHint::UNKNOWN);
    }

    /// Notes that a counter has changed.
    fn note(&mut self, index: u32, hint: EndHint) {
        let span = self.slab.span();
        if let Some(changes) = &mut self.changes
            && let Some(counter) = self.slab.get_mut(index)
            && !counter.is_noted
        {
            counter.is_noted = true;
            changes.push(ChangedCounter { index, hint }, span);
        }
    }

    /// Pins a counter while it is over a limit or holds leases.
    fn update_pin<'o>(
        &mut self,
        now: Timestamp,
        index: u32,
        hit: &Hit<'_>,
        outcomes: impl IntoIterator<Item = &'o Outcomes>,
    ) {
        for outcomes in outcomes {
            match outcomes.blocked_until.max(outcomes.held_until) {
                Some(until) => self.pin(now, index, until),
                // Only leases pin such a counter, and the last one was released.
                None if hit.set.limits.len() == 1 && hit.set.has_leases() => self.unpin(index),
                None => {}
            }
        }
    }

    /// Updates the byte accounting of a counter that had `before` bytes; returns whether it grew.
    fn update_bytes(&mut self, index: u32, before: u64) -> bool {
        let Some(counter) = self.slab.get(index) else {
            return false;
        };
        let after = counter.bytes();
        self.bytes = self.bytes - before + after;
        if counter.pinned_until_secs != 0 {
            self.pinned_bytes = self.pinned_bytes - before + after;
        }
        after > before
    }

    pub(super) fn add_to(&self, stats: &mut Stats) {
        stats.counters += u64::from(self.slab.len());
        stats.bytes += self.bytes;
        stats.pinned += self.pins.len() as u64;
        stats.evicted += self.evicted;
        stats.evicted_over_limit += self.evicted_over_limit;
    }

    fn find(&self, key: CounterKey) -> Option<u32> {
        let bits = key.low_bits();
        let is_same = |place: &IndexEntry| {
            place.key_bits == bits
                && self
                    .slab
                    .get(place.index)
                    .is_some_and(|counter| counter.key == key)
        };
        let place = self.index.find(hash(bits), is_same)?;
        Some(place.index)
    }

    fn insert(&mut self, now: Timestamp, key: CounterKey, states: States) -> u32 {
        let counter = CounterEntry {
            key,
            states,
            pinned_until_secs: 0,
            used: false,
            is_noted: self.changes.is_none(),
            has_record: false,
        };
        self.make_room(now, counter.bytes());
        self.bytes += counter.bytes();
        let index = self.slab.insert(counter);
        let key_bits = key.low_bits();
        let place = IndexEntry { key_bits, index };
        self.index
            .insert_unique(hash(key_bits), place, |place| hash(place.key_bits));
        index
    }

    /// Evicts counters until there is room for `bytes`. Two rounds of the hand find all that can go.
    fn make_room(&mut self, now: Timestamp, bytes: u64) {
        let mut steps = 2 * u64::from(self.slab.span());
        while self.bytes + bytes > self.budget_bytes && steps > 0 {
            steps -= 1;
            let index = self.hand;
            self.hand = if index + 1 < self.slab.span() {
                index + 1
            } else {
                0
            };
            let Some(counter) = self.slab.get_mut(index) else {
                continue;
            };
            if counter.pinned_until_secs == 0 && !counter.used {
                self.evict(index);
                continue;
            }
            counter.used = false;
            if counter.pinned_until_secs != 0 && counter.pinned_until() <= now {
                self.unpin(index);
            }
        }
    }

    fn evict(&mut self, index: u32) {
        self.evicted += u64::from(self.remove(index));
    }

    /// Removes a counter that is not pinned, and returns whether there was one.
    fn remove(&mut self, index: u32) -> bool {
        let Some(counter) = self.slab.remove(index) else {
            return false;
        };
        self.bytes -= counter.bytes();
        if counter.has_record
            && let Some(changes) = &mut self.changes
        {
            changes.removed.push(counter.key);
        }
        let hash = hash(counter.key.low_bits());
        if let Ok(place) = self.index.find_entry(hash, |place| place.index == index) {
            place.remove();
        }
        true
    }

    /// Pins a counter or extends its pin, and removes pins that are expired or too many.
    fn pin(&mut self, now: Timestamp, index: u32, until: Timestamp) {
        let until_secs = u32::try_from(until.secs_ceil()).unwrap_or(u32::MAX);
        match self.slab.get(index) {
            Some(counter) if counter.pinned_until_secs < until_secs => {}
            _ => return,
        }
        self.unpin(index);
        if let Some(counter) = self.slab.get_mut(index) {
            counter.pinned_until_secs = until_secs;
            self.pins.insert((until_secs, index));
            self.bytes += PIN_BYTES;
            self.pinned_bytes += counter.bytes() + PIN_BYTES;
        }
        let mut removed = 0;
        while let Some((until_secs, index)) = self.pins.first().copied() {
            let is_expired = Timestamp::from_secs(until_secs.into()) <= now;
            let are_too_many = self.pinned_bytes > self.budget_bytes / 2;
            let must_go = are_too_many || (is_expired && removed < REMOVED_PER_PIN);
            if !must_go {
                break;
            }
            removed += 1;
            self.evicted_over_limit += u64::from(!is_expired);
            self.unpin(index);
        }
    }

    fn unpin(&mut self, index: u32) {
        let Some(counter) = self.slab.get_mut(index) else {
            return;
        };
        if self.pins.remove(&(counter.pinned_until_secs, index)) {
            counter.pinned_until_secs = 0;
            self.bytes -= PIN_BYTES;
            self.pinned_bytes -= counter.bytes() + PIN_BYTES;
        }
    }
}

impl CounterEntry {
    fn bytes(&self) -> u64 {
        (COUNTER_BYTES + self.states.heap_bytes()) as u64
    }

    fn pinned_until(&self) -> Timestamp {
        Timestamp::from_secs(self.pinned_until_secs.into())
    }
}

/// A key is a keyed hash already. Its bits are used twice, for the table reads both ends of a hash.
fn hash(key_bits: u32) -> u64 {
    u64::from(key_bits) << 32 | u64::from(key_bits)
}
