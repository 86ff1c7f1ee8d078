//! The admin server: HTTP for those who run weir, on a thread of its own that no decision waits for.
//!
//! [`ENDPOINTS`] says what there is. What changes something or shows clients needs the token; without a token such
//! endpoints are closed.

mod audit;
mod explain;
mod guard;
mod health;
mod json;
mod keys;
mod metrics;
mod overview;
mod page;
mod reload;
mod rlconfig;
mod token;
mod top;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use parking_lot::Mutex;
use tokio::runtime;
use tokio::sync::broadcast;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

pub use token::{TokenError, TokenFile};

use super::grpc::json::JsonProtocol;
use super::listener::{BindError, ListenConfig};
use super::readiness::Readiness;
use super::reload::Reloader;
use crate::engine::{Engine, Explanation};
use crate::telemetry::{History, Metrics, Recorder};

/// How the admin server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// Where it listens: HOST:PORT; port 0 is any free one.
    pub address: String,
    /// The file of the token; without one, what needs it is closed.
    pub token_file: Option<PathBuf>,
    /// Metrics also under the names of envoyproxy/ratelimit.
    pub envoy_ratelimit_metrics: bool,
    /// How often the history of the page goes on a step.
    pub step: Duration,
}

/// What the admin server tells of and acts upon.
#[derive(Debug)]
pub struct Admin {
    /// Decides.
    pub engine: Arc<Engine>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Loads the policies.
    pub reloader: Arc<Reloader>,
    /// Whether the server wants calls.
    pub readiness: Readiness,
    /// What must be known by who wants to change things or see clients.
    pub token: Option<TokenFile>,
    /// How it runs.
    pub config: AdminConfig,
}

/// Steps that who watches may be behind before some are lost to it.
const STEPS_BEHIND: usize = 16;

/// An endpoint of the admin server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// How it is asked.
    pub method: &'static str,
    /// Its path.
    pub path: &'static str,
    /// Whether it needs the token.
    pub needs_token: bool,
    /// What it does, in a sentence.
    pub help: &'static str,
}

const fn closed(method: &'static str, path: &'static str, help: &'static str) -> Endpoint {
    Endpoint {
        method,
        path,
        needs_token: true,
        help,
    }
}

const fn open(method: &'static str, path: &'static str, help: &'static str) -> Endpoint {
    Endpoint {
        method,
        path,
        needs_token: false,
        help,
    }
}

/// All of them.
pub const ENDPOINTS: &[Endpoint] = &[
    open(
        "GET",
        "/",
        "the page: domains, rules, who is refused, and a form that explains",
    ),
    open(
        "GET",
        "/healthcheck",
        "200 `OK` while weir wants calls, else 500",
    ),
    open(
        "GET",
        "/ready",
        "200 while weir wants calls, and what is wrong although it does; else 503",
    ),
    open("GET", "/live", "200 as long as the process answers"),
    open(
        "GET",
        "/metrics",
        "every metric, in Prometheus' text format",
    ),
    open(
        "POST",
        "/json",
        "decides and counts a `RateLimitRequest` in JSON: 200 for OK, 429 for OVER_LIMIT, 400 if it is none, 503 if it could not be counted and a rule says to fail then",
    ),
    open(
        "GET",
        "/rlconfig",
        "one line for each limit in force, as envoyproxy/ratelimit writes them",
    ),
    open(
        "GET",
        "/api/overview",
        "what the page shows: domains, rules and the last 15 minutes",
    ),
    open(
        "GET",
        "/api/events",
        "what each step of 5 seconds adds to it, as server-sent events",
    ),
    open(
        "GET",
        "/api/top",
        "who asks most and who is refused most in the last 5 to 10 minutes; with the token, unless there is none and weir listens on loopback",
    ),
    open(
        "POST",
        "/api/explain",
        "what a `RateLimitRequest` would meet and why, as `weir explain` tells it; with the token by the counters of now",
    ),
    closed(
        "POST",
        "/api/keys/show",
        "how the counters of a `RateLimitRequest` stand; nothing is counted",
    ),
    closed(
        "POST",
        "/api/keys/reset",
        "forgets what was counted for its descriptors",
    ),
    closed(
        "POST",
        "/api/keys/credit",
        "gives back as many hits as it would cost",
    ),
    closed(
        "POST",
        "/api/reload",
        "loads the policies anew: 200 if they are in force, 409 if they were refused",
    ),
];

/// What the handlers share.
#[derive(Debug)]
struct AdminState {
    admin: Admin,
    protocol: JsonProtocol,
    recorder: Recorder,
    history: Mutex<History>,
    /// What the last step brought, for those who watch.
    steps: broadcast::Sender<Arc<str>>,
    /// Only this machine reaches it, so only names of this machine are good hosts.
    is_loopback: bool,
}

/// The running thread; it ends when this is dropped.
#[derive(Debug)]
pub struct AdminServer {
    address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// A bound socket.
#[derive(Debug)]
pub struct AdminListener(TcpListener);

impl AdminListener {
    /// Binds.
    ///
    /// # Errors
    /// When the address is in use, is not this machine's, or is not allowed.
    pub fn new(config: &AdminConfig) -> Result<Self, BindError> {
        let bound = TcpListener::bind(&config.address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        bound.map(Self).map_err(|source| {
            let address = ListenConfig::Tcp(config.address.clone());
            BindError::new(address, source, "--http")
        })
    }
}

/// Starts to answer.
///
/// # Errors
/// When there can be no thread, or the protocol that is built in is broken.
pub fn start(bound: AdminListener, admin: Admin) -> io::Result<AdminServer> {
    let address = bound.0.local_addr()?;
    let protocol =
        JsonProtocol::new().ok_or_else(|| io::Error::other("the protocol cannot be read"))?;
    let shared = Arc::new(AdminState {
        recorder: admin.metrics.admin_recorder(),
        history: Mutex::default(),
        steps: broadcast::Sender::new(STEPS_BEHIND),
        protocol,
        is_loopback: address.ip().is_loopback(),
        admin,
    });
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let thread = thread::Builder::new()
        .name("weir-admin".to_owned())
        .spawn(move || runtime.block_on(serve(bound.0, shared, stopped)))?;
    Ok(AdminServer {
        address,
        stop,
        thread: Some(thread),
    })
}

impl AdminServer {
    /// Where it listens, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic of it was printed; there is nothing to add.
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<AdminState>, stop: CancellationToken) {
    shared.admin.engine.prepare();
    let mut steps = tokio::time::interval(shared.admin.config.step);
    steps.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let stepping = async {
        let shared = Arc::clone(&shared);
        loop {
            steps.tick().await;
            overview::step(&shared);
        }
    };
    let service = router(Arc::clone(&shared)).into_make_service_with_connect_info::<SocketAddr>();
    let served = async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        axum::serve(listener, service).await
    };
    tokio::select! {
        // Nobody is asked to go: who watches would not.
        () = stop.cancelled() => {}
        () = stepping => {}
        outcome = served => if let Err(error) = outcome {
            tracing::error!(%error, "admin server failed");
        }
    }
}

/// An explanation in the form that was asked for.
fn explained(headers: &HeaderMap, explanation: &Explanation) -> Response {
    let is_text = headers.get(ACCEPT).is_some_and(|form| form == "text/plain");
    match is_text {
        true => explanation.to_string().into_response(),
        false => told(serde_json::json!(explanation)),
    }
}

/// What is said when the counters are elsewhere and cannot be asked.
fn out_of_reach() -> Response {
    let why = "the counters cannot be reached now\n";
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}

/// An answer in JSON.
fn told(json: serde_json::Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], json.to_string()).into_response()
}

fn router(shared: Arc<AdminState>) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/healthcheck", any(health::healthcheck))
        .route("/ready", get(health::ready))
        .route("/live", get(health::live))
        .route("/metrics", get(metrics::metrics))
        .route("/json", post(json::decide))
        .route("/rlconfig", get(rlconfig::rlconfig))
        .route("/api/overview", get(overview::overview))
        .route("/api/events", get(overview::events))
        .route("/api/top", get(top::top))
        .route("/api/explain", post(explain::explain))
        .route("/api/keys/show", post(keys::show))
        .route("/api/keys/reset", post(keys::reset))
        .route("/api/keys/credit", post(keys::credit))
        .route("/api/reload", post(reload::reload))
        .fallback(|| async { (StatusCode::NOT_FOUND, "no such page\n") })
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&shared),
            guard::guard,
        ))
        .with_state(shared)
}
