//! Logs: one event per line on stderr, as text or as JSON.

use std::io::{self, IsTerminal};

use thiserror::Error;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{fmt as format, registry};

use super::log_queue::LogQueue;

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Minimum level that is logged.
    pub level: Level,
    /// One JSON object per line, instead of text.
    pub json: bool,
}

/// The running log. Dropping it writes the last lines, if stderr is read.
#[derive(Debug)]
pub struct Log(LogQueue);

impl Log {
    /// Reads how many lines were dropped since the start, for metrics.
    pub fn dropped_lines(&self) -> DroppedLines {
        DroppedLines(self.0.clone())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.0.flush();
    }
}

/// Reads how many lines were dropped.
#[derive(Clone, Debug, Default)]
pub struct DroppedLines(LogQueue);

impl DroppedLines {
    /// Lines that were dropped since the start: stderr was read too slowly, or a library logged too much.
    pub fn get(&self) -> u64 {
        self.0.dropped()
    }
}

/// Starts logging, once per process.
///
/// # Errors
/// If the process already has a logger, or the system provides no thread.
pub fn log(config: LogConfig) -> Result<Log, LogError> {
    let queue = LogQueue::default();
    let layer = if config.json {
        format::layer()
            .json()
            .flatten_event(true)
            .with_writer(queue.clone())
            .boxed()
    } else {
        format::layer()
            .with_ansi(io::stderr().is_terminal())
            .with_writer(queue.clone())
            .boxed()
    };
    registry()
        .with(layer.with_filter(filter(config.level)))
        .try_init()
        .map_err(LogError::Running)?;
    queue.start(io::stderr()).map_err(LogError::Thread)?;
    // The default one writes to stderr itself, and would wait for its reader.
    std::panic::set_hook(Box::new(|panic| tracing::error!("internal error: {panic}")));
    Ok(Log(queue))
}

/// Libraries log at most warnings, since their details may contain what a client sent. Actions of
/// admins are always logged.
fn filter(level: Level) -> Targets {
    Targets::new()
        .with_default(LevelFilter::from_level(level).min(LevelFilter::WARN))
        .with_target("weir", level)
        .with_target("weir::audit", Level::INFO)
}

/// Why the process cannot log.
#[derive(Debug, Error)]
pub enum LogError {
    /// It logs already.
    #[error("cannot start to log")]
    Running(#[source] TryInitError),
    /// The system provides no thread.
    #[error("cannot start the thread that writes the log")]
    Thread(#[source] io::Error),
}
