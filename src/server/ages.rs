//! When connections are asked to go.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Ages at which connections are asked to go, spread over ±10 %, so that connections that came together
/// do not all go together.
#[derive(Debug)]
pub(super) struct ConnectionAges {
    mean: Duration,
    next: AtomicU32,
}

impl ConnectionAges {
    pub(super) fn new(mean: Duration) -> Self {
        Self {
            mean,
            next: AtomicU32::new(0),
        }
    }

    /// The age of the next connection. Multiples of the golden ratio are far from one another, however
    /// many there are.
    pub(super) fn next(&self) -> Duration {
        const GOLDEN_RATIO: u32 = 0x9e37_79b9;
        let place = self.next.fetch_add(GOLDEN_RATIO, Ordering::Relaxed);
        let spread = f64::from(place) / f64::from(u32::MAX);
        self.mean.mul_f64(0.9 + 0.2 * spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_come_together_go_at_different_times() {
        let ages = ConnectionAges::new(Duration::from_secs(100));
        let mut ages: Vec<_> = (0..100).map(|_| ages.next()).collect();
        ages.sort();
        let (least, most) = (Duration::from_secs(90), Duration::from_secs(110));
        assert!(
            ages.iter().all(|age| (least..=most).contains(age)),
            "{ages:?}"
        );
        let gaps = ages.windows(2).map(|pair| pair[1] - pair[0]);
        let (smallest, largest) = (gaps.clone().min().unwrap(), gaps.max().unwrap());
        assert!(smallest > Duration::from_millis(50), "{smallest:?}");
        assert!(largest < Duration::from_millis(600), "{largest:?}");
    }
}
