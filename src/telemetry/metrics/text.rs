//! Prometheus' text format, version 0.0.4.
//!
//! Written here rather than by a library: the ones there are insist on OpenMetrics' names, and those of
//! envoyproxy/ratelimit are others.

use std::fmt::{Display, Write as _};

use super::families::MetricFamily;

/// PrometheusText that grows.
#[derive(Debug, Default)]
pub(super) struct PrometheusText(String);

impl PrometheusText {
    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, family: &MetricFamily) {
        let (name, help) = (family.name, family.help);
        let kind = family.kind.as_str();
        // Writing to a String never fails.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// Begins a family that needs no explanation.
    pub(super) fn begin(&mut self, name: &str, kind: super::MetricKind) {
        let _ = writeln!(self.0, "# TYPE {name} {}", kind.as_str());
    }

    /// One sample.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            self.0.push(if at == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{label}=\"");
            self.escaped(text);
            self.0.push('"');
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    fn escaped(&mut self, text: &str) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_label_is_escaped() {
        let mut text = PrometheusText::default();
        text.sample("m", &[("a", "x\"y\\z\n"), ("b", "é")], 1);
        text.sample("n", &[], 2.5);
        assert_eq!(text.finish(), "m{a=\"x\\\"y\\\\z\\n\",b=\"é\"} 1\nn 2.5\n");
    }
}
