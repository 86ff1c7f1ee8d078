//! The heaviest clients of the present window and of the one before it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::client_label::ClientLabel;
use crate::clock::Timestamp;
use crate::top_k::TopK;

/// Clients that one thread counts per domain and window.
const CAPACITY: usize = 100;

/// Clients that are reported.
const MAX_REPORTED: usize = 50;

/// Length of a window; its clients are reported until the end of the next one.
const WINDOW_SECS: u64 = 300;

/// A client with many hits, or with many refused ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeavyHitter {
    /// The descriptor that was sent, with the values of secret keys masked.
    pub client: Box<str>,
    /// The rule that it matched last; empty if none.
    pub rule: Box<str>,
    /// Hits, never too few.
    pub hits: u64,
    /// By how much `hits` may be too high.
    pub overcount: u64,
}

/// The clients that one thread counted in the last two windows.
#[derive(Debug)]
pub(super) struct Windows {
    /// The number of the present window since the epoch.
    number: u64,
    current: TopK<ClientLabel>,
    previous: TopK<ClientLabel>,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            number: 0,
            current: TopK::new(CAPACITY),
            previous: TopK::new(CAPACITY),
        }
    }
}

impl Windows {
    /// Counts hits of a client.
    pub(super) fn add(
        &mut self,
        now: Timestamp,
        client: u64,
        hits: u64,
        label: impl FnOnce() -> ClientLabel,
    ) {
        let number = window(now);
        if number != self.number {
            let ended = std::mem::replace(&mut self.current, TopK::new(CAPACITY));
            self.previous = match self.number + 1 == number {
                true => ended,
                false => TopK::new(CAPACITY),
            };
            self.number = number;
        }
        self.current.add(client, hits, label);
    }

    /// Adds the clients of both windows to the sums of all threads.
    pub(super) fn add_to(&self, sums: &mut HashMap<u64, HeavyHitter>, now: Timestamp) {
        let age = window(now).saturating_sub(self.number);
        let windows: &[&TopK<ClientLabel>] = match age {
            0 => &[&self.current, &self.previous],
            1 => &[&self.current],
            _ => &[],
        };
        for entry in windows.iter().flat_map(|top| top.entries()) {
            let sum = sums.entry(entry.key).or_insert_with(|| HeavyHitter {
                client: entry.value.client.clone(),
                rule: entry.value.rule.clone(),
                hits: 0,
                overcount: 0,
            });
            sum.hits += entry.count;
            sum.overcount += entry.overcount;
        }
    }
}

/// The clients with the most hits first; those with equal hits by name.
pub(super) fn heaviest(sums: HashMap<u64, HeavyHitter>) -> Vec<HeavyHitter> {
    let mut hitters: Vec<HeavyHitter> = sums.into_values().collect();
    hitters.sort_by(|a, b| b.hits.cmp(&a.hits).then_with(|| a.client.cmp(&b.client)));
    hitters.truncate(MAX_REPORTED);
    hitters
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

    fn add(windows: &mut Windows, now: Timestamp, client: u64, hits: u64) {
        windows.add(now, client, hits, || ClientLabel {
            client: client.to_string().into(),
            rule: "".into(),
        });
    }

    fn reported(windows: &Windows, now: Timestamp) -> Vec<(String, u64)> {
        let mut sums = HashMap::new();
        windows.add_to(&mut sums, now);
        let hitters = heaviest(sums).into_iter();
        hitters
            .map(|hitter| (hitter.client.into(), hitter.hits))
            .collect()
    }

    #[test]
    fn clients_with_more_hits_come_first() {
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
