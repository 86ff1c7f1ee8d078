//! Growing delays between attempts.

use std::time::Duration;

/// Delays that double up to a maximum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            next: first,
        }
    }

    /// The next delay.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let delay = self.next;
        self.next = (delay * 2).min(self.longest);
        delay
    }

    /// The next delay, shortened by up to half at random, so that many instances do not come at the same moment.
    pub(crate) fn next_jittered_delay(&mut self) -> Duration {
        let mut byte = [0; 1];
        // Without randomness only the jitter is lost.
        let _ = getrandom::fill(&mut byte);
        let share = 0.5 + f64::from(byte[0]) / 510.0;
        self.next_delay().mul_f64(share)
    }

    /// Starts again with the first delay.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_begin_again() {
        let secs = Duration::from_secs;
        let mut backoff = Backoff::new(secs(1), secs(5));
        let delays: [_; 5] = std::array::from_fn(|_| backoff.next_delay());
        assert_eq!(delays, [1, 2, 4, 5, 5].map(secs));
        backoff.reset();
        let shortened = backoff.next_jittered_delay();
        assert!(
            (secs(1) / 2..=secs(1)).contains(&shortened),
            "{shortened:?}"
        );
        assert_eq!(backoff.next_delay(), secs(2));
    }
}
