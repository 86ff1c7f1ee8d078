//! Logs: events on stderr, for people or as JSON, one a line.

use std::fmt;
use std::io::{self, IsTerminal};

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{fmt as format, registry};

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The least important that is logged.
    pub level: Level,
    /// One JSON object a line, instead of text.
    pub json: bool,
}

/// Starts to log; once per process.
///
/// # Errors
/// When the process logs already.
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

/// What libraries say in detail is theirs, and may hold what a client sent: never below warnings. What an admin did is
/// always logged.
fn filter(level: Level) -> Targets {
    Targets::new()
        .with_default(LevelFilter::from_level(level).min(LevelFilter::WARN))
        .with_target("weir", level)
        .with_target("weir::audit", Level::INFO)
}

/// The process logs already.
#[derive(Debug)]
pub struct LogError(TryInitError);

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot start to log: {}", self.0)
    }
}

impl std::error::Error for LogError {}
