//! The system clock, read through a monotonic clock.
//!
//! The system clock can jump: it is corrected, or the machine was suspended. Counters must not follow each jump, for a clock
//! that is ahead for a moment would end windows early, and make clients wait when it is corrected. So the time that is
//! handed out is that of the system clock once, plus the time that has passed since by the monotonic clock.
//! [`FollowedClock::follow`] compares the two from time to time:
//!
//! - up to 10 ms apart they are taken as equal;
//! - up to a second apart, the difference is adopted at once;
//! - further apart, forward or backward, it is adopted when it has lasted for ten seconds, and counted as a jump.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Micros, Timestamp};

const EQUAL: Micros = Micros::new(10_000);
const SMALL: Micros = Micros::from_secs(1);
const PATIENCE: Micros = Micros::from_secs(10);

/// A time that follows the system clock by the rules above.
#[derive(Debug)]
pub(super) struct FollowedClock {
    /// The time at 0 of the monotonic clock, in microseconds.
    origin: AtomicU64,
    /// When the clocks were first found to be far apart, by the monotonic clock, plus 1; 0 while they are not.
    apart_since: AtomicU64,
    jumps: AtomicU64,
}

/// A jump of the system clock that was adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockJump {
    /// Whether the clock went forward.
    pub is_forward: bool,
    /// By how much.
    pub span: Micros,
}

impl FollowedClock {
    pub(super) fn new(monotonic: Micros, system: Timestamp) -> Self {
        Self {
            origin: AtomicU64::new(origin(monotonic, system)),
            apart_since: AtomicU64::new(0),
            jumps: AtomicU64::new(0),
        }
    }

    pub(super) fn at(&self, monotonic: Micros) -> Timestamp {
        Timestamp::from_micros(self.origin.load(Ordering::Relaxed)).plus(monotonic)
    }

    /// The jumps that were adopted.
    pub(super) fn jumps(&self) -> u64 {
        self.jumps.load(Ordering::Relaxed)
    }

    /// Compares it with the system clock. Only one thread may call it.
    pub(super) fn follow(&self, monotonic: Micros, system: Timestamp) -> Option<ClockJump> {
        let own = self.at(monotonic);
        let jump = ClockJump {
            is_forward: system > own,
            span: system.since(own).max(own.since(system)),
        };
        let since = self.apart_since.load(Ordering::Relaxed);
        let is_far = jump.span > SMALL;
        if is_far && since == 0 {
            self.apart_since
                .store(monotonic.get() + 1, Ordering::Relaxed);
            return None;
        }
        if is_far && monotonic.get() + 1 - since < PATIENCE.get() {
            return None;
        }
        self.apart_since.store(0, Ordering::Relaxed);
        if jump.span > EQUAL {
            self.origin
                .store(origin(monotonic, system), Ordering::Relaxed);
        }
        is_far.then(|| {
            self.jumps.fetch_add(1, Ordering::Relaxed);
            jump
        })
    }
}

fn origin(monotonic: Micros, system: Timestamp) -> u64 {
    system.micros().saturating_sub(monotonic.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn secs(secs: u64) -> Micros {
        Micros::from_secs(secs)
    }

    #[test]
    fn a_clock_that_is_wrong_for_a_moment_is_not_followed() {
        let clock = FollowedClock::new(secs(5), START);
        for at in 6..15 {
            let wrong = START.plus(secs(315_360_000));
            assert_eq!(clock.follow(secs(at), wrong), None);
            assert_eq!(clock.at(secs(at)), START.plus(secs(at - 5)));
        }
        assert_eq!(clock.follow(secs(15), START.plus(secs(10))), None);
        assert_eq!(clock.at(secs(20)), START.plus(secs(15)));
        assert_eq!(clock.jumps(), 0);
    }

    #[test]
    fn a_jump_that_lasts_is_followed_forward_and_backward() {
        let clock = FollowedClock::new(secs(0), START);
        for (begin, is_forward) in [(0, true), (100, false)] {
            let offset = if is_forward { 3_600 } else { 0 };
            let mut jumps = Vec::new();
            for at in begin + 1..=begin + 20 {
                jumps.extend(clock.follow(secs(at), START.plus(secs(at + offset))));
            }
            let span = secs(3_600);
            assert_eq!(jumps, [ClockJump { is_forward, span }]);
            assert_eq!(
                clock.at(secs(begin + 20)),
                START.plus(secs(begin + 20 + offset))
            );
        }
        assert_eq!(clock.jumps(), 2);
    }

    #[test]
    fn small_differences_are_adopted_at_once_and_tiny_ones_ignored() {
        let clock = FollowedClock::new(secs(0), START);
        assert_eq!(
            clock.follow(secs(1), START.plus(Micros::new(1_009_999))),
            None
        );
        assert_eq!(clock.at(secs(1)), START.plus(secs(1)));
        assert_eq!(
            clock.follow(secs(2), START.plus(Micros::new(2_900_000))),
            None
        );
        assert_eq!(clock.at(secs(2)), START.plus(Micros::new(2_900_000)));
        assert_eq!(clock.follow(secs(3), START.plus(secs(3))), None);
        assert_eq!(clock.at(secs(3)), START.plus(secs(3)));
        assert_eq!(clock.jumps(), 0);
    }
}
