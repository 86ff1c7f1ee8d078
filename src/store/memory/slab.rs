//! Values at indices that stay the same until they are removed.
//!
//! Values are in chunks, so a slab that grows moves none of them and reserves little ahead.

const CHUNK: u32 = 256;

#[derive(Debug)]
pub(super) struct Slab<T> {
    /// All full but the last.
    chunks: Vec<Vec<Option<T>>>,
    free: Vec<u32>,
    len: u32,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            free: Vec::new(),
            len: 0,
        }
    }
}

impl<T> Slab<T> {
    /// The number of values.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// One more than the highest index that was ever used.
    pub(super) fn span(&self) -> u32 {
        self.len + self.free.len() as u32
    }

    pub(super) fn get(&self, index: u32) -> Option<&T> {
        let chunk = self.chunks.get((index / CHUNK) as usize)?;
        chunk.get((index % CHUNK) as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        let chunk = self.chunks.get_mut((index / CHUNK) as usize)?;
        chunk.get_mut((index % CHUNK) as usize)?.as_mut()
    }

    /// Inserts a value at the index freed last, else at a new one, and returns the index.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        if let Some(index) = self.free.pop() {
            self.chunks[(index / CHUNK) as usize][(index % CHUNK) as usize] = Some(value);
            return index;
        }
        let index = self.len - 1;
        if index.is_multiple_of(CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK as usize));
        }
        if let Some(last) = self.chunks.last_mut() {
            last.push(Some(value));
        }
        index
    }

    /// Removes a value and frees its index.
    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        let chunk = self.chunks.get_mut((index / CHUNK) as usize)?;
        let value = chunk.get_mut((index % CHUNK) as usize)?.take()?;
        self.len -= 1;
        self.free.push(index);
        Some(value)
    }
}
