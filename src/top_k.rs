//! The heaviest keys of a stream, in bounded memory.
//!
//! This is the space-saving algorithm (Metwally, Agrawal and El Abbadi, "Efficient Computation of
//! Frequent and Top-k Elements in Data Streams", 2005). When all entries are in use, a new key
//! replaces the one with the lowest count and inherits that count as its possible error. A key with
//! more than 1/k of the total is always among the entries.

use std::collections::HashMap;

/// The keys with the highest counts. `T` describes a key; it is made when the key gets an entry.
#[derive(Clone, Debug)]
pub struct TopK<T> {
    /// Index in `entries` by key.
    by_key: HashMap<u64, usize>,
    entries: Vec<TopEntry<T>>,
    capacity: usize,
}

/// A key and its count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopEntry<T> {
    /// The key, usually a hash.
    pub key: u64,
    /// The count, which is never too low.
    pub count: u64,
    /// By how much `count` may be too high: the true count is at least `count - overcount`.
    pub overcount: u64,
    /// What the key stands for.
    pub value: T,
}

impl<T> TopK<T> {
    /// Without entries. `capacity` is the number of keys that are counted at a time.
    pub fn new(capacity: usize) -> Self {
        Self {
            by_key: HashMap::new(),
            entries: Vec::new(),
            capacity,
        }
    }

    /// Adds to the count of a key. `value` is called if the key has no entry.
    pub fn add(&mut self, key: u64, count: u64, value: impl FnOnce() -> T) {
        if let Some(&index) = self.by_key.get(&key) {
            self.entries[index].count += count;
            return;
        }
        if self.entries.len() < self.capacity {
            self.by_key.insert(key, self.entries.len());
            self.entries.push(TopEntry {
                key,
                count,
                overcount: 0,
                value: value(),
            });
            return;
        }
        let lightest = self.entries.iter_mut().enumerate();
        let Some((index, entry)) = lightest.min_by_key(|(_, entry)| entry.count) else {
            return;
        };
        self.by_key.remove(&entry.key);
        self.by_key.insert(key, index);
        *entry = TopEntry {
            key,
            count: entry.count + count,
            overcount: entry.count,
            value: value(),
        };
    }

    /// All entries, in no particular order; at most the capacity.
    pub fn entries(&self) -> &[TopEntry<T>] {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_keys_are_counted_exactly() {
        let mut top = TopK::new(3);
        for (index, key) in [3, 1, 3, 2, 3, 1].into_iter().enumerate() {
            top.add(key, 2, || index);
        }
        let mut entries = top.entries().to_vec();
        entries.sort_by_key(|entry| entry.key);
        let counts = entries.iter().map(|entry| (entry.key, entry.count));
        assert_eq!(counts.collect::<Vec<_>>(), [(1, 4), (2, 2), (3, 6)]);
        let values = entries.iter().map(|entry| (entry.value, entry.overcount));
        assert_eq!(values.collect::<Vec<_>>(), [(1, 0), (3, 0), (0, 0)]);
    }

    #[test]
    fn a_flood_of_light_keys_hides_no_heavy_one() {
        let mut top = TopK::new(100);
        for round in 0..100_000 {
            top.add(1_000_000 + round, 1, || ());
            if round % 20 == 0 {
                top.add(7, 1, || ());
            }
        }
        assert_eq!(top.entries().len(), 100);
        assert_eq!(top.by_key.len(), 100);
        let heavy = top.entries().iter().find(|entry| entry.key == 7).unwrap();
        assert!(heavy.count >= 5_000 && heavy.count - heavy.overcount <= 5_000);
        assert!(heavy.overcount <= 105_000 / 100);
    }
}
