//! Counters side by side, each in a index that keeps its number.
//!
//! Slab come in chunks, so that a table that grows moves none of them and reserves little ahead.

use super::shard::CounterEntry;

const CHUNK: u32 = 256;

/// Counters by the number of their index.
#[derive(Debug, Default)]
pub(super) struct Slab {
    /// All full but the last.
    chunks: Vec<Vec<Option<CounterEntry>>>,
    free: Vec<u32>,
    len: u32,
}

impl Slab {
    /// Slab that hold a counter.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Slab that there are, free ones included: their numbers are all below.
    pub(super) fn span(&self) -> u32 {
        self.len + self.free.len() as u32
    }

    pub(super) fn get(&self, index: u32) -> Option<&CounterEntry> {
        let chunk = self.chunks.get((index / CHUNK) as usize)?;
        chunk.get((index % CHUNK) as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut CounterEntry> {
        let chunk = self.chunks.get_mut((index / CHUNK) as usize)?;
        chunk.get_mut((index % CHUNK) as usize)?.as_mut()
    }

    /// Puts a counter into the index released last, else into a new one, and tells which.
    pub(super) fn insert(&mut self, counter: CounterEntry) -> u32 {
        self.len += 1;
        if let Some(index) = self.free.pop() {
            self.chunks[(index / CHUNK) as usize][(index % CHUNK) as usize] = Some(counter);
            return index;
        }
        let index = self.len - 1;
        if index.is_multiple_of(CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK as usize));
        }
        if let Some(last) = self.chunks.last_mut() {
            last.push(Some(counter));
        }
        index
    }

    /// Frees a index.
    pub(super) fn remove(&mut self, index: u32) -> Option<CounterEntry> {
        let chunk = self.chunks.get_mut((index / CHUNK) as usize)?;
        let counter = chunk.get_mut((index % CHUNK) as usize)?.take()?;
        self.len -= 1;
        self.free.push(index);
        Some(counter)
    }
}
