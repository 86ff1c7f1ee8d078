//! Prometheus' text format, version 0.0.4.
//!
//! [`PrometheusText`] writes any family. [`Samples`] writes those of one family, whose name
//! and labels it knows.

use std::fmt::{Display, Write as _};

use super::histogram::{BOUNDS_NS, Histogram};

/// Families and their samples, as text.
#[derive(Debug, Default)]
pub(super) struct PrometheusText(String);

/// Writes the samples of one family.
#[derive(Debug)]
pub(super) struct Samples<'t> {
    text: &'t mut PrometheusText,
    name: &'static str,
    labels: &'static [&'static str],
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only increases.
    Counter,
    /// Increases and decreases.
    Gauge,
    /// Counts values by size.
    Histogram,
}

impl MetricKind {
    /// Its name in the text format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl PrometheusText {
    /// Starts a family with a help text; its samples follow.
    pub(super) fn family(
        &mut self,
        name: &'static str,
        kind: MetricKind,
        help: &str,
        labels: &'static [&'static str],
    ) -> Samples<'_> {
        // Writing to a String is infallible.
        let _ = writeln!(self.0, "# HELP {name} {help}");
        self.begin(name, kind);
        let text = self;
        Samples { text, name, labels }
    }

    /// Starts a family without a help text.
    pub(super) fn begin(&mut self, name: &str, kind: MetricKind) {
        let _ = writeln!(self.0, "# TYPE {name} {}", kind.as_str());
    }

    /// Writes one sample.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{label}=\"");
            self.push_escaped(text);
            self.0.push('"');
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }

    /// Writes the buckets, the sum and the count of a histogram, in seconds.
    pub(super) fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram) {
        let bucket = format!("{name}_bucket");
        let mut cumulative = 0;
        let bounds = BOUNDS_NS
            .iter()
            .map(|bound| (*bound as f64 / 1e9).to_string());
        for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(histogram.counts) {
            cumulative += count;
            let labels = [labels, &[("le", bound.as_str())]].concat();
            self.sample(&bucket, &labels, cumulative);
        }
        let sum_secs = histogram.sum_ns as f64 / 1e9;
        self.sample(&format!("{name}_sum"), labels, sum_secs);
        self.sample(&format!("{name}_count"), labels, cumulative);
    }

    /// The whole text.
    pub(super) fn into_string(self) -> String {
        self.0
    }

    fn push_escaped(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                letter => self.0.push(letter),
            }
        }
    }
}

impl Samples<'_> {
    /// Writes the only sample of a family without labels.
    pub(super) fn value(&mut self, value: impl Display) {
        self.labelled(&[], value);
    }

    /// Writes a sample with a value for each label of the family; the last labels can be left out.
    pub(super) fn labelled(&mut self, values: &[&str], value: impl Display) {
        let names = self.labels.iter().copied();
        let labels: Vec<_> = names.zip(values.iter().copied()).collect();
        self.text.sample(self.name, &labels, value);
    }

    /// Writes a histogram without labels of its own.
    pub(super) fn histogram(&mut self, histogram: &Histogram) {
        self.text.histogram(self.name, &[], histogram);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        let mut text = PrometheusText::default();
        text.sample("m", &[("a", "x\"y\\z\n"), ("b", "é")], 1);
        text.sample("n", &[], 2.5);
        assert_eq!(
            text.into_string(),
            "m{a=\"x\\\"y\\\\z\\n\",b=\"é\"} 1\nn 2.5\n"
        );
    }
}
