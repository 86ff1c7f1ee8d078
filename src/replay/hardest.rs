//! Who is refused most, in memory of a fixed size.
//!
//! This is the space-saving algorithm: when all places are taken, a newcomer takes the place of whoever has the least,
//! and their count with it. Whoever has more than one in [`PLACES`] of all refusals is always among them.

use std::collections::HashMap;

/// How many are remembered.
const PLACES: usize = 64;

/// Who is refused most by one rule.
#[derive(Clone, Debug, Default)]
pub(super) struct Hardest {
    places: Vec<(u64, Refused)>,
    by_hash: HashMap<u64, usize>,
}

/// Someone who was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The descriptor that they sent; values of secret keys are masked.
    pub who: String,
    /// How often.
    pub times: u64,
    /// By how much `times` may be too high.
    pub at_most_too_high: u64,
    /// The line of a refusal: the first of those that are counted for certain.
    pub line: u64,
}

impl Hardest {
    /// Counts a refusal on that line of whoever has that hash; `who` is asked for when they are new.
    pub(super) fn add(&mut self, hash: u64, line: u64, who: impl FnOnce() -> String) {
        if let Some(&place) = self.by_hash.get(&hash) {
            self.places[place].1.times += 1;
            return;
        }
        let mut newcomer = Refused {
            who: who(),
            times: 1,
            at_most_too_high: 0,
            line,
        };
        if self.places.len() < PLACES {
            self.by_hash.insert(hash, self.places.len());
            self.places.push((hash, newcomer));
            return;
        }
        let places = self.places.iter().enumerate();
        if let Some((place, (old, least))) = places.min_by_key(|(_, (_, refused))| refused.times) {
            newcomer.times += least.times;
            newcomer.at_most_too_high = least.times;
            self.by_hash.remove(old);
            self.by_hash.insert(hash, place);
            self.places[place] = (hash, newcomer);
        }
    }

    /// The first of them, the one who is refused most before the others.
    pub(super) fn top(&self, count: usize) -> Vec<Refused> {
        let mut all: Vec<Refused> = self.places.iter().map(|(_, who)| who.clone()).collect();
        all.sort_by_key(|refused| (std::cmp::Reverse(refused.times), refused.line));
        all.truncate(count);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(n: u64) -> impl FnOnce() -> String {
        move || format!("k={n}")
    }

    #[test]
    fn few_are_counted_exactly() {
        let mut hardest = Hardest::default();
        for (line, n) in [3, 1, 3, 2, 3, 1].into_iter().enumerate() {
            hardest.add(n, line as u64, who(n));
        }
        let top: Vec<_> = hardest.top(2);
        assert_eq!(
            (top[0].who.as_str(), top[0].times, top[0].line),
            ("k=3", 3, 0)
        );
        assert_eq!(
            (top[1].who.as_str(), top[1].times, top[1].line),
            ("k=1", 2, 1)
        );
        assert_eq!(top[0].at_most_too_high, 0);
    }

    #[test]
    fn a_flood_of_others_hides_nobody_who_is_refused_often() {
        let mut hardest = Hardest::default();
        for n in 0..100_000 {
            hardest.add(n + 10, n, who(n));
            if n % 20 == 0 {
                hardest.add(7, n, who(7));
            }
        }
        assert_eq!(hardest.places.len(), PLACES);
        assert_eq!(hardest.by_hash.len(), PLACES);
        let top = hardest.top(1);
        assert_eq!(top[0].who, "k=7");
        assert!(top[0].times >= 5_000 && top[0].times - top[0].at_most_too_high <= 5_000);
    }
}
