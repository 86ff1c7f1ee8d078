//! Telemetry: metrics, their recent history, heavy hitters, logs and traces.
//!
//! It observes decisions ([`crate::engine::DescriptorResult`]) and never influences one.

mod collector;
mod heavy_hitters;
mod history;
mod log_queue;
mod logs;
mod metrics;
mod refused_log;
mod rejection_log;
mod server_port;
mod sparse_log;
mod statsd;
// A build without OTLP has a stand-in that cannot be constructed.
#[cfg_attr(not(feature = "otlp"), path = "telemetry/without_otlp.rs")]
mod traces;
mod unmatched;
mod windows;

pub use collector::{CollectorAddress, InvalidCollector, TraceConfig, TraceProtocol, TraceService};
pub use heavy_hitters::{HeavyHitter, HeavyHitters, TopClients};
pub use history::{HISTORY_STEPS, History, HistoryStep};
pub use logs::{DroppedLines, Log, LogConfig, LogError, log};
pub use metrics::{
    CallRecorder, DEFAULT_MAX_SERIES, DomainDecisions, MetricFamily, MetricKind, Metrics,
    PolicyLoad, Recorder, RuleHits, metric_families,
};
pub use server_port::ServerPort;
pub use statsd::{StatsdConfig, StatsdProtocol, StatsdSender};
pub use traces::{DecisionSpan, TraceError, Traces};
pub use unmatched::{UnknownDomain, UnmatchedDescriptors};
