//! The heaviest of a stream, in a fixed number of places.

use std::collections::HashMap;

use crate::clock::Timestamp;

/// Places in one thread's top.
const PLACES: usize = 100;

/// How many are told.
const TOLD: usize = 50;

/// Domains of which a thread keeps a top.
pub(super) const MOST_DOMAINS: usize = 256;

/// After so long a top begins anew; the one before is told with it.
const WINDOW_SECS: u64 = 300;

/// One who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeavyHitter {
    /// The descriptor that was sent; values of secret keys are hidden.
    pub who: Box<str>,
    /// The rule that it met last.
    pub rule: Box<str>,
    /// Hits.
    pub hits: u64,
    /// So many of them may be somebody else's.
    pub error: u64,
}

/// The top of this window and of the one before.
#[derive(Debug, Default)]
pub(super) struct Windows {
    number: u64,
    current: Places,
    before: Places,
}

#[derive(Debug, Default)]
struct Places {
    /// Place by hash.
    index: HashMap<u64, usize>,
    hitters: Vec<(u64, HeavyHitter)>,
}

impl Windows {
    pub(super) fn add(
        &mut self,
        now: Timestamp,
        hash: u64,
        hits: u64,
        name: impl FnOnce() -> (Box<str>, Box<str>),
    ) {
        let number = window(now);
        if number != self.number {
            let ended = std::mem::take(&mut self.current);
            // Of a window that nobody saw the end of nothing is told any more.
            self.before = match self.number + 1 == number {
                true => ended,
                false => Places::default(),
            };
            self.number = number;
        }
        self.current.add(hash, hits, name);
    }

    /// Adds what it holds of this window and the one before.
    pub(super) fn add_to(&self, sums: &mut HashMap<u64, HeavyHitter>, now: Timestamp) {
        let age = window(now).saturating_sub(self.number);
        let places: &[&Places] = match age {
            0 => &[&self.current, &self.before],
            1 => &[&self.current],
            _ => &[],
        };
        for (hash, hitter) in places.iter().flat_map(|places| &places.hitters) {
            sums.entry(*hash)
                .and_modify(|sum| {
                    sum.hits += hitter.hits;
                    sum.error += hitter.error;
                })
                .or_insert_with(|| hitter.clone());
        }
    }
}

impl Places {
    fn add(&mut self, hash: u64, hits: u64, name: impl FnOnce() -> (Box<str>, Box<str>)) {
        if let Some(&at) = self.index.get(&hash) {
            self.hitters[at].1.hits += hits;
            return;
        }
        let (who, rule) = name();
        let mut hitter = HeavyHitter {
            who,
            rule,
            hits,
            error: 0,
        };
        if self.hitters.len() < PLACES {
            self.index.insert(hash, self.hitters.len());
            self.hitters.push((hash, hitter));
            return;
        }
        let least = self.hitters.iter().enumerate();
        let least = least.min_by_key(|(_, (_, hitter))| hitter.hits);
        let Some((at, (gone, least))) =
            least.map(|(at, (hash, hitter))| (at, (*hash, hitter.hits)))
        else {
            return;
        };
        hitter.error = least;
        hitter.hits += least;
        self.index.remove(&gone);
        self.index.insert(hash, at);
        self.hitters[at] = (hash, hitter);
    }
}

/// The heaviest first, those of the same weight by name.
pub(super) fn heaviest(sums: HashMap<u64, HeavyHitter>) -> Vec<HeavyHitter> {
    let mut hitters: Vec<HeavyHitter> = sums.into_values().collect();
    hitters.sort_by(|a, b| b.hits.cmp(&a.hits).then_with(|| a.who.cmp(&b.who)));
    hitters.truncate(TOLD);
    hitters
}

/// Since when a top of now is counted.
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

    fn add(windows: &mut Windows, now: Timestamp, who: u64, hits: u64) {
        windows.add(now, who, hits, || (who.to_string().into(), "".into()));
    }

    fn told(windows: &Windows, now: Timestamp) -> Vec<(String, u64, u64)> {
        let mut sums = HashMap::new();
        windows.add_to(&mut sums, now);
        let hitters = heaviest(sums).into_iter();
        hitters
            .map(|hitter| (hitter.who.into(), hitter.hits, hitter.error))
            .collect()
    }

    #[test]
    fn the_heavy_stay_whatever_comes_between() {
        let mut windows = Windows::default();
        for round in 0..20_000 {
            add(&mut windows, NOW, 1_000_000 + round, 1);
            if round % 10 == 0 {
                add(&mut windows, NOW, 7, 1);
            }
            if round % 20 == 0 {
                add(&mut windows, NOW, 8, 1);
            }
        }
        let told = told(&windows, NOW);
        assert_eq!((&*told[0].0, &*told[1].0), ("7", "8"));
        // The count is right within the error, which is at most the stream's share of a place.
        let (hits, error) = (told[0].1, told[0].2);
        assert!(hits - error <= 2_000 && 2_000 <= hits, "{hits} {error}");
        assert!(error <= 23_000 / PLACES as u64);
        assert_eq!(windows.current.hitters.len(), PLACES);
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let mut windows = Windows::default();
        let later = |secs| Timestamp::from_secs(1_700_000_000 + secs);
        add(&mut windows, NOW, 1, 5);
        assert_eq!(told(&windows, later(0)), [("1".to_owned(), 5, 0)]);
        add(&mut windows, later(WINDOW_SECS), 1, 2);
        assert_eq!(told(&windows, later(WINDOW_SECS)), [("1".to_owned(), 7, 0)]);
        let end = 2 * WINDOW_SECS;
        assert_eq!(told(&windows, later(end)), [("1".to_owned(), 2, 0)]);
        assert_eq!(told(&windows, later(end + WINDOW_SECS)), []);
        add(&mut windows, later(10 * WINDOW_SECS), 2, 1);
        let ten = later(10 * WINDOW_SECS);
        assert_eq!(told(&windows, ten), [("2".to_owned(), 1, 0)]);
    }
}
