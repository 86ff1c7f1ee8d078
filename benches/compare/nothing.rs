//! A rate-limit service that does nothing: it reads the request and answers the same bytes every time.
//!
//! It runs as weir does: one runtime per worker, connections spread evenly, the same codec and HTTP/2 settings.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use weir::proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use weir::server::grpc::answer::Answer;
use weir::server::grpc::{RateLimitService, RateLimitServiceServer};

#[derive(Clone)]
struct Nothing(RateLimitResponse);

#[tonic::async_trait]
impl RateLimitService for Nothing {
    async fn should_rate_limit(
        &self,
        _: Request<RateLimitRequest>,
    ) -> Result<Response<Answer>, Status> {
        Ok(Response::new(Answer::new(self.0.clone(), None)))
    }
}

/// Serves for ever, and tells where.
pub(crate) fn serve(
    workers: usize,
    answer: &RateLimitResponse,
    tell: impl FnOnce(SocketAddr),
) -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    tell(listener.local_addr()?);
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
            .add_service(RateLimitServiceServer::new(Nothing(answer)))
            .serve_with_incoming(incoming);
        runtime.block_on(served).expect("a server");
    });
    sockets
}
