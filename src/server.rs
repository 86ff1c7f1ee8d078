//! The gRPC server: accepts connections, distributes them to workers, and shuts down gracefully.
//!
//! The caller provides the bound socket and the shutdown signal, so tests run the same code as
//! `weir serve`. `grpc` has the services, `admin` the HTTP server, `reload` the policy reloader.

pub mod admin;
mod ages;
pub mod assignments;
mod connection;
mod file_limit;
pub mod grpc;
pub mod http2;
mod listener;
mod readiness;
pub mod reload;
mod socket;
pub mod tls;
mod warnings;
mod workers;

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

pub use file_limit::FileLimit;
pub use listener::{BindError, ListenConfig, ListenConfigError, Listener};
pub use readiness::{Readiness, ReadyCondition};

use crate::api::ServingStage;
use crate::engine::Engine;
use crate::telemetry::{Metrics, Traces};
use connection::Accepted;
use grpc::ServiceParts;
use http2::Rejection;
use tls::TlsPort;
use workers::{WorkerParts, Workers};

/// How the server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Number of worker threads; each connection belongs to one of them.
    pub workers: NonZeroUsize,
    /// How long to keep serving after the shutdown signal, while health checks report NOT_SERVING.
    pub drain: Duration,
    /// How long open calls may take after that before their connections are closed.
    pub grace: Duration,
    /// Age at which clients are asked to reconnect, ± 10 %; `None` for no limit.
    pub max_connection_age: Option<Duration>,
    /// Connections that may be open at once; more are closed as they come.
    pub max_connections: usize,
    /// Bytes of unfinished messages, of all connections together.
    pub buffer_bytes: usize,
    /// Whether `dynamic_metadata` describes the request.
    pub request_metadata: bool,
}

/// What the server needs to run.
#[derive(Clone, Debug)]
pub struct App {
    /// Decides requests.
    pub engine: Arc<Engine>,
    /// Counts the decisions, by the rules of the engine's policy.
    pub metrics: Arc<Metrics>,
    /// Creates spans; `None` if traces are not exported.
    pub traces: Option<Arc<Traces>>,
    /// The certificate of the gRPC port; `None` to serve without TLS.
    pub tls: Option<Arc<TlsPort>>,
    /// Whether the server accepts calls, for the admin server.
    pub readiness: Readiness,
    /// What must be true before it says so.
    pub ready_when: ReadyCondition,
    /// How the server runs.
    pub config: Config,
}

impl App {
    /// An app with new metrics and without traces.
    pub fn new(engine: Arc<Engine>, config: Config) -> Self {
        Self {
            metrics: Arc::new(Metrics::new(&engine.policy())),
            engine,
            traces: None,
            tls: None,
            readiness: Readiness::default(),
            ready_when: ReadyCondition::default(),
            config,
        }
    }
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Every call was answered and every connection closed.
    Clean,
    /// Calls were still open after [`Config::grace`]; their connections were closed.
    CutOff,
}

/// Serves until `shutdown` completes. Then it shuts down in three steps:
///
/// 1. Health checks report NOT_SERVING while calls are still served, for up to [`Config::drain`];
///    less if no client is connected.
/// 2. No connection is accepted, and clients are asked to disconnect.
/// 3. Connections that are still open after [`Config::grace`] are closed.
///
/// ```
/// use std::path::Path;
/// use std::sync::Arc;
/// use std::time::Duration;
/// use weir::clock::Clock;
/// use weir::engine::Engine;
/// use weir::policy;
/// use weir::server::{self, App, Config, ListenConfig, Listener, Shutdown};
/// use weir::store::{MemoryConfig, Store};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let text = "domain: shop\ndescriptors: [{key: user, rate_limit: {unit: minute, requests_per_unit: 10}}]";
/// let policy = policy::load_text(Path::new("shop.yaml"), text).policy.ok_or("invalid policy")?;
/// let engine = Engine::new(policy, Store::memory(MemoryConfig::default())?, Clock::System);
/// let config = Config {
///     workers: std::thread::available_parallelism()?,
///     drain: Duration::from_secs(5),
///     grace: Duration::from_secs(5),
///     max_connection_age: None,
///     max_connections: 1_000,
///     buffer_bytes: 64 << 20,
///     request_metadata: false,
/// };
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// runtime.block_on(async {
///     let listener = Listener::bind(&ListenConfig::Tcp("127.0.0.1:0".into()))?;
///     let app = App::new(Arc::new(engine), config);
///     // `tokio::signal::ctrl_c()` in a program; here it stops at once.
///     let shutdown = std::future::ready(());
///     assert_eq!(server::run(listener, app, shutdown).await?, Shutdown::Clean);
///     Ok(())
/// })
/// # }
/// ```
///
/// # Errors
/// If workers cannot be started, or one of them ends unexpectedly.
pub async fn run(
    listener: Listener,
    app: App,
    shutdown: impl Future<Output = ()>,
) -> Result<Shutdown, RunError> {
    let recorders = (0..app.config.workers.get()).map(|_| app.metrics.worker_recorder());
    let recorders: Vec<_> = recorders.collect();
    let (services, health) = grpc::services(ServiceParts {
        engine: &app.engine,
        recorders: &recorders,
        traces: app.traces.as_ref(),
        request_metadata: app.config.request_metadata,
    })
    .await
    .map_err(RunError::Protocol)?;
    let parts = services.into_iter().zip(&recorders);
    let parts = parts.map(|(services, recorder)| WorkerParts {
        services,
        connections: Arc::clone(recorder.connections()),
    });
    let parts = parts.collect();
    let engine = Arc::clone(&app.engine);
    let workers = Workers::start(&app.config, parts, move || engine.prepare());
    let mut workers = workers.map_err(RunError::Start)?;

    let acceptor = app.metrics.acceptor_recorder();
    let rejected = |reason| acceptor.rejected(reason, app.engine.now());
    let taken = |accepted| {
        if let Err(_closed) = workers.hand_over(accepted) {
            rejected(Rejection::TooManyConnections);
        }
    };
    let accepting = async {
        match &app.tls {
            None => listener::accept(&listener, |socket| taken(Accepted::Plain(socket))).await,
            Some(port) => {
                let has_room = |handshakes| workers.has_room(handshakes);
                listener::accept_tls(&listener, Arc::clone(port), has_room, |established| {
                    match established {
                        Ok(established) => taken(Accepted::Tls(established)),
                        Err(reason) => rejected(reason),
                    }
                })
                .await
            }
        }
    };
    let missing = app.ready_when.missing(&app.engine);
    app.readiness.set(readiness::stage(missing));
    health.report(missing.is_none()).await;
    let following = app
        .ready_when
        .follow(missing, &app.engine, &app.readiness, &health);
    let leaving = async {
        shutdown.await;
        app.readiness.set(ServingStage::Draining);
        health.report(false).await;
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
        never = accepting => match never {},
        never = following => match never {},
        never = warnings::watch(&app.engine) => match never {},
        never = warnings::follow_clock() => match never {},
        never = warnings::watch_policy_checks(&app.metrics) => match never {},
        never = warnings::watch_state(&app.metrics) => match never {},
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
            tracing::warn!("shutdown grace period exceeded, remaining connections closed");
        }
    }
    Ok(end)
}

/// Why a server ended.
#[derive(Debug, Error)]
pub enum RunError {
    /// The system provides no thread or runtime for a worker.
    #[error("cannot start the workers")]
    Start(#[source] io::Error),
    /// The build is faulty.
    #[error(transparent)]
    Protocol(grpc::DescriptorSetError),
    /// A worker ended although the server was not shutting down. This is a bug in weir.
    #[error("a worker has ended unexpectedly")]
    WorkerEnded,
}
