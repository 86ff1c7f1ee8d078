//! Two servers under the same load, in alternating runs.

use crate::load::{self, Load};
use crate::servers::Running;
use crate::table::Measured;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The result is noisy if the interquartile range of the pairs is wider than this share of the median.
const TOO_WIDE: f64 = 0.10;

/// One run of one server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Answers per second.
    pub(crate) rate: f64,
    /// Microseconds of processor time per answer, of the server.
    pub(crate) server_us: f64,
    /// Microseconds of processor time per answer, of the generator.
    pub(crate) generator_us: f64,
    /// 99th percentile of the latency in microseconds; open loop only.
    pub(crate) p99_us: f64,
}

impl Run {
    /// Runs a load.
    ///
    /// # Errors
    /// A call has failed.
    pub(crate) fn of(server: &Running, load: &Load) -> Result<Self> {
        let before = server.processor()?;
        let outcome = load::run(load)?;
        let server = server.processor()? - before;
        if outcome.failed() > 0 {
            return Err(format!(
                "{} of {} calls have failed",
                outcome.failed(),
                outcome.ended
            )
            .into());
        }
        let each_us =
            |time: std::time::Duration| time.as_secs_f64() * 1e6 / outcome.messages as f64;
        Ok(Self {
            rate: outcome.rate(),
            server_us: each_us(server),
            generator_us: each_us(outcome.generator),
            p99_us: outcome.latency.value_at_quantile(0.99) as f64 / 1_000.0,
        })
    }
}

/// Pairs of runs: weir, and the server that it is compared with.
pub(crate) struct Pairs(Vec<(Run, Run)>);

impl Pairs {
    /// Alternates which one runs first, so that drift affects both.
    pub(crate) fn measure(
        pairs: usize,
        mut ours: impl FnMut() -> Result<Run>,
        mut theirs: impl FnMut() -> Result<Run>,
    ) -> Result<Self> {
        let pair = |index: usize| -> Result<(Run, Run)> {
            if index.is_multiple_of(2) {
                let ours = ours()?;
                return Ok((ours, theirs()?));
            }
            let theirs = theirs()?;
            Ok((ours()?, theirs))
        };
        Ok(Self((0..pairs).map(pair).collect::<Result<_>>()?))
    }

    /// The median of all runs: ours, theirs.
    fn medians(&self, of: fn(&Run) -> f64) -> (f64, f64) {
        let all = |side: fn(&(Run, Run)) -> &Run| {
            Spread::of(self.0.iter().map(|pair| of(side(pair)))).median
        };
        (all(|pair| &pair.0), all(|pair| &pair.1))
    }

    /// The ratio of ours to theirs for each pair.
    fn ratios(&self, of: fn(&Run) -> f64) -> Spread {
        Spread::of(self.0.iter().map(|(ours, theirs)| of(ours) / of(theirs)))
    }

    /// The ratio of answers per second.
    pub(crate) fn throughput(&self) -> Measured {
        Measured::of(self.ratios(|run| run.rate).median, self.detail())
    }

    /// The ratio of processor times per answer. The ratio of answers per second must be `speedup` at least.
    pub(crate) fn cost(&self, speedup: f64) -> Measured {
        let ratio = self.ratios(|run| run.server_us).median;
        let mut measured = Measured::of(ratio, self.detail());
        let missing = format!("fewer answers than {speedup} times as many");
        let rates = self.ratios(|run| run.rate).median;
        measured.require(rates >= speedup, &missing);
        measured
    }

    fn detail(&self) -> String {
        let (ours, theirs) = self.medians(|run| run.rate);
        let (our_us, their_us) = self.medians(|run| run.server_us);
        let (generator_us, _) = self.medians(|run| run.generator_us);
        format!(
            "{our_us:.2} / {their_us:.2} µs of processor time per answer, pairs {}; {ours:.0} / {theirs:.0} per \
             second, pairs {}; generator {generator_us:.2} µs",
            self.ratios(|run| run.server_us),
            self.ratios(|run| run.rate)
        )
    }

    /// The ratio of the 99th percentiles. It compares the median runs, because one pause of the machine accounts for
    /// the slowest hundredth of a run.
    pub(crate) fn p99(&self) -> Measured {
        let (ours, theirs) = self.medians(|run| run.p99_us);
        let (our_us, their_us) = self.medians(|run| run.server_us);
        let all = |side: fn(&(Run, Run)) -> &Run| {
            Spread::of(self.0.iter().map(|pair| side(pair).p99_us / 1_000.0))
        };
        Measured::of(
            ours / theirs,
            format!(
                "{ours:.0} / {theirs:.0} µs in the median of {} runs; in ms {} / {}; {our_us:.2} / {their_us:.2} µs of \
                 processor time per answer",
                self.0.len(),
                all(|pair| &pair.0),
                all(|pair| &pair.1)
            ),
        )
    }

    /// Answers per second of the median runs: ours, theirs.
    pub(crate) fn rates(&self) -> (f64, f64) {
        self.medians(|run| run.rate)
    }
}

/// The median, the quartiles and the extremes of some numbers.
struct Spread {
    ends: (f64, f64),
    middle_half: (f64, f64),
    median: f64,
}

impl Spread {
    fn of(numbers: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
        Self {
            ends: (at(0.0), at(1.0)),
            middle_half: (at(0.25), at(0.75)),
            median: at(0.5),
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (low, high) = self.middle_half;
        let (least, most) = self.ends;
        write!(
            f,
            "{:.2} [{low:.2}–{high:.2}, all {least:.2}–{most:.2}]",
            self.median
        )?;
        if high - low > TOO_WIDE * self.median {
            f.write_str(" NOISY")?;
        }
        Ok(())
    }
}
