//! The long-lived client: connects, subscribes, and passes on what the server sends.

use std::error::Error;
use std::fs;
use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Streaming};

use super::config::{XdsConfig, XdsTls};
use super::loader::{Received, XdsLoader};
use super::resource;
use super::session::{Judgement, Session};
use crate::backoff::Backoff;
use crate::proto::envoy::config::core::v3::Node;
use crate::proto::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use crate::proto::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};

/// The first and the longest pause before a new connection.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A server that has gone away without a word is noticed by this. Pings of HTTP/2 would not be: servers close the
/// connection of a client that sends them more often than every five minutes.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// The client's thread; it ends soon after this is dropped.
#[derive(Debug)]
pub struct XdsClient {
    status: Arc<XdsStatus>,
    _stop: DropGuard,
}

/// What the client has done so far.
#[derive(Debug, Default)]
pub struct XdsStatus {
    is_connected: AtomicBool,
    accepted: AtomicU64,
    unchanged: AtomicU64,
    rejected: AtomicU64,
}

impl XdsStatus {
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
    /// Starts to subscribe, on a thread of its own. `apply` puts a configuration in force, or says why it cannot be.
    ///
    /// # Errors
    /// If the system provides no thread.
    pub fn start<A>(config: XdsConfig, apply: A) -> io::Result<Self>
    where
        A: AsyncFnMut(Received) -> Result<(), String> + Send + 'static,
    {
        let status = Arc::new(XdsStatus::default());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let subscription = Subscription {
            session: Session::new(node(&config)),
            config,
            loader: XdsLoader::default(),
            apply,
            status: Arc::clone(&status),
            reconnects: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            last_error: None,
        };
        thread::Builder::new()
            .name("weir-xds".to_owned())
            .spawn(move || {
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

/// A stream could not be opened, or has ended.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The address or a name is malformed.
    #[error("invalid {what}: {text:?}")]
    Invalid {
        /// What is malformed.
        what: &'static str,
        /// How it was written.
        text: String,
    },
    /// A file for TLS cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no connection.
    #[error("cannot connect to {server}")]
    Connect {
        /// The address.
        server: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// The server, or the connection, has ended the stream.
    #[error("{code}: {message}", code = .0.code(), message = .0.message())]
    Status(Box<tonic::Status>),
    /// The server has ended the stream without an error.
    #[error("the server has ended the stream")]
    Ended,
}

struct Subscription<A> {
    config: XdsConfig,
    session: Session,
    loader: XdsLoader,
    apply: A,
    status: Arc<XdsStatus>,
    reconnects: Backoff,
    /// So that a trouble is logged once.
    last_error: Option<String>,
}

impl<A: AsyncFnMut(Received) -> Result<(), String>> Subscription<A> {
    async fn run(mut self) {
        loop {
            let Err(error) = self.follow().await;
            self.status.is_connected.store(false, Ordering::Relaxed);
            self.report(&error);
            tokio::time::sleep(self.reconnects.next_jittered_delay()).await;
        }
    }

    fn report(&mut self, error: &StreamError) {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        if self.last_error.as_ref() != Some(&text) {
            tracing::warn!(
                server = self.config.server,
                "no connection to the configuration server, the last configuration stays in force: {text}"
            );
        }
        self.last_error = Some(text);
    }

    /// Follows one stream until it fails.
    async fn follow(&mut self) -> Result<std::convert::Infallible, StreamError> {
        let channel = connect(&self.config).await?;
        self.status.is_connected.store(true, Ordering::Relaxed);
        let (requests, mut responses) =
            subscribe(channel, &self.config, self.session.subscribe()).await?;
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
                    let response = response.map_err(status)?.ok_or(StreamError::Ended)?;
                    // Each response is answered, in order.
                    if let Some((request, _)) = held.take() {
                        send(&requests, request).await?;
                    }
                    let (request, pause) = self.answer(&response).await;
                    if pause.is_zero() {
                        send(&requests, request).await?;
                    } else {
                        held = Some((request, Instant::now() + pause));
                    }
                }
                () = release => {
                    if let Some((request, _)) = held.take() {
                        send(&requests, request).await?;
                    }
                }
            }
        }
    }

    /// The answer to a response, and how long to hold it back.
    async fn answer(&mut self, response: &DiscoveryResponse) -> (DiscoveryRequest, Duration) {
        self.reconnects.reset();
        if self.last_error.take().is_some() {
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

fn node(config: &XdsConfig) -> Node {
    let text = |text: &String| prost_types::Value {
        kind: Some(prost_types::value::Kind::StringValue(text.clone())),
    };
    let fields = config.node_metadata.iter();
    let metadata = prost_types::Struct {
        fields: fields
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
    };
    Node {
        id: config.node_id.clone(),
        cluster: String::new(),
        metadata: (!config.node_metadata.is_empty()).then_some(metadata),
    }
}

/// Requests to the server, and its responses.
type DiscoveryStream = (mpsc::Sender<DiscoveryRequest>, Streaming<DiscoveryResponse>);

/// Opens a stream with this request.
///
/// # Errors
/// When the server refuses it.
pub(super) async fn open(config: &XdsConfig) -> Result<DiscoveryStream, StreamError> {
    let channel = connect(config).await?;
    let request = Session::new(node(config)).subscribe();
    subscribe(channel, config, request).await
}

async fn subscribe(
    channel: Channel,
    config: &XdsConfig,
    request: DiscoveryRequest,
) -> Result<DiscoveryStream, StreamError> {
    let (requests, outgoing) = mpsc::channel(4);
    send(&requests, request).await?;
    let mut call = Request::new(ReceiverStream::new(outgoing));
    for (name, value) in &config.headers {
        let invalid = |text: &String| StreamError::Invalid {
            what: "header",
            text: text.clone(),
        };
        let key = AsciiMetadataKey::from_bytes(name.to_lowercase().as_bytes());
        let key = key.map_err(|_| invalid(name))?;
        // The value may be a secret.
        let value = AsciiMetadataValue::try_from(value.as_str());
        let value = value.map_err(|_| invalid(name))?;
        call.metadata_mut().insert(key, value);
    }
    let mut client = AggregatedDiscoveryServiceClient::new(channel)
        .max_decoding_message_size(config.max_message_bytes);
    let responses = client.stream_aggregated_resources(call).await;
    Ok((requests, responses.map_err(status)?.into_inner()))
}

async fn send(
    requests: &mpsc::Sender<DiscoveryRequest>,
    request: DiscoveryRequest,
) -> Result<(), StreamError> {
    requests.send(request).await.map_err(|_| StreamError::Ended)
}

fn status(status: tonic::Status) -> StreamError {
    StreamError::Status(Box::new(status))
}

async fn connect(config: &XdsConfig) -> Result<Channel, StreamError> {
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let invalid = |_| StreamError::Invalid {
        what: "address of a configuration server",
        text: config.server.clone(),
    };
    let failed = |source| StreamError::Connect {
        server: config.server.clone(),
        source,
    };
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{}", config.server))
        .map_err(invalid)?
        .connect_timeout(config.connect_timeout)
        .tcp_keepalive(Some(TCP_KEEPALIVE));
    if let Some(tls) = &config.tls {
        endpoint = endpoint.tls_config(tls_config(tls)?).map_err(failed)?;
    }
    endpoint.connect().await.map_err(failed)
}

fn tls_config(tls: &XdsTls) -> Result<ClientTlsConfig, StreamError> {
    let read = |path: &PathBuf| {
        fs::read(path).map_err(|source| StreamError::File {
            path: path.clone(),
            source,
        })
    };
    let mut config = match &tls.ca {
        Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    if let Some((certificate, key)) = &tls.identity {
        config = config.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    if let Some(name) = &tls.server_name {
        config = config.domain_name(name);
    }
    Ok(config)
}
