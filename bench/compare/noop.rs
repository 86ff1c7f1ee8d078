//! A no-op rate-limit service: it reads the request and always returns the same response.
//!
//! It is an ordinary tonic service with the same setup as weir: one runtime per worker, evenly distributed connections,
//! the same HTTP/2 settings, and buffers of a suitable size.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::body::Body;
use tonic::codec::{BufferSettings, Codec};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower_service::Service;
use weir::proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};

/// The service, as tonic generates one.
#[derive(Clone)]
struct Noop(Arc<RateLimitResponse>);

type Boxed<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl NamedService for Noop {
    const NAME: &'static str = "envoy.service.ratelimit.v3.RateLimitService";
}

impl Service<http::Request<Body>> for Noop {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = self.clone();
        Box::pin(async move { Ok(Grpc::new(Buffered).unary(method, request).await) })
    }
}

impl UnaryService<RateLimitRequest> for Noop {
    type Response = RateLimitResponse;
    type Future = Boxed<Response<RateLimitResponse>, Status>;

    fn call(&mut self, _: Request<RateLimitRequest>) -> Self::Future {
        let answer = Arc::clone(&self.0);
        Box::pin(async move { Ok(Response::new(RateLimitResponse::clone(&answer))) })
    }
}

/// prost's codec with small buffers: tonic's default of 8 KiB would be allocated twice for each call.
#[derive(Clone, Copy, Default)]
struct Buffered;

type Prost = ProstCodec<RateLimitResponse, RateLimitRequest>;

impl Codec for Buffered {
    type Encode = RateLimitResponse;
    type Decode = RateLimitRequest;
    type Encoder = <Prost as Codec>::Encoder;
    type Decoder = <Prost as Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        Prost::raw_encoder(BufferSettings::new(1024, 32 * 1024))
    }

    fn decoder(&mut self) -> Self::Decoder {
        Prost::raw_decoder(BufferSettings::new(1024, 32 * 1024))
    }
}

/// Serves forever; passes the address to `on_listening`.
pub(crate) fn serve(
    workers: usize,
    answer: &RateLimitResponse,
    on_listening: impl FnOnce(SocketAddr),
) -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    on_listening(listener.local_addr()?);
    let workers: Vec<_> = (0..workers).map(|_| worker(answer.clone())).collect();
    for (index, socket) in listener.incoming().enumerate() {
        workers[index % workers.len()].send(socket?)?;
    }
    Ok(())
}

fn worker(answer: RateLimitResponse) -> mpsc::UnboundedSender<TcpStream> {
    let (sockets, incoming) = mpsc::unbounded_channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let incoming = UnboundedReceiverStream::new(incoming).map(|socket: TcpStream| {
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            tokio::net::TcpStream::from_std(socket)
        });
        let served = Server::builder()
            .initial_stream_window_size(1024 * 1024)
            .initial_connection_window_size(1024 * 1024)
            .add_service(Noop(Arc::new(answer)))
            .serve_with_incoming(incoming);
        runtime.block_on(served).expect("a server");
    });
    sockets
}
