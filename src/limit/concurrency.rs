//! Slots that are held by leases: at most the limit at any instant.
//!
//! A lease ends when it is released or when it expires. The state lists every lease with its slots
//! and its expiry.

use std::collections::VecDeque;

use bytes::{Buf, BufMut};

use super::MAX_COUNT;
use super::count::{Count, Encode, MAX_TIME, take_count, take_time};
use crate::clock::{Micros, Timestamp};
use crate::request::LeaseId;

/// The most slots of one limit: releasing a lease searches all that are held.
pub const MAX_IN_FLIGHT: u32 = 100_000;

/// When the next slot will be released is unknown, so clients are asked to retry soon.
const RETRY: Micros = Micros::from_secs(1);

/// The leases that hold slots, the first to expire at the front.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseTable {
    held: VecDeque<Held>,
    /// The slots in `held`, including those of expired leases.
    slots: u64,
    /// When the latest lease was granted: a clock that goes back does not shorten leases.
    latest: Timestamp,
}

/// What one grant holds. A request that meets the same limit twice has two grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    lease: LeaseId,
    /// When it expires.
    until: Timestamp,
    slots: u32,
}

impl LeaseTable {
    /// Grants slots until the lease is released, or `length` has passed.
    pub(super) fn grant(&mut self, now: Timestamp, lease: LeaseId, slots: u32, length: Micros) {
        self.remove_expired(now);
        self.latest = self.latest.max(now);
        let until = self.latest.plus(length);
        let at = self.held.partition_point(|held| held.until <= until);
        self.held.insert(
            at,
            Held {
                lease,
                until,
                slots,
            },
        );
        // A stored table may claim as many as there can be.
        self.slots = (self.slots + u64::from(slots)).min(MAX_COUNT);
    }

    /// Releases one grant of that lease, and returns whether it had one that has not expired.
    pub(super) fn release(&mut self, now: Timestamp, lease: LeaseId) -> bool {
        self.remove_expired(now);
        if lease == LeaseId::NIL {
            return false;
        }
        let found = self.held.iter().position(|held| held.lease == lease);
        let released = found.and_then(|at| self.held.remove(at));
        let slots = released.map_or(0, |held| u64::from(held.slots));
        self.slots = self.slots.saturating_sub(slots);
        released.is_some()
    }

    /// Corrects leases of a clock that was ahead by more than the length of a lease: none lasts longer than `length` from
    /// `now`.
    pub(super) fn correct_leases(&mut self, now: Timestamp, length: Micros) {
        if self.latest.since(now) <= length {
            return;
        }
        self.latest = now;
        let end = now.plus(length);
        for held in &mut self.held {
            held.until = held.until.min(end);
        }
    }

    /// When the last lease expires; `None` if none is held now.
    pub(super) fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        let last = self.held.back().map(|held| held.until);
        last.filter(|until| *until > now)
    }

    /// Bytes of its allocations, without the struct itself.
    pub(super) fn heap_bytes(&self) -> usize {
        self.held.capacity() * size_of::<Held>()
    }

    fn remove_expired(&mut self, now: Timestamp) {
        self.slots = self.used(now);
        let expired = self.held.partition_point(|held| held.until <= now);
        self.held.drain(..expired);
    }

    fn slots_expired(&self, now: Timestamp) -> u64 {
        let expired = self.held.iter().take_while(|held| held.until <= now);
        expired.map(|held| u64::from(held.slots)).sum()
    }

    /// The slots of the leases that have not expired. A stored table may claim another number of slots than its leases
    /// have; that error ends with them.
    fn used(&self, now: Timestamp) -> u64 {
        match self.held_until(now) {
            Some(_) => self.slots.saturating_sub(self.slots_expired(now)),
            None => 0,
        }
    }
}

/// The parameter is the number of slots, and hits are slots. Only [`LeaseTable::grant`] and
/// [`LeaseTable::release`] change how many are in use.
impl Count<u32> for LeaseTable {
    fn capacity(max_in_flight: &u32) -> u64 {
        (*max_in_flight).into()
    }

    /// [`LeaseTable::correct_leases`] does it, for it needs the length of the leases.
    fn correct(&mut self, _max_in_flight: &u32, _now: Timestamp) {}

    fn admits(&self, max_in_flight: &u32, now: Timestamp, hits: u64) -> bool {
        self.used(now) + hits <= u64::from(*max_in_flight)
    }

    fn add(&mut self, _max_in_flight: &u32, _now: Timestamp, _hits: u64) {}

    fn refund(&mut self, _max_in_flight: &u32, _now: Timestamp, _hits: u64) {}

    fn available(&self, max_in_flight: &u32, now: Timestamp) -> u64 {
        u64::from(*max_in_flight).saturating_sub(self.used(now))
    }

    fn until_admitted(&self, _max_in_flight: &u32, _now: Timestamp, _hits: u64) -> Micros {
        RETRY
    }

    fn until_clear(&self, _max_in_flight: &u32, _now: Timestamp) -> Micros {
        RETRY
    }
}

/// The encoded size of one lease.
const ENCODED_BYTES: usize = 16 + 8 + 4;

impl Encode for LeaseTable {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.slots);
        out.put_u64_le(self.latest.micros());
        // At most MAX_IN_FLIGHT leases.
        out.put_u32_le((self.held.len() * ENCODED_BYTES) as u32);
        for held in &self.held {
            out.put_u128_le(held.lease.bits());
            out.put_u64_le(held.until.micros());
            out.put_u32_le(held.slots);
        }
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let slots = take_count(bytes)?;
        let latest = take_time(bytes)?;
        let length = bytes.try_get_u32_le().ok()? as usize;
        if length > MAX_IN_FLIGHT as usize * ENCODED_BYTES {
            return None;
        }
        let (mut leases, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        let mut held = VecDeque::with_capacity(length / ENCODED_BYTES);
        while leases.has_remaining() {
            held.push_back(Held {
                lease: LeaseId::from_bits(leases.try_get_u128_le().ok()?),
                until: Timestamp::from_micros(leases.try_get_u64_le().ok()?),
                slots: leases.try_get_u32_le().ok()?,
            });
        }
        if held.back().is_some_and(|last| last.until > MAX_TIME) {
            return None;
        }
        Some(Self {
            held,
            slots,
            latest,
        })
    }
}
