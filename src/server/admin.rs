//! The admin server: HTTP for operators, on two threads that no decision waits for: `front` has the
//! connections and answers health checks, the other one handles all other requests.
//!
//! [`ENDPOINTS`] lists what it serves. Whatever changes something or shows clients requires the
//! token (see `guard`); without a token those endpoints are closed. The JSON is defined in
//! [`crate::api`].

mod access;
mod assignments;
mod audit;
mod endpoints;
mod explain;
mod front;
mod guard;
mod health;
mod json;
mod keys;
mod metrics;
mod openapi;
mod overview;
mod page;
mod peer;
mod ports;
mod reload;
mod rlconfig;
mod token;
mod top;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

pub use access::{Access, JsonAccess};
pub use endpoints::{ENDPOINTS, Endpoint};
pub use openapi::OPENAPI;
pub use ports::{AdminListeners, HttpPort, HttpPurpose};
pub use token::{TokenError, TokenFile};

use front::{Front, PendingRequest};
use peer::Peer;

use super::assignments::Assignments;
use super::grpc::json::JsonProtocol;
use super::readiness::Readiness;
use super::reload::Reloader;
use super::tls::TlsPort;
use crate::engine::Engine;
use crate::telemetry::{History, Metrics, Recorder};
use crate::threads;

/// How the admin server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// The ports it listens on.
    pub ports: Vec<HttpPort>,
    /// The file with the token; without one, endpoints that require it are closed.
    pub token_file: Option<PathBuf>,
    /// Host names that requests may name besides localhost and IP addresses; `*` is any.
    pub hosts: Vec<String>,
    /// Who may charge by `POST /json` without the token.
    pub json: JsonAccess,
    /// Also exposes metrics under the names of envoyproxy/ratelimit.
    pub envoy_ratelimit_metrics: bool,
    /// Length of a step of the history on the page.
    pub step: Duration,
    /// Connections that may be open at once; the oldest is closed for one more.
    pub max_connections: usize,
}

/// What the admin server reports and acts on.
#[derive(Debug)]
pub struct Admin {
    /// The engine that decides.
    pub engine: Arc<Engine>,
    /// What was counted.
    pub metrics: Arc<Metrics>,
    /// Reloads the policies.
    pub reloader: Arc<Reloader>,
    /// Assignments that are added while weir serves.
    pub assignments: Arc<Assignments>,
    /// Whether the server accepts calls.
    pub readiness: Readiness,
    /// The certificate of the main port; `None` to serve without TLS.
    pub tls: Option<Arc<TlsPort>>,
    /// The token that permits changes and shows clients.
    pub token: Option<TokenFile>,
    /// How it runs.
    pub config: AdminConfig,
}

/// Steps that a receiver of events can be behind before it misses some.
const EVENT_BACKLOG: usize = 16;

/// Requests that are read and handled at once, if they have a body.
const MAX_BODIES: usize = 8;

/// State that the handlers share.
#[derive(Debug)]
struct AdminState {
    admin: Admin,
    protocol: JsonProtocol,
    recorder: Recorder,
    history: Mutex<History>,
    /// Sends each step of the history, as JSON.
    steps: broadcast::Sender<Arc<str>>,
    /// Permits to have the body of a request in memory.
    bodies: Semaphore,
}

/// The running admin server; it stops when this is dropped.
#[derive(Debug)]
pub struct AdminServer {
    addresses: Vec<SocketAddr>,
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

impl AdminServer {
    /// Starts to serve.
    ///
    /// # Errors
    /// If the system provides no thread, or the built-in protocol descriptors are invalid.
    pub fn start(listeners: AdminListeners, admin: Admin) -> io::Result<Self> {
        let AdminListeners(listeners) = listeners;
        let addresses = listeners.iter().map(|(_, listener)| listener.local_addr());
        let addresses = addresses.collect::<io::Result<_>>()?;
        let protocol = JsonProtocol::new().map_err(io::Error::other)?;
        let state = Arc::new(AdminState {
            recorder: admin.metrics.admin_recorder(),
            history: Mutex::default(),
            steps: broadcast::Sender::new(EVENT_BACKLOG),
            bodies: Semaphore::new(MAX_BODIES),
            protocol,
            admin,
        });
        let max_connections = state.admin.config.max_connections;
        let (handlers, requests) = mpsc::channel(max_connections.max(1));
        let front = |purpose| Front {
            health: router(&state, |endpoint| health::PATHS.contains(&endpoint.path)),
            handlers: handlers.clone(),
            metrics: Arc::clone(&state.admin.metrics),
            tls: match purpose {
                HttpPurpose::Main => state.admin.tls.clone(),
                HttpPurpose::Debug | HttpPurpose::Metrics { .. } => None,
            },
            purpose,
            recorder: Arc::new(state.admin.metrics.admin_recorder()),
            max_connections,
            head_timeout: front::HEAD_TIMEOUT,
        };
        let fronts = listeners
            .into_iter()
            .map(|(purpose, listener)| (front(purpose), listener));
        let fronts: Vec<_> = fronts.collect();
        let mut server = Self {
            addresses,
            stop: CancellationToken::new(),
            threads: Vec::new(),
        };
        let stop = server.stop.clone();
        server.spawn("weir-admin", async move {
            tokio::select! {
                // Without a graceful shutdown: receivers of events would never disconnect.
                () = stop.cancelled() => {}
                () = handle(requests, state) => {}
            }
        })?;
        let stop = server.stop.clone();
        server.spawn("weir-http", async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = serve(fronts) => {}
            }
        })?;
        Ok(server)
    }

    /// Runs `work` on a thread with a runtime of its own.
    fn spawn(
        &mut self,
        name: &str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let thread = threads::spawn_with_runtime(name, |runtime| runtime.block_on(work))?;
        self.threads.push(thread);
        Ok(())
    }

    /// The addresses it listens on, with the actual ports, in the order of [`AdminConfig::ports`].
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            // A panic has been printed already.
            let _ = thread.join();
        }
    }
}

/// Takes connections on all ports, forever unless one fails.
async fn serve(fronts: Vec<(Front, std::net::TcpListener)>) {
    let mut serving = JoinSet::new();
    for (front, listener) in fronts {
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => serving.spawn(async { match front.serve(listener).await {} }),
            Err(error) => return tracing::error!(%error, "admin server failed"),
        };
    }
    while serving.join_next().await.is_some() {}
}

/// Handles requests and ends the steps of the history, until nobody can send a request.
async fn handle(requests: mpsc::Receiver<PendingRequest>, state: Arc<AdminState>) {
    state.admin.engine.prepare();
    let stepping = async {
        let mut ticks = tokio::time::interval(state.admin.config.step);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            overview::step(&state);
        }
    };
    let router = router(&state, |_| true);
    tokio::select! {
        () = stepping => {}
        () = front::handle(requests, router) => {}
    }
}

/// Serves the endpoints that `is_served`.
fn router(state: &Arc<AdminState>, is_served: impl Fn(&Endpoint) -> bool) -> Router {
    let mut router = Router::new();
    let guard = |access| {
        let state = (Arc::clone(state), access);
        axum::middleware::from_fn_with_state(state, guard::guard)
    };
    for endpoint in ENDPOINTS.iter().filter(|endpoint| is_served(endpoint)) {
        let handler = (endpoint.handler)().layer(guard(endpoint.access));
        router = router.route(endpoint.path, handler);
    }
    let not_found = any(|| async { (StatusCode::NOT_FOUND, "not found\n") });
    router
        .fallback_service(not_found.layer(guard(Access::NamedHost)))
        .with_state(Arc::clone(state))
}

/// A response with status 200 in JSON.
fn json_response(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(json) => ([(CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => {
            let text = format!("cannot serialize the response: {error}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}

/// The response if Redis is unavailable.
fn store_unavailable() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "redis is unavailable\n").into_response()
}
