//! A histogram of decision times, with buckets for microseconds.

use std::time::Duration;

use super::counter::ThreadCounter;

/// Upper bounds of the buckets, in nanoseconds: 1, 2 and 5 times each power of ten from 1 µs to 1 s.
pub(super) const BOUNDS_NS: [u64; 19] = [
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
];

/// Buckets that one thread writes.
#[derive(Debug, Default)]
pub(super) struct ThreadHistogram {
    /// The last bucket has no upper bound.
    counts: [ThreadCounter; BOUNDS_NS.len() + 1],
    sum_ns: ThreadCounter,
}

/// The sum over all threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Histogram {
    /// Values per bucket, not cumulative; the last bucket has no upper bound.
    pub(super) counts: [u64; BOUNDS_NS.len() + 1],
    pub(super) sum_ns: u64,
}

impl ThreadHistogram {
    /// Records a sampled duration that represents `weight` calls.
    pub(super) fn record(&self, duration: Duration, weight: u64) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_NS.partition_point(|bound| *bound < nanos);
        self.counts[bucket].add(weight);
        self.sum_ns.add(nanos.saturating_mul(weight));
    }

    /// Adds this thread's values to a sum.
    pub(super) fn add_to(&self, sum: &mut Histogram) {
        for (sum, count) in sum.counts.iter_mut().zip(&self.counts) {
            *sum += count.get();
        }
        sum.sum_ns = sum.sum_ns.wrapping_add(self.sum_ns.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_equal_to_a_bound_belongs_to_the_bucket_below_it() {
        let buckets = ThreadHistogram::default();
        for (micros, weight) in [(1, 1), (2, 1), (3, 16), (2_000_000, 1)] {
            buckets.record(Duration::from_micros(micros), weight);
        }
        let mut sum = Histogram::default();
        buckets.add_to(&mut sum);
        assert_eq!(sum.counts[..4], [1, 1, 16, 0]);
        assert_eq!(sum.counts[BOUNDS_NS.len()], 1);
        assert_eq!(sum.sum_ns, 1_000 + 2_000 + 16 * 3_000 + 2_000_000_000);
    }
}
