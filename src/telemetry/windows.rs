//! The heaviest keys of the present window and of the one before it.

use std::collections::HashMap;

use crate::clock::Timestamp;
use crate::top_k::{TopEntry, TopK};

/// Keys that one thread counts in a window.
const CAPACITY: usize = 100;

/// Keys that are reported.
const MAX_REPORTED: usize = 50;

/// Length of a window; its keys are reported until the end of the next one.
const WINDOW_SECS: u64 = 300;

/// The keys that one thread counted in the last two windows. `T` describes a key.
#[derive(Debug)]
pub(super) struct Windows<T> {
    /// The number of the present window since the epoch.
    number: u64,
    current: TopK<T>,
    previous: TopK<T>,
}

impl<T> Default for Windows<T> {
    fn default() -> Self {
        Self {
            number: 0,
            current: TopK::new(CAPACITY),
            previous: TopK::new(CAPACITY),
        }
    }
}

impl<T: Clone> Windows<T> {
    /// Adds to the count of a key. `value` is called if the key is new.
    pub(super) fn add(&mut self, now: Timestamp, key: u64, count: u64, value: impl FnOnce() -> T) {
        let number = window(now);
        if number != self.number {
            let ended = std::mem::replace(&mut self.current, TopK::new(CAPACITY));
            self.previous = match self.number + 1 == number {
                true => ended,
                false => TopK::new(CAPACITY),
            };
            self.number = number;
        }
        self.current.add(key, count, value);
    }

    /// Adds the keys of both windows to the sums of all threads.
    pub(super) fn add_to(&self, sums: &mut HashMap<u64, TopEntry<T>>, now: Timestamp) {
        let age = window(now).saturating_sub(self.number);
        let windows: &[&TopK<T>] = match age {
            0 => &[&self.current, &self.previous],
            1 => &[&self.current],
            _ => &[],
        };
        for entry in windows.iter().flat_map(|top| top.entries()) {
            let sum = sums.entry(entry.key).or_insert_with(|| TopEntry {
                count: 0,
                overcount: 0,
                ..entry.clone()
            });
            sum.count += entry.count;
            sum.overcount += entry.overcount;
        }
    }
}

/// The keys with the highest counts first; those with equal counts in the order of `T`.
pub(super) fn heaviest<T: Ord>(sums: HashMap<u64, TopEntry<T>>) -> Vec<TopEntry<T>> {
    let mut heaviest: Vec<_> = sums.into_values().collect();
    heaviest.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    heaviest.truncate(MAX_REPORTED);
    heaviest
}

/// The start of the window before the present one.
pub(super) fn since(now: Timestamp) -> Timestamp {
    Timestamp::from_secs(window(now).saturating_sub(1) * WINDOW_SECS)
}

fn window(now: Timestamp) -> u64 {
    now.micros() / 1_000_000 / WINDOW_SECS
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn add(windows: &mut Windows<String>, now: Timestamp, client: u64, hits: u64) {
        windows.add(now, client, hits, || client.to_string());
    }

    fn reported(windows: &Windows<String>, now: Timestamp) -> Vec<(String, u64)> {
        let mut sums = HashMap::new();
        windows.add_to(&mut sums, now);
        let entries = heaviest(sums).into_iter();
        entries.map(|entry| (entry.value, entry.count)).collect()
    }

    #[test]
    fn keys_with_higher_counts_come_first() {
        let mut windows = Windows::default();
        for (client, hits) in [(1, 2), (2, 5), (3, 2), (1, 1)] {
            add(&mut windows, NOW, client, hits);
        }
        let expected = [
            ("2".to_owned(), 5),
            ("1".to_owned(), 3),
            ("3".to_owned(), 2),
        ];
        assert_eq!(reported(&windows, NOW), expected);
    }

    #[test]
    fn old_windows_are_not_reported() {
        let mut windows = Windows::default();
        let later = |secs| Timestamp::from_secs(1_700_000_000 + secs);
        add(&mut windows, NOW, 1, 5);
        assert_eq!(reported(&windows, later(0)), [("1".to_owned(), 5)]);
        add(&mut windows, later(WINDOW_SECS), 1, 2);
        assert_eq!(
            reported(&windows, later(WINDOW_SECS)),
            [("1".to_owned(), 7)]
        );
        let end = 2 * WINDOW_SECS;
        assert_eq!(reported(&windows, later(end)), [("1".to_owned(), 2)]);
        assert_eq!(reported(&windows, later(end + WINDOW_SECS)), []);
        add(&mut windows, later(10 * WINDOW_SECS), 2, 1);
        let ten = later(10 * WINDOW_SECS);
        assert_eq!(reported(&windows, ten), [("2".to_owned(), 1)]);
    }
}
