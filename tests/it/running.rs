//! A server in this process, and clients that connect to it once.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use weir::clock::Clock;
use weir::engine::Engine;
use weir::proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use weir::proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use weir::proto::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;
use weir::proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use weir::server::tls::{TlsFiles, TlsPort};
use weir::server::{App, Config, ListenConfig, Listener, RunError, Shutdown};
use weir::store::{MemoryConfig, Store};
use weir::telemetry::ServerPort;

/// A policy in which `api_key` has plenty.
const POLICY: &str = "
domain: t
descriptors:
  - key: api_key
    rate_limit: {unit: hour, requests_per_unit: 1000000}
";

/// A server that answers by [`POLICY`].
pub(crate) struct Running {
    address: String,
    shutdown: Option<oneshot::Sender<()>>,
    server: JoinHandle<Result<Shutdown, RunError>>,
}

impl Running {
    /// Two workers, no drain.
    pub(crate) async fn start() -> Self {
        Self::with(config(2, Duration::ZERO)).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        Self::serving(Arc::new(engine()), config).await
    }

    pub(crate) async fn serving(engine: Arc<Engine>, config: Config) -> Self {
        Self::start_app(App::new(engine, config)).await
    }

    /// With a certificate.
    pub(crate) async fn encrypted(files: TlsFiles, config: Config) -> Self {
        let mut app = App::new(Arc::new(engine()), config);
        let metrics = Arc::clone(&app.metrics);
        let port = TlsPort::load(ServerPort::Grpc, files, metrics).unwrap();
        app.tls = Some(Arc::new(port));
        Self::start_app(app).await
    }

    #[expect(
        clippy::unused_async,
        reason = "a listener needs a runtime, and those who wait have one"
    )]
    async fn start_app(app: App) -> Self {
        let listen = ListenConfig::Tcp("127.0.0.1:0".to_owned());
        let listener = Listener::bind(&listen).unwrap();
        let address = listener.address().to_string();
        let (shutdown, asked) = oneshot::channel();
        let server = tokio::spawn(weir::server::run(listener, app, async {
            asked.await.unwrap();
        }));
        Self {
            address,
            shutdown: Some(shutdown),
            server,
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// One connection; when it is gone, calls fail instead of making another.
    pub(crate) async fn connect(&self) -> Channel {
        self.connect_by(Endpoint::from_static("http://weir")).await
    }

    /// The same, with the settings of `endpoint`.
    pub(crate) async fn connect_by(&self, endpoint: Endpoint) -> Channel {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let mut once = Some(stream);
        let connector = tower::service_fn(move |_| {
            let stream = once.take().map(TokioIo::new);
            std::future::ready(stream.ok_or_else(|| io::Error::other("the connection was lost")))
        });
        endpoint.connect_with_connector(connector).await.unwrap()
    }

    pub(crate) async fn client(&self) -> RateLimitServiceClient<Channel> {
        RateLimitServiceClient::new(self.connect().await)
    }

    /// Asks the server to end.
    pub(crate) fn shut_down(&mut self) {
        self.shutdown.take().unwrap().send(()).unwrap();
    }

    /// Drops it in mid-work.
    pub(crate) fn abort(self) {
        self.server.abort();
    }

    /// Waits until it takes no connections any more, which is when it has asked its clients to go.
    pub(crate) async fn closed(&self) {
        while TcpStream::connect(&self.address).await.is_ok() {}
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(self) -> Shutdown {
        self.server.await.unwrap().unwrap()
    }
}

pub(crate) fn config(workers: usize, drain: Duration) -> Config {
    Config {
        workers: NonZeroUsize::new(workers).unwrap(),
        drain,
        grace: Duration::from_secs(600),
        max_connection_age: None,
        max_connections: 1_000,
        buffer_bytes: 64 << 20,
        request_metadata: false,
    }
}

fn engine() -> Engine {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.yaml"), POLICY).unwrap();
    let loaded = weir::policy::load(
        &[folder.path().to_owned()],
        weir::policy::LoadOptions::default(),
    )
    .unwrap();
    let store = Store::memory(MemoryConfig::default()).unwrap();
    Engine::new(loaded.policy.unwrap(), store, Clock::System)
}

pub(crate) fn descriptor(key: &[u8], value: &[u8]) -> RateLimitDescriptor {
    RateLimitDescriptor {
        entries: vec![Entry {
            key: Bytes::copy_from_slice(key),
            value: Bytes::copy_from_slice(value),
        }],
        ..RateLimitDescriptor::default()
    }
}

pub(crate) fn request(descriptors: Vec<RateLimitDescriptor>) -> RateLimitRequest {
    RateLimitRequest {
        domain: Bytes::from_static(b"t"),
        descriptors,
        hits_addend: 0,
    }
}

/// Sends these bytes as the message of a call.
pub(crate) async fn call_raw(
    channel: &Channel,
    message: Bytes,
) -> Result<RateLimitResponse, Status> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let path = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";
    let answer: Bytes = grpc
        .unary(
            tonic::Request::new(message),
            path.parse().unwrap(),
            RawCodec,
        )
        .await?
        .into_inner();
    Ok(prost::Message::decode(answer).unwrap())
}

/// Messages as they are on the wire.
#[derive(Clone, Copy, Default)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        dst.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(src.copy_to_bytes(src.remaining())))
    }
}
