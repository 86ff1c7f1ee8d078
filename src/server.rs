//! The server: takes connections, spreads them over workers, and ends in good order.
//!
//! It is handed its socket and the moment of its end, so tests and `weir serve` run the same code.

pub mod admin;
mod connection;
mod file_limit;
pub mod grpc;
pub mod http2;
mod listener;
mod readiness;
pub mod reload;
mod warnings;
mod workers;

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

pub use file_limit::raise_file_limit;
pub use listener::{BindError, ListenConfig, ListenConfigError, Listener};
pub use readiness::Readiness;

use crate::api::ServingStage;
use crate::engine::Engine;
use crate::telemetry::{Metrics, Traces};
use http2::Rejection;
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
    /// Connections that may be open at once; more are closed as they come.
    pub max_connections: usize,
    /// Bytes of unfinished messages, of all connections together.
    pub buffer_bytes: usize,
    /// Whether `dynamic_metadata` describes the request.
    pub request_metadata: bool,
}

/// What the server serves.
#[derive(Clone, Debug)]
pub struct App {
    /// Decides.
    pub engine: Arc<Engine>,
    /// Counts what is decided, by the policy of the engine.
    pub metrics: Arc<Metrics>,
    /// Makes spans; none if nobody wants them.
    pub traces: Option<Arc<Traces>>,
    /// Whether it wants calls, for the admin server.
    pub readiness: Readiness,
    /// How it runs.
    pub config: Config,
}

impl App {
    /// An app of this engine, whose policy has not been served yet.
    pub fn new(engine: Arc<Engine>, config: Config) -> Self {
        Self {
            metrics: Arc::new(Metrics::new(&engine.policy())),
            engine,
            traces: None,
            readiness: Readiness::default(),
            config,
        }
    }
}

/// How a server has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Every call was answered, every connection closed.
    Clean,
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
) -> Result<Shutdown, RunError> {
    let recorders = (0..app.config.workers.get()).map(|_| app.metrics.worker_recorder());
    let recorders: Vec<_> = recorders.collect();
    let (services, health) = grpc::services(
        &app.engine,
        (&recorders, app.traces.as_ref()),
        app.config.request_metadata,
    )
    .await
    .map_err(RunError::Protocol)?;
    let connections = recorders
        .iter()
        .map(|recorder| Arc::clone(recorder.connections()));
    let services = services.into_iter().zip(connections).collect();
    let engine = Arc::clone(&app.engine);
    let workers = Workers::start(&app.config, services, move || engine.prepare());
    let mut workers = workers.map_err(RunError::Start)?;

    let acceptor = app.metrics.acceptor_recorder();
    let taken = |socket| {
        if let Err(_closed) = workers.hand_over(socket) {
            acceptor.rejected(Rejection::TooManyConnections, app.engine.now());
        }
    };
    app.readiness.set(ServingStage::Serving);
    let leaving = async {
        shutdown.await;
        app.readiness.set(ServingStage::Draining);
        health.leave().await;
        tracing::info!(
            connections = workers.connections(),
            drain_secs = app.config.drain.as_secs(),
            "shutting down, health checks report NOT_SERVING"
        );
        tokio::select! {
            () = tokio::time::sleep(app.config.drain) => {}
            () = workers.idle() => {}
        }
    };
    tokio::select! {
        never = listener::accept(&listener, taken) => match never {},
        never = warnings::watch(&app.engine) => match never {},
        never = warnings::follow_clock() => match never {},
        () = workers.failure() => return Err(RunError::WorkerEnded),
        () = leaving => {}
    }

    drop(listener);
    workers.stop();
    health.end().await;
    let end = workers.ended().await;
    match end {
        Shutdown::Clean => tracing::info!("stopped"),
        Shutdown::CutOff => {
            tracing::warn!("shutdown grace period exceeded, remaining connections closed")
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
    Protocol(grpc::DescriptorSetError),
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
