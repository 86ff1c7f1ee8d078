//! Flags for what operators see: metrics, traces and the log.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::telemetry::{
    CollectorAddress, DEFAULT_MAX_SERIES, LogConfig, TraceConfig, TraceProtocol, TraceService,
};

/// The flags for metrics, traces and the log, as given.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Telemetry")]
pub(super) struct TelemetryArgs {
    /// Most series by value of all rules with `detailed_metric` or `value_to_metric` together
    ///
    /// Further values are counted in one series of the rule, `values="other"`. A rule has at most 1000.
    #[arg(
        long,
        value_name = "N",
        env = "WEIR_MAX_SERIES",
        default_value_t = DEFAULT_MAX_SERIES
    )]
    pub(super) max_series: usize,

    /// Export decision spans to this OTLP collector: HOST:PORT, http://HOST:PORT or https://HOST:PORT
    ///
    /// The port is usually 4317, and 4318 with `--otlp-protocol http`. The sampling flag of a call's `traceparent` is always followed.
    #[arg(long, value_name = "ADDR", env = "WEIR_OTLP")]
    otlp: Option<CollectorAddress>,

    /// Protocol of the collector
    #[arg(
        long,
        value_name = "PROTOCOL",
        env = "WEIR_OTLP_PROTOCOL",
        default_value = "grpc"
    )]
    otlp_protocol: OtlpProtocol,

    /// CA certificates of the collector, in PEM [default: those of the system]
    #[arg(long, value_name = "FILE", env = "WEIR_OTLP_CA", requires = "otlp")]
    otlp_ca: Option<PathBuf>,

    /// Fraction of calls without a `traceparent` to trace, from 0 to 1
    #[arg(
        long,
        value_name = "RATIO",
        env = "WEIR_OTLP_SAMPLE_RATIO",
        default_value_t = 0.01,
        value_parser = ratio
    )]
    otlp_sample_ratio: f64,

    /// Log up to N refused requests per second; values of secret keys are hidden
    #[arg(
        long,
        value_name = "N",
        env = "WEIR_LOG_REFUSED_PER_SECOND",
        default_value_t = 0
    )]
    pub(super) log_refused_per_second: u64,

    /// Format of the log on stderr
    #[arg(
        long,
        value_name = "FORMAT",
        env = "WEIR_LOG_FORMAT",
        default_value = "auto"
    )]
    log_format: LogFormat,

    /// Minimum level that is logged
    #[arg(
        long,
        value_name = "LEVEL",
        env = "WEIR_LOG_LEVEL",
        default_value = "info"
    )]
    log_level: LogLevel,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// text on a terminal, otherwise json
    Auto,
    /// Text
    Text,
    /// One JSON object per line
    Json,
}

/// OTLP over gRPC or over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OtlpProtocol {
    /// OTLP over gRPC
    Grpc,
    /// OTLP over HTTP, posted to /v1/traces
    Http,
}

/// How important an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl TelemetryArgs {
    /// Where to send spans; none if nowhere.
    pub(super) fn traces(&self) -> Option<TraceConfig> {
        let collector = self.otlp.clone()?;
        let (collector, protocol) = match self.otlp_protocol {
            OtlpProtocol::Grpc => (collector, TraceProtocol::Grpc),
            OtlpProtocol::Http => (collector.for_http(), TraceProtocol::http()),
        };
        Some(TraceConfig {
            collector,
            protocol,
            service: TraceService {
                name: "weir".to_owned(),
                ..TraceService::default()
            },
            ca: self.otlp_ca.clone(),
            sample_ratio: self.otlp_sample_ratio,
        })
    }

    /// How to log; it depends on the terminal.
    pub(super) fn log(&self) -> LogConfig {
        LogConfig {
            level: self.log_level.into(),
            json: match self.log_format {
                LogFormat::Auto => !io::stderr().is_terminal(),
                LogFormat::Text => false,
                LogFormat::Json => true,
            },
        }
    }
}

fn ratio(text: &str) -> Result<f64, &'static str> {
    let ratio = text.parse().ok();
    let ratio = ratio.filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or("expected a number from 0 to 1")
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}
