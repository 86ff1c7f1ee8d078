//! Counters of `/metrics`, in Prometheus' text format.

use std::collections::BTreeMap;

/// The samples of all metrics, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MetricSamples(BTreeMap<String, Vec<MetricSample>>);

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MetricSample {
    labels: Vec<(String, String)>,
    pub(super) value: f64,
}

impl MetricSample {
    /// The value of a label; empty if the sample does not have it.
    pub(super) fn label(&self, name: &str) -> &str {
        let found = self.labels.iter().find(|(label, _)| label == name);
        found.map_or("", |(_, value)| value)
    }
}

impl MetricSamples {
    /// Reads the text format. Lines that are not samples are left out.
    pub(super) fn parse(text: &str) -> Self {
        let mut samples = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, sample)) = parse_line(line) {
                samples.0.entry(name).or_default().push(sample);
            }
        }
        samples
    }

    /// The samples of a metric.
    pub(super) fn of(&self, name: &str) -> &[MetricSample] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The sum of a metric's samples.
    pub(super) fn sum(&self, name: &str) -> f64 {
        self.of(name).iter().map(|sample| sample.value).sum()
    }

    /// The sum of a metric's samples that have this value of a label.
    pub(super) fn sum_where(&self, name: &str, label: &str, value: &str) -> f64 {
        let samples = self.of(name).iter();
        let samples = samples.filter(|sample| sample.label(label) == value);
        samples.map(|sample| sample.value).sum()
    }

    /// The share of a histogram's observations that are above `bound`, or above its next higher bound; `None` if it has
    /// no observations.
    pub(super) fn share_above(&self, histogram: &str, bound: f64) -> Option<f64> {
        let all = self.sum(&format!("{histogram}_count"));
        let mut below: Option<(f64, f64)> = None;
        for bucket in self.of(&format!("{histogram}_bucket")) {
            let le = bucket.label("le").parse().unwrap_or(f64::INFINITY);
            if le >= bound && below.is_none_or(|(nearest, _)| le < nearest) {
                below = Some((le, bucket.value));
            }
        }
        let (_, below) = below?;
        (all > 0.0).then(|| (all - below) / all)
    }

    /// Counters and histograms less those of an earlier time; other metrics as they are.
    pub(super) fn since(mut self, earlier: &Self) -> Self {
        let is_counter = |name: &str| {
            ["_total", "_count", "_bucket", "_sum"]
                .iter()
                .any(|end| name.ends_with(end))
        };
        for (name, samples) in self.0.iter_mut().filter(|(name, _)| is_counter(name)) {
            for sample in samples {
                let before = earlier.of(name).iter();
                let before = before.filter(|before| before.labels == sample.labels);
                let before: f64 = before.map(|before| before.value).sum();
                // A server that has restarted in between counts from 0.
                if before <= sample.value {
                    sample.value -= before;
                }
            }
        }
        self
    }
}

/// `name{label="value",…} number`
fn parse_line(line: &str) -> Option<(String, MetricSample)> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let (name, labels) = match series.split_once('{') {
        None => (series, Vec::new()),
        Some((name, labels)) => (name, parse_labels(labels)?),
    };
    Some((name.to_owned(), MetricSample { labels, value }))
}

fn parse_labels(text: &str) -> Option<Vec<(String, String)>> {
    let mut labels = Vec::new();
    let mut rest = text;
    while !rest.starts_with('}') {
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = after.chars();
        loop {
            match letters.next()? {
                '"' => break,
                '\\' => match letters.next()? {
                    'n' => value.push('\n'),
                    letter => value.push(letter),
                },
                letter => value.push(letter),
            }
        }
        labels.push((name.to_owned(), value));
        rest = letters.as_str();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE a_total counter\n\
        a_total{domain=\"x, \\\"y\\\"}\",code=\"ok\"} 5\n\
        a_total{domain=\"z\",code=\"over_limit\"} 2\n\
        up 1\n\
        d_seconds_bucket{le=\"0.001\"} 10\n\
        d_seconds_bucket{le=\"0.01\"} 15\n\
        d_seconds_bucket{le=\"+Inf\"} 20\n\
        d_seconds_count 20\n";

    #[test]
    fn labels_may_contain_anything() {
        let samples = MetricSamples::parse(TEXT);
        assert_eq!(samples.of("a_total")[0].label("domain"), "x, \"y\"}");
        assert_eq!(samples.sum("a_total"), 7.0);
        assert_eq!(samples.sum_where("a_total", "code", "over_limit"), 2.0);
        assert_eq!(samples.sum("missing"), 0.0);
    }

    #[test]
    fn the_share_above_a_bound_is_that_of_the_next_bucket() {
        let samples = MetricSamples::parse(TEXT);
        assert_eq!(samples.share_above("d_seconds", 0.005), Some(0.25));
        assert_eq!(samples.share_above("d_seconds", 0.001), Some(0.5));
        assert_eq!(samples.share_above("e_seconds", 0.001), None);
    }

    #[test]
    fn only_counters_are_compared_with_an_earlier_time() {
        let later = MetricSamples::parse("a_total 7\nup 1\nnew_total 3\nrestarted_total 1\n");
        let earlier = MetricSamples::parse("a_total 5\nup 1\nrestarted_total 9\n");
        let since = later.since(&earlier);
        assert_eq!(since.sum("a_total"), 2.0);
        assert_eq!(since.sum("up"), 1.0);
        assert_eq!(since.sum("new_total"), 3.0);
        assert_eq!(since.sum("restarted_total"), 1.0);
    }
}
