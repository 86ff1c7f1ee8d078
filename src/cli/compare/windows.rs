//! Counters that two servers count in different windows for a while.
//!
//! A request at the end of a window is the last of that window to one server, and the first of the next to the other.
//! From then on they differ by that hit until the next window ends, which says nothing about their decisions.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::client::DescriptorStatus;
use crate::clock::{Micros, Timestamp};
use crate::limit::Window;
use crate::request::{Descriptor, Unit};

/// How far the clocks of two servers may differ, beside the time that a call takes.
const CLOCK_DIFFERENCE_SECS: u64 = 1;

/// By counter: until when its windows differ.
#[derive(Debug, Default)]
pub(super) struct ShiftedWindows {
    until: HashMap<u64, Timestamp>,
    hasher: RandomState,
}

impl ShiftedWindows {
    /// Takes note of two statuses of a descriptor; whether their windows differ now.
    pub(super) fn observe(
        &mut self,
        now: Timestamp,
        elapsed_secs: u64,
        (domain, descriptor): (&[u8], &Descriptor),
        statuses: [&DescriptorStatus; 2],
    ) -> bool {
        let entries = descriptor.entries.iter();
        let entries: Vec<_> = entries.map(|entry| (&entry.key, &entry.value)).collect();
        let counter = self.hasher.hash_one((domain, entries));
        if let Some(longest) = seconds_of_shift(elapsed_secs, statuses) {
            let ends = now.plus(Micros::from_secs(longest + CLOCK_DIFFERENCE_SECS));
            self.until.insert(counter, ends);
            return true;
        }
        match self.until.get(&counter) {
            Some(ends) if now < *ends => true,
            Some(_) => {
                self.until.remove(&counter);
                false
            }
            None => false,
        }
    }
}

/// How long the statuses are of different windows of the same limit; `None` if they are not: their resets differ, and one
/// is near an end of the window.
fn seconds_of_shift(elapsed_secs: u64, statuses: [&DescriptorStatus; 2]) -> Option<u64> {
    let [server, against] = statuses;
    let limit = server.limit.as_ref()?;
    if against.limit.as_ref() != Some(limit) {
        return None;
    }
    let window = Window::new(Unit::from_name(&limit.unit)?, limit.unit_multiplier)?;
    let length = window.length().get() / 1_000_000;
    let is_same = (server.over_limit, server.remaining) == (against.over_limit, against.remaining);
    let (server, against) = (server.reset_after_secs?, against.reset_after_secs?);
    let slack = CLOCK_DIFFERENCE_SECS + elapsed_secs;
    if length <= slack {
        // Resets cannot show it: any two hits may be of different windows.
        return (!is_same).then_some(length);
    }
    let (shortest, longest) = (server.min(against), server.max(against));
    let is_near_an_end = shortest <= slack || longest + slack >= length;
    (longest - shortest > slack && is_near_an_end).then_some(longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ReportedLimit;

    fn status(reset: u64) -> DescriptorStatus {
        DescriptorStatus {
            over_limit: false,
            limit: Some(ReportedLimit {
                name: String::new(),
                requests_per_unit: 5,
                unit: "minute".to_owned(),
                unit_multiplier: 1,
            }),
            remaining: 1,
            reset_after_secs: Some(reset),
        }
    }

    #[test]
    fn a_counter_is_shifted_until_its_later_window_ends() {
        let mut windows = ShiftedWindows::default();
        let (one, other) = (Descriptor::new([("k", "1")]), Descriptor::new([("k", "2")]));
        let mut observe = |secs, descriptor: &Descriptor, resets: [u64; 2]| {
            let [server, against] = resets.map(status);
            let at = Timestamp::from_secs(secs);
            windows.observe(at, 0, (b"d", descriptor), [&server, &against])
        };
        assert!(!observe(30, &one, [30, 30]));
        assert!(observe(60, &one, [1, 60]));
        assert!(observe(90, &one, [30, 30]), "one hit less in this window");
        assert!(!observe(90, &other, [30, 30]));
        assert!(!observe(122, &one, [58, 58]));
    }

    #[test]
    fn windows_that_are_shorter_than_calls_take_may_always_differ() {
        let status = |remaining| {
            let mut status = status(1);
            status.remaining = remaining;
            status.limit.as_mut().unwrap().unit = "second".to_owned();
            status
        };
        assert_eq!(seconds_of_shift(0, [&status(3), &status(3)]), None);
        assert_eq!(seconds_of_shift(0, [&status(3), &status(4)]), Some(1));
    }

    #[test]
    fn resets_that_always_differ_are_no_shift() {
        let [server, against] = [20, 40].map(status);
        assert_eq!(seconds_of_shift(0, [&server, &against]), None);
        let mut other = status(60);
        other.limit = None;
        assert_eq!(seconds_of_shift(0, [&status(1), &other]), None);
    }
}
