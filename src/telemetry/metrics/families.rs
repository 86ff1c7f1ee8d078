//! Every metric of weir: its name, its labels, its help text, and the reader of its samples.
//!
//! A metric is one row of the table of its subject. A row contains its reader, so a metric that is listed is
//! exposed, and `docs/reference/metrics.md` is generated from the same rows.

mod calls;
mod decisions;
mod policies;
mod process;
mod rules;
mod state;
mod store;

use super::scrape::Scrape;
use super::text::{MetricKind, Samples};

/// Metrics of one name.
#[derive(Clone, Copy, Debug)]
pub struct MetricFamily {
    /// Its name in Prometheus.
    pub name: &'static str,
    /// Its type in Prometheus.
    pub kind: MetricKind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// Its help text, one sentence.
    pub help: &'static str,
    pub(super) read: Read,
}

/// Writes all samples of a family.
type Read = fn(&Scrape<'_>, &mut Samples<'_>);

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    read: Read,
) -> MetricFamily {
    MetricFamily {
        name,
        kind: MetricKind::Counter,
        labels,
        help,
        read,
    }
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    read: Read,
) -> MetricFamily {
    MetricFamily {
        name,
        kind: MetricKind::Gauge,
        labels,
        help,
        read,
    }
}

/// The tables, in the order of `/metrics`.
const TABLES: [&[MetricFamily]; 7] = [
    decisions::FAMILIES,
    rules::FAMILIES,
    policies::FAMILIES,
    calls::FAMILIES,
    store::FAMILIES,
    state::FAMILIES,
    process::FAMILIES,
];

/// All metrics, in the order of `/metrics`.
pub fn metric_families() -> impl Iterator<Item = &'static MetricFamily> {
    TABLES.into_iter().flatten()
}
