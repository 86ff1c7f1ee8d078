//! How long decisions take, in buckets that fit microseconds.

use std::time::Duration;

use super::thread_metrics::ThreadCounter;

/// The upper bounds of the buckets, in nanoseconds: 1, 2 and 5 of each power of ten from a microsecond to a second.
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

/// One thread's counts.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// The last is of what took longer than all bounds.
    counts: [ThreadCounter; BOUNDS_NS.len() + 1],
    sum_ns: ThreadCounter,
}

/// Counts of all threads, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Histogram {
    pub(super) counts: [u64; BOUNDS_NS.len() + 1],
    pub(super) sum_ns: u64,
}

impl Buckets {
    /// Counts something that stands for `weight` alike.
    pub(super) fn record(&self, took: Duration, weight: u64) {
        let took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_NS.partition_point(|bound| *bound < took_ns);
        self.counts[bucket].add(weight);
        self.sum_ns.add(took_ns.saturating_mul(weight));
    }

    pub(super) fn add_to(&self, histogram: &mut Histogram) {
        for (sum, count) in histogram.counts.iter_mut().zip(&self.counts) {
            *sum += count.get();
        }
        histogram.sum_ns = histogram.sum_ns.wrapping_add(self.sum_ns.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        let buckets = Buckets::default();
        for (micros, weight) in [(1, 1), (2, 1), (3, 16), (2_000_000, 1)] {
            buckets.record(Duration::from_micros(micros), weight);
        }
        let mut all = Histogram::default();
        buckets.add_to(&mut all);
        assert_eq!(all.counts[..4], [1, 1, 16, 0]);
        assert_eq!(all.counts[BOUNDS_NS.len()], 1);
        assert_eq!(all.sum_ns, 1_000 + 2_000 + 16 * 3_000 + 2_000_000_000);
    }
}
