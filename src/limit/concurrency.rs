//! Slots that are held by leases: at most the limit at any instant.
//!
//! A lease ends when it is given back, or by itself. What is remembered of it is who holds how many slots until when.

use std::collections::VecDeque;

use bytes::{Buf, BufMut};

use super::encoding::Encode;
use super::state::Count;
use super::{Limit, Window};
use crate::clock::{Micros, Timestamp};
use crate::request::LeaseId;

/// The most slots of one limit: a lease is searched for among those that are held.
pub const MAX_IN_FLIGHT: u32 = 100_000;

/// When somebody will give back is not known, so a client is told to come again soon.
const RETRY: Micros = Micros::from_secs(1);

/// Who holds slots, the lease that ends first at the front.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leases {
    held: VecDeque<Held>,
    /// Of all of them, ended or not.
    slots: u64,
    /// The latest moment at which one was granted: a clock that goes back makes no lease end earlier.
    latest: Timestamp,
}

/// What one call holds. A call that meets the same limit twice is there twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    lease: LeaseId,
    /// Ended from then on.
    until: Timestamp,
    slots: u32,
}

impl Leases {
    /// Takes slots until the lease is given back, or `length` has passed.
    pub(super) fn take(&mut self, now: Timestamp, (lease, slots): (LeaseId, u32), length: Window) {
        self.forget_ended(now);
        self.latest = self.latest.max(now);
        let until = self.latest.plus(length.length());
        let at = self.held.partition_point(|held| held.until <= until);
        self.held.insert(
            at,
            Held {
                lease,
                until,
                slots,
            },
        );
        self.slots += u64::from(slots);
    }

    /// Frees what one take of that lease holds; tells whether there was any. One that has ended holds nothing.
    pub(super) fn give_back(&mut self, now: Timestamp, lease: LeaseId) -> bool {
        self.forget_ended(now);
        if lease == LeaseId::NOBODYS {
            return false;
        }
        let found = self.held.iter().position(|held| held.lease == lease);
        let freed = found.and_then(|at| self.held.remove(at));
        self.slots -= freed.map_or(0, |held| u64::from(held.slots));
        freed.is_some()
    }

    /// When the last of them ends; none if none is held now.
    pub(super) fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        let last = self.held.back().map(|held| held.until);
        last.filter(|until| *until > now)
    }

    /// Bytes that they take on the heap, those of this struct excepted.
    pub(super) fn heap_bytes(&self) -> usize {
        self.held.capacity() * size_of::<Held>()
    }

    fn forget_ended(&mut self, now: Timestamp) {
        self.slots -= self.slots_ended(now);
        let ended = self.held.partition_point(|held| held.until <= now);
        self.held.drain(..ended);
    }

    fn slots_ended(&self, now: Timestamp) -> u64 {
        let ended = self.held.iter().take_while(|held| held.until <= now);
        ended.map(|held| u64::from(held.slots)).sum()
    }

    fn used(&self, now: Timestamp) -> u64 {
        self.slots - self.slots_ended(now)
    }
}

/// Hits are slots. They are not counted without a lease, nor given back without one.
impl Count for Leases {
    fn fits(&self, limit: &Limit, now: Timestamp, hits: u64) -> bool {
        self.used(now) + hits <= u64::from(limit.requests_per_unit)
    }

    fn add(&mut self, _limit: &Limit, _now: Timestamp, _hits: u64) {}

    fn refund(&mut self, _limit: &Limit, _now: Timestamp, _hits: u64) {}

    fn remaining(&self, limit: &Limit, now: Timestamp) -> u64 {
        u64::from(limit.requests_per_unit).saturating_sub(self.used(now))
    }

    fn until_fits(&self, _limit: &Limit, _now: Timestamp, _hits: u64) -> Micros {
        RETRY
    }

    fn until_clear(&self, _limit: &Limit, _now: Timestamp) -> Micros {
        RETRY
    }
}

/// The bytes of one lease.
const ENCODED_BYTES: usize = 16 + 8 + 4;

impl Encode for Leases {
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
        let slots = bytes.try_get_u64_le().ok()?;
        let latest = Timestamp::from_micros(bytes.try_get_u64_le().ok()?);
        let length = bytes.try_get_u32_le().ok()? as usize;
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
        Some(Self {
            held,
            slots,
            latest,
        })
    }
}
