//! The server: takes connections, spreads them over workers, and ends in good order.
//!
//! It is handed its socket and the moment of its end, so tests and `weir serve` run the same code.

mod connection;
pub mod grpc;
mod listener;
mod pressure;
pub mod reload;
mod returns;
mod workers;

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

pub use listener::{BindError, ListenConfig, ListenConfigError, Listener};

use crate::engine::Engine;
use workers::Workers;

/// How the server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Threads that answer; each connection belongs to one of them.
    pub workers: NonZeroUsize,
    /// How long to go on after the end was asked for, telling health checks to go elsewhere.
    pub drain: Duration,
    /// How long calls may take to end after that; then they are cut off.
    pub grace: Duration,
    /// After how long a connection is asked to go, give or take a tenth; none if never.
    pub max_connection_age: Option<Duration>,
}

/// What the server serves.
#[derive(Clone, Debug)]
pub struct App {
    /// Decides.
    pub engine: Arc<Engine>,
    /// How it runs.
    pub config: Config,
}

/// How a server has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every call was answered, every connection closed.
    InOrder,
    /// Something took too long and was cut off.
    CutOff,
}

/// Serves until `shutdown` ends, and then in three steps: health checks are told to go elsewhere while everything is
/// still served (up to [`Config::drain`], less if nobody is connected); no connection is taken any more and clients
/// are asked to go; what is not done within [`Config::grace`] is cut off.
///
/// # Errors
/// When workers cannot be started, or one of them ends by itself.
pub async fn run(
    listener: Listener,
    app: App,
    shutdown: impl Future<Output = ()>,
) -> Result<End, RunError> {
    let (services, health) = grpc::services(Arc::clone(&app.engine))
        .await
        .map_err(RunError::Protocol)?;
    let engine = Arc::clone(&app.engine);
    let workers = Workers::start(&app.config, &services, move || engine.prepare());
    let mut workers = workers.map_err(RunError::Start)?;

    let leaving = async {
        shutdown.await;
        health.leave().await;
        tracing::info!(
            connections = workers.connections(),
            drain_secs = app.config.drain.as_secs(),
            "shutting down: NOT_SERVING from now on"
        );
        tokio::select! {
            () = tokio::time::sleep(app.config.drain) => {}
            () = workers.idle() => {}
        }
    };
    tokio::select! {
        never = listener::accept(&listener, |socket| workers.hand_over(socket)) => match never {},
        never = pressure::watch(&app.engine) => match never {},
        never = returns::watch(&app.engine) => match never {},
        () = workers.failure() => return Err(RunError::WorkerEnded),
        () = leaving => {}
    }

    drop(listener);
    workers.stop();
    health.end().await;
    let end = workers.ended().await;
    match end {
        End::InOrder => tracing::info!("stopped"),
        End::CutOff => {
            tracing::warn!("stopped; calls or connections that did not end in time were cut off")
        }
    }
    Ok(end)
}

/// Why a server could not go on.
#[derive(Debug)]
pub enum RunError {
    /// No thread or runtime for a worker.
    Start(io::Error),
    /// A fault of the build.
    Protocol(grpc::BrokenProtocol),
    /// A fault of weir: workers end only when they are told to.
    WorkerEnded,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "cannot start a worker: {error}"),
            Self::Protocol(error) => error.fmt(f),
            Self::WorkerEnded => f.write_str("a worker has ended unexpectedly"),
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start(error) => Some(error),
            Self::Protocol(error) => Some(error),
            Self::WorkerEnded => None,
        }
    }
}
