//! Logs: one event per line on stderr, as text or as JSON.

use std::io::{self, IsTerminal};

use thiserror::Error;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{fmt as format, registry};

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Minimum level that is logged.
    pub level: Level,
    /// One JSON object per line, instead of text.
    pub json: bool,
}

/// Starts logging, once per process.
///
/// # Errors
/// If the process already has a logger.
pub fn log(config: LogConfig) -> Result<(), LogError> {
    let layer = if config.json {
        format::layer()
            .json()
            .flatten_event(true)
            .with_writer(io::stderr)
            .boxed()
    } else {
        format::layer()
            .with_ansi(io::stderr().is_terminal())
            .with_writer(io::stderr)
            .boxed()
    };
    registry()
        .with(layer.with_filter(filter(config.level)))
        .try_init()
        .map_err(LogError)
}

/// Libraries log at most warnings, since their details may contain what a client sent. Actions of
/// admins are always logged.
fn filter(level: Level) -> Targets {
    Targets::new()
        .with_default(LevelFilter::from_level(level).min(LevelFilter::WARN))
        .with_target("weir", level)
        .with_target("weir::audit", Level::INFO)
}

/// The process already has a logger.
#[derive(Debug, Error)]
#[error("cannot start logging")]
pub struct LogError(#[source] TryInitError);
