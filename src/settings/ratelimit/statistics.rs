//! Variables for metrics.

use std::time::Duration;

use super::super::ServeSettings;
use super::RatelimitError;
use super::ports::address;
use super::value::{InvalidValue, boolean, duration, pairs, port, set};
use super::variable::{VariableGroup, ignored, used};
use crate::server::ListenConfig;
use crate::server::admin::{HttpPort, HttpPurpose};
use crate::telemetry::{StatsdConfig, StatsdProtocol};

/// A shorter interval would send the same again and again.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// Where metrics go.
pub(super) struct Statistics {
    is_disabled: bool,
    has_prometheus: bool,
    prometheus_address: String,
    prometheus_path: String,
    extra_labels: Vec<(String, String)>,
    /// By default only if metrics go nowhere else.
    has_statsd: Option<bool>,
    has_dog_statsd: bool,
    statsd_host: String,
    statsd_port: u16,
    interval: Duration,
}

impl Default for Statistics {
    fn default() -> Self {
        Self {
            is_disabled: false,
            has_prometheus: false,
            prometheus_address: ":9090".to_owned(),
            prometheus_path: "/metrics".to_owned(),
            extra_labels: Vec::new(),
            has_statsd: None,
            has_dog_statsd: false,
            statsd_host: "localhost".to_owned(),
            statsd_port: 8125,
            interval: Duration::from_secs(10),
        }
    }
}

pub(super) const GROUP: VariableGroup<Statistics> = VariableGroup {
    title: "Metrics",
    variables: &[
        used(
            "DISABLE_STATS",
            "false",
            "no metrics under the names of envoyproxy/ratelimit",
            |raw, value| set(&mut raw.is_disabled, boolean(value)),
        ),
        used(
            "USE_PROMETHEUS",
            "false",
            "metrics on a port of their own",
            |raw, value| set(&mut raw.has_prometheus, boolean(value)),
        ),
        used(
            "PROMETHEUS_ADDR",
            ":9090",
            "address of that port",
            |raw, value| set(&mut raw.prometheus_address, prometheus_address(value)),
        ),
        used("PROMETHEUS_PATH", "/metrics", "their path", |raw, value| {
            set(&mut raw.prometheus_path, http_path(value))
        }),
        ignored(
            "PROMETHEUS_MAPPER_YAML",
            "",
            "the names are those of the default mapping, which is also that of Envoy Gateway",
        ),
        ignored(
            "PROMETHEUS_RESPONSE_TIME_AS_MILLISECONDS",
            "false",
            "a metric that ends in `_seconds` has seconds",
        ),
        used(
            "USE_STATSD",
            "true",
            "counters over TCP to statsd; if it is not set, only without Prometheus and DogStatsD",
            |raw, value| set(&mut raw.has_statsd, boolean(value).map(Some)),
        ),
        used(
            "USE_DOG_STATSD",
            "false",
            "counters over UDP to DogStatsD; not together with USE_STATSD",
            |raw, value| set(&mut raw.has_dog_statsd, boolean(value)),
        ),
        used(
            "STATSD_HOST",
            "localhost",
            "host of statsd or DogStatsD",
            |raw, value| set(&mut raw.statsd_host, Ok(value.into())),
        ),
        used("STATSD_PORT", "8125", "their port", |raw, value| {
            set(&mut raw.statsd_port, port(value))
        }),
        used(
            "STATS_FLUSH_INTERVAL",
            "10s",
            "time between two transmissions to them; metrics for Prometheus are always current",
            |raw, value| set(&mut raw.interval, duration(value)),
        ),
        ignored(
            "USE_DOG_STATSD_MOGRIFIERS",
            "",
            "names are sent as they are; the agent of Datadog can map them (`dogstatsd_mapper_profiles`). So are DOG_STATSD_MOGRIFIER_…_PATTERN, _NAME and _TAGS",
        ),
        used(
            "EXTRA_TAGS",
            "",
            "tags and labels of all metrics under the names of envoyproxy/ratelimit: name:value,name:value",
            |raw, value| set(&mut raw.extra_labels, pairs(value, ':')),
        ),
    ],
};

impl Statistics {
    pub(super) fn apply(self, settings: &mut ServeSettings) -> Result<(), RatelimitError> {
        settings.statsd = self.statsd()?;
        settings.extra_labels.clone_from(&self.extra_labels);
        if let Some(admin) = &mut settings.admin {
            admin.envoy_ratelimit_metrics = !self.is_disabled;
            if self.has_prometheus && !self.is_disabled {
                admin.ports.push(HttpPort {
                    address: self.prometheus_address,
                    purpose: HttpPurpose::Metrics {
                        path: self.prometheus_path,
                    },
                    setting: "PROMETHEUS_ADDR",
                });
            }
        }
        Ok(())
    }
}

impl Statistics {
    fn statsd(&self) -> Result<Option<StatsdConfig>, RatelimitError> {
        let is_default = !self.has_prometheus && !self.has_dog_statsd;
        let protocol = match (self.has_statsd.unwrap_or(is_default), self.has_dog_statsd) {
            _ if self.is_disabled => return Ok(None),
            (true, true) => {
                return Err(RatelimitError::Refused {
                    name: "USE_DOG_STATSD",
                    reason: "USE_STATSD is true; set one of them to false",
                });
            }
            (true, false) => StatsdProtocol::Statsd,
            (false, true) => StatsdProtocol::DogStatsd,
            (false, false) => return Ok(None),
        };
        Ok(Some(StatsdConfig {
            server: address(&self.statsd_host, self.statsd_port),
            protocol,
            tags: self.extra_labels.clone(),
            interval: self.interval.max(SHORTEST_INTERVAL),
        }))
    }
}

/// An address of Go's.
fn prometheus_address(value: &str) -> Result<String, InvalidValue> {
    let value = value.strip_prefix("0.0.0.0").unwrap_or(value);
    match value.parse() {
        Ok(ListenConfig::Tcp(address)) => Ok(address),
        Ok(ListenConfig::Unix(_)) | Err(_) => Err(InvalidValue("HOST:PORT or :PORT")),
    }
}

fn http_path(value: &str) -> Result<String, InvalidValue> {
    let is_fine = value.starts_with('/') && value.bytes().all(|byte| byte.is_ascii_graphic());
    match is_fine && !value.contains(['?', '#']) {
        true => Ok(value.to_owned()),
        false => Err(InvalidValue("a path such as /metrics")),
    }
}
