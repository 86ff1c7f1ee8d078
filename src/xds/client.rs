//! The long-lived client: connects, subscribes, and passes on what the server sends.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::config::XdsConfig;
use super::loader::{Received, XdsLoader};
use super::resource;
use super::session::{Judgement, Session};
use super::stream::{self, DiscoveryStream, StreamError};
use crate::backoff::Backoff;
use crate::error_text::with_sources;
use crate::policy::LoadOptions;
use crate::proto::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use crate::threads;

/// The client's thread; it ends soon after this is dropped.
#[derive(Debug)]
pub struct XdsClient {
    status: Arc<XdsStatus>,
    _stop: DropGuard,
}

/// What the client has done so far.
#[derive(Debug, Default)]
pub struct XdsStatus {
    server: String,
    is_connected: AtomicBool,
    /// Why the last connection was not made, or has ended.
    last_error: Mutex<Option<String>>,
    accepted: AtomicU64,
    unchanged: AtomicU64,
    rejected: AtomicU64,
}

impl XdsStatus {
    fn new(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            ..Self::default()
        }
    }

    /// The server, as `HOST:PORT`.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Why the connection to the server failed; `None` while it is connected.
    pub fn problem(&self) -> Option<String> {
        if self.is_connected() {
            return None;
        }
        let error = self.last_error.lock().clone();
        Some(error.unwrap_or_else(|| "connecting".to_owned()))
    }

    /// Whether there is a connection to the server.
    pub fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Relaxed)
    }

    /// Responses so far: accepted, unchanged, rejected.
    pub fn responses(&self) -> [(&'static str, u64); 3] {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        [
            ("accepted", count(&self.accepted)),
            ("unchanged", count(&self.unchanged)),
            ("rejected", count(&self.rejected)),
        ]
    }
}

impl XdsClient {
    /// Starts to subscribe, on a thread of its own. `options` apply to all domains; `apply` puts a configuration in
    /// force, or says why it cannot be.
    ///
    /// # Errors
    /// If the system provides no thread.
    pub fn start<A>(config: XdsConfig, options: LoadOptions, apply: A) -> io::Result<Self>
    where
        A: AsyncFnMut(Received) -> Result<(), String> + Send + 'static,
    {
        let status = Arc::new(XdsStatus::new(&config.server));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let subscription = Subscription {
            session: Session::new(stream::node(&config)),
            reconnects: Backoff::new(config.first_pause, config.longest_pause),
            config,
            loader: XdsLoader::new(options),
            apply,
            status: Arc::clone(&status),
            logged_error: None,
        };
        threads::spawn_with_runtime("weir-xds", move |runtime| {
            runtime.block_on(async {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = subscription.run() => {}
                }
            });
        })?;
        Ok(Self {
            status,
            _stop: stop.drop_guard(),
        })
    }

    /// What it has done so far.
    pub fn status(&self) -> &Arc<XdsStatus> {
        &self.status
    }
}

struct Subscription<A> {
    config: XdsConfig,
    session: Session,
    loader: XdsLoader,
    apply: A,
    status: Arc<XdsStatus>,
    reconnects: Backoff,
    /// So that a trouble is logged once.
    logged_error: Option<String>,
}

impl<A: AsyncFnMut(Received) -> Result<(), String>> Subscription<A> {
    async fn run(mut self) {
        loop {
            let Err(error) = self.follow().await;
            self.report(&error);
            tokio::time::sleep(self.reconnects.next_jittered_delay()).await;
        }
    }

    fn report(&mut self, error: &StreamError) {
        let text = with_sources(error);
        *self.status.last_error.lock() = Some(text.clone());
        self.status.is_connected.store(false, Ordering::Relaxed);
        let is_new = self.logged_error.as_ref() != Some(&text);
        let server = &self.config.server;
        if matches!(error, StreamError::TooLong { .. }) {
            self.status.rejected.fetch_add(1, Ordering::Relaxed);
            if is_new {
                tracing::error!(
                    server,
                    "configuration too long, the last one stays in force: {text}"
                );
            }
        } else if is_new {
            tracing::warn!(
                server,
                "no connection to the configuration server, the last configuration stays in force: {text}"
            );
        }
        self.logged_error = Some(text);
    }

    /// Follows one stream until it fails.
    async fn follow(&mut self) -> Result<Infallible, StreamError> {
        let channel = stream::connect(&self.config).await?;
        self.status.is_connected.store(true, Ordering::Relaxed);
        let first = self.session.subscribe();
        let DiscoveryStream {
            requests,
            mut responses,
        } = stream::subscribe(channel, &self.config, first).await?;
        let mut held: Option<(DiscoveryRequest, Instant)> = None;
        loop {
            let release = async {
                match &held {
                    Some((_, at)) => sleep_until(*at).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                response = responses.message() => {
                    let response = response.map_err(|status| stream::error(status, &self.config))?;
                    let response = response.ok_or(StreamError::Ended)?;
                    // Each response is answered, in order.
                    if let Some((request, _)) = held.take() {
                        stream::send(&requests, request).await?;
                    }
                    let (request, pause) = self.answer(&response).await;
                    if pause.is_zero() {
                        stream::send(&requests, request).await?;
                    } else {
                        held = Some((request, Instant::now() + pause));
                    }
                }
                () = release => {
                    if let Some((request, _)) = held.take() {
                        stream::send(&requests, request).await?;
                    }
                }
            }
        }
    }

    /// The answer to a response, and how long to hold it back.
    async fn answer(&mut self, response: &DiscoveryResponse) -> (DiscoveryRequest, Duration) {
        self.reconnects.reset();
        if self.logged_error.take().is_some() {
            tracing::info!(
                server = self.config.server,
                "the configuration server answers again"
            );
        }
        match self.session.judge(response) {
            Judgement::Unchanged(request) => {
                self.status.unchanged.fetch_add(1, Ordering::Relaxed);
                (request, Duration::ZERO)
            }
            Judgement::RejectedBefore(request, pause) => {
                self.status.rejected.fetch_add(1, Ordering::Relaxed);
                (request, pause)
            }
            Judgement::New => match self.load(response).await {
                Ok(()) => {
                    self.status.accepted.fetch_add(1, Ordering::Relaxed);
                    (self.session.accept(response), Duration::ZERO)
                }
                Err(reason) => {
                    self.status.rejected.fetch_add(1, Ordering::Relaxed);
                    self.session.reject(response, reason)
                }
            },
        }
    }

    async fn load(&mut self, response: &DiscoveryResponse) -> Result<(), String> {
        let texts = resource::read(&response.resources).map_err(|error| error.to_string())?;
        let (received, rejected) = self.loader.load(texts, &response.version_info);
        (self.apply)(received).await?;
        rejected.map_or(Ok(()), Err)
    }
}
