//! Counters side by side, each in a slot that keeps its number.
//!
//! Slots come in chunks, so that a table that grows moves none of them and reserves little ahead.

use super::shard::Counter;

const CHUNK: u32 = 256;

/// Counters by the number of their slot.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// All full but the last.
    chunks: Vec<Vec<Option<Counter>>>,
    free: Vec<u32>,
    len: u32,
}

impl Slots {
    /// Slots that hold a counter.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Slots that there are, free ones included: their numbers are all below.
    pub(super) fn span(&self) -> u32 {
        self.len + self.free.len() as u32
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Counter> {
        let chunk = self.chunks.get((slot / CHUNK) as usize)?;
        chunk.get((slot % CHUNK) as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Counter> {
        let chunk = self.chunks.get_mut((slot / CHUNK) as usize)?;
        chunk.get_mut((slot % CHUNK) as usize)?.as_mut()
    }

    /// Puts a counter into the slot freed last, else into a new one, and tells which.
    pub(super) fn insert(&mut self, counter: Counter) -> u32 {
        self.len += 1;
        if let Some(slot) = self.free.pop() {
            self.chunks[(slot / CHUNK) as usize][(slot % CHUNK) as usize] = Some(counter);
            return slot;
        }
        let slot = self.len - 1;
        if slot.is_multiple_of(CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK as usize));
        }
        if let Some(last) = self.chunks.last_mut() {
            last.push(Some(counter));
        }
        slot
    }

    /// Frees a slot.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Counter> {
        let chunk = self.chunks.get_mut((slot / CHUNK) as usize)?;
        let counter = chunk.get_mut((slot % CHUNK) as usize)?.take()?;
        self.len -= 1;
        self.free.push(slot);
        Some(counter)
    }
}
