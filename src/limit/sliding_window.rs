//! A window that slides in sixteenths.
//!
//! A hit counts until the end of its slot plus one window, so any interval of the window's length
//! sees at most the limit, room returns at most a sixteenth of the window late, and the state has
//! a fixed size.

use bytes::{Buf, BufMut};

use super::apart::Own;
use super::encoding::Encode;
use super::state::Count;
use super::{Limit, MAX_COUNT};
use crate::clock::{Micros, Timestamp};

/// A window is so many slots long. 16 divides every whole second of microseconds.
const SLOTS_PER_WINDOW: u64 = 16;

/// Hits of the current slot and of the whole window before it can count.
const SLOTS_KEPT: u64 = SLOTS_PER_WINDOW + 1;

/// Hits by slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// The number, since the epoch, of the newest slot that was written.
    newest: u64,
    /// Slot `n` stands at `n % SLOTS_KEPT`; those older than `newest - SLOTS_PER_WINDOW` are gone.
    counts: [u64; SLOTS_KEPT as usize],
}

impl Slots {
    fn used(&self, limit: &Limit, now: Timestamp) -> u64 {
        self.live(limit, now).map(|slot| self.count(slot)).sum()
    }

    /// The time until `hits` of those counted now have ended.
    fn until_gone(&self, limit: &Limit, now: Timestamp, hits: u64) -> Micros {
        if hits == 0 {
            return Micros::ZERO;
        }
        let mut gone = 0;
        let mut last = self.newest;
        for slot in self.live(limit, now) {
            gone += self.count(slot);
            if gone >= hits {
                last = slot;
                break;
            }
        }
        let end = (last + 1 + SLOTS_PER_WINDOW) * slot_length(limit);
        Timestamp::from_micros(end).since(now)
    }

    /// The slots whose hits count now, oldest first. A clock that went back is still in the newest slot.
    fn live(&self, limit: &Limit, now: Timestamp) -> std::ops::RangeInclusive<u64> {
        let current = slot_at(limit, now).max(self.newest);
        current.saturating_sub(SLOTS_PER_WINDOW)..=self.newest
    }

    /// Makes the slot of now the newest, forgetting those that it replaces.
    fn advance(&mut self, limit: &Limit, now: Timestamp) -> u64 {
        self.advance_to(slot_at(limit, now))
    }

    fn advance_to(&mut self, slot: u64) -> u64 {
        let current = slot.max(self.newest);
        let passed = (current - self.newest).min(SLOTS_KEPT);
        for slot in current + 1 - passed..=current {
            *self.count_mut(slot) = 0;
        }
        self.newest = current;
        current
    }

    /// Adds what was counted apart, slot by slot, as far as it still counts.
    pub(super) fn settle(&mut self, own: &Own<'_, Self>) {
        let newest = self.advance_to(own.own.newest);
        let mut room = MAX_COUNT;
        for slot in (newest.saturating_sub(SLOTS_PER_WINDOW)..=newest).rev() {
            let count = own.sum(self, |of| match of.keeps(slot) {
                true => of.count(slot),
                false => 0,
            });
            *self.count_mut(slot) = count.min(room);
            room -= self.count(slot);
        }
    }

    fn keeps(&self, slot: u64) -> bool {
        (self.newest.saturating_sub(SLOTS_PER_WINDOW)..=self.newest).contains(&slot)
    }

    fn count(&self, slot: u64) -> u64 {
        self.counts[(slot % SLOTS_KEPT) as usize]
    }

    fn count_mut(&mut self, slot: u64) -> &mut u64 {
        &mut self.counts[(slot % SLOTS_KEPT) as usize]
    }
}

impl Count for Slots {
    fn fits(&self, limit: &Limit, now: Timestamp, hits: u64) -> bool {
        self.used(limit, now) + hits <= u64::from(limit.requests_per_unit)
    }

    fn add(&mut self, limit: &Limit, now: Timestamp, hits: u64) {
        let room = MAX_COUNT.saturating_sub(self.used(limit, now));
        let current = self.advance(limit, now);
        *self.count_mut(current) += hits.min(room);
    }

    /// Takes hits back, from the oldest slot first: what was given back would have ended soonest.
    fn refund(&mut self, limit: &Limit, now: Timestamp, hits: u64) {
        self.advance(limit, now);
        let mut left = hits;
        for slot in self.live(limit, now) {
            let count = self.count_mut(slot);
            let taken = left.min(*count);
            *count -= taken;
            left -= taken;
        }
    }

    fn remaining(&self, limit: &Limit, now: Timestamp) -> u64 {
        u64::from(limit.requests_per_unit).saturating_sub(self.used(limit, now))
    }

    /// The time until so many hits pass, if nobody else takes the room: exact to the microsecond.
    fn until_fits(&self, limit: &Limit, now: Timestamp, hits: u64) -> Micros {
        let requests = u64::from(limit.requests_per_unit);
        let needed = (self.used(limit, now) + hits.min(requests)).saturating_sub(requests);
        self.until_gone(limit, now, needed)
    }

    /// The time until nothing is counted any more.
    fn until_clear(&self, limit: &Limit, now: Timestamp) -> Micros {
        self.until_gone(limit, now, self.used(limit, now))
    }
}

impl Encode for Slots {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.newest);
        for count in self.counts {
            out.put_u64_le(count);
        }
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let newest = bytes.try_get_u64_le().ok()?;
        let mut counts = [0; SLOTS_KEPT as usize];
        for count in &mut counts {
            *count = bytes.try_get_u64_le().ok()?;
        }
        Some(Self { newest, counts })
    }
}

fn slot_length(limit: &Limit) -> u64 {
    limit.window.length().get() / SLOTS_PER_WINDOW
}

fn slot_at(limit: &Limit, now: Timestamp) -> u64 {
    now.micros() / slot_length(limit)
}
