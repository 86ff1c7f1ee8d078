//! Takes HTTP connections, answers health checks, and gives all other requests to the thread of the
//! handlers, so that no request delays a health check.
//!
//! Connections are bounded: when there are too many, the oldest is closed, so that connections that
//! send nothing keep nobody out.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tower_service::Service;

use super::super::http2::Rejection;
use super::super::tls::{self, HandshakeFailure, TlsPort};
use super::{HttpPurpose, Peer, health, metrics};
use crate::clock::Clock;
use crate::telemetry::{Metrics, Recorder};

/// How long the head of a request may take, and so how long a connection may be idle.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Pause after an error that is not of one connection, such as too many open files.
const PAUSE: Duration = Duration::from_millis(200);

/// A request, and where its response goes.
#[derive(Debug)]
pub(super) struct PendingRequest {
    request: Request,
    response: oneshot::Sender<Response>,
}

/// Answers health checks, and forwards all other requests.
#[derive(Clone, Debug)]
pub(super) struct Front {
    /// Serves the paths of [`health::PATHS`].
    pub(super) health: Router,
    /// Leads to [`handle`].
    pub(super) handlers: mpsc::Sender<PendingRequest>,
    pub(super) metrics: Arc<Metrics>,
    /// The certificate of the port; `None` to serve without TLS.
    pub(super) tls: Option<Arc<TlsPort>>,
    /// Which requests are answered.
    pub(super) purpose: HttpPurpose,
    /// Records handshakes that failed, and connections that speak another protocol.
    pub(super) recorder: Arc<Recorder>,
    pub(super) max_connections: usize,
    /// Usually [`HEAD_TIMEOUT`].
    pub(super) head_timeout: Duration,
}

impl Front {
    /// Takes connections forever.
    pub(super) async fn serve(self, listener: TcpListener) -> Infallible {
        let is_on_loopback = listener
            .local_addr()
            .is_ok_and(|address| address.ip().is_loopback());
        let mut tasks = JoinSet::new();
        let mut open: VecDeque<AbortHandle> = VecDeque::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, address)) => {
                        let peer = Peer { address, is_encrypted: self.tls.is_some(), is_on_loopback };
                        while open.len() >= self.max_connections.max(1) {
                            if let Some(oldest) = open.pop_front() {
                                oldest.abort();
                                self.metrics.http_connection_closed();
                            }
                        }
                        open.push_back(tasks.spawn(self.clone().connection(stream, peer)));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "accept failed, retrying");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
                // The result of a connection is not needed, not even that it panicked.
                Some(_) = tasks.join_next() => open.retain(|task| !task.is_finished()),
            }
        }
    }

    async fn connection(self, stream: TcpStream, peer: Peer) {
        let Some(port) = &self.tls else {
            return self.serve_http(stream, peer).await;
        };
        match tls::accept(port, stream).await {
            Ok(stream) => self.serve_http(stream, peer).await,
            Err(HandshakeFailure::Silent) => {}
            Err(HandshakeFailure::Rejected(reason)) => {
                self.recorder.rejected(reason, Clock::System.now());
            }
        }
    }

    async fn serve_http(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Peer,
    ) {
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let front = self.clone();
            async move { Ok::<_, Infallible>(front.respond(request, peer).await) }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.head_timeout)
            .max_buf_size(MAX_HEAD_BYTES);
        let served = http.serve_connection(TokioIo::new(stream), service).await;
        // No line for each: a connection that fails is its client's affair, and would let clients write the log.
        let Err(error) = served else { return };
        if error.is_parse_version_h2() {
            // It is closed without a response, so it has no status.
            self.recorder
                .rejected(Rejection::Http2, Clock::System.now());
        } else if let Some(status) = status_of_invalid(&error) {
            self.metrics.http_rejected(status.as_u16());
        }
    }

    async fn respond(self, request: hyper::Request<Incoming>, peer: Peer) -> Response {
        let metrics = Arc::clone(&self.metrics);
        let response = self.handled(request, peer).await;
        let status = response.status();
        // 429 is the answer to a request of `/json` that is over a limit.
        if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
            metrics.http_rejected(status.as_u16());
        }
        response
    }

    async fn handled(mut self, request: hyper::Request<Incoming>, peer: Peer) -> Response {
        let mut request = request.map(Body::new);
        if let HttpPurpose::Metrics { path } = &self.purpose {
            if request.uri().path() != path {
                return (StatusCode::NOT_FOUND, "not found\n").into_response();
            }
            *request.uri_mut() = Uri::from_static(metrics::PATH);
        }
        request.extensions_mut().insert(ConnectInfo(peer));
        if health::PATHS.contains(&request.uri().path()) {
            return match self.health.call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
        }
        let (response, responded) = oneshot::channel();
        // If the handlers are gone, so is the other end of `responded`.
        let _ = self
            .handlers
            .send(PendingRequest { request, response })
            .await;
        match responded.await {
            Ok(response) => response,
            Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "not available\n").into_response(),
        }
    }
}

/// The status with which hyper has answered the head of a request that it could not read.
fn status_of_invalid(error: &hyper::Error) -> Option<StatusCode> {
    match error {
        _ if error.is_parse_too_large() => Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        _ if error.is_parse() => Some(StatusCode::BAD_REQUEST),
        _ => None,
    }
}

/// Handles requests until nobody can send any.
pub(super) async fn handle(mut requests: mpsc::Receiver<PendingRequest>, router: Router) {
    while let Some(PendingRequest {
        request,
        mut response,
    }) = requests.recv().await
    {
        let mut router = router.clone();
        tokio::spawn(async move {
            tokio::select! {
                // The client has gone.
                () = response.closed() => {}
                Ok(handled) = router.call(request) => {
                    // The client may be gone by now.
                    let _ = response.send(handled);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use std::net::SocketAddr;

    use super::*;

    /// A server with 2 connections whose handlers never come to a request.
    struct BusyServer {
        address: SocketAddr,
        metrics: Arc<Metrics>,
        _requests: mpsc::Receiver<PendingRequest>,
        _tasks: JoinSet<Infallible>,
    }

    impl BusyServer {
        async fn start(head_timeout: Duration) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (handlers, requests) = mpsc::channel(1);
            let metrics = Arc::new(Metrics::default());
            let front = Front {
                health: Router::new().route("/live", get(health::live)),
                handlers,
                metrics: Arc::clone(&metrics),
                tls: None,
                purpose: HttpPurpose::Main,
                recorder: Arc::new(metrics.admin_recorder()),
                max_connections: 2,
                head_timeout,
            };
            let mut tasks = JoinSet::new();
            tasks.spawn(front.serve(listener));
            Self {
                address,
                metrics,
                _requests: requests,
                _tasks: tasks,
            }
        }

        async fn send(&self, text: &str) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            stream
        }

        async fn is_live(&self) -> bool {
            let head = "GET /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            let mut answer = String::new();
            let mut stream = self.send(head).await;
            stream.read_to_string(&mut answer).await.unwrap();
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("live\n")
        }
    }

    /// Waits until the server closes the connection.
    async fn closed(mut stream: TcpStream) {
        // A closed connection can also be reset.
        while matches!(stream.read(&mut [0; 64]).await, Ok(read) if read > 0) {}
    }

    #[tokio::test]
    async fn health_checks_wait_for_no_other_request() {
        let server = BusyServer::start(HEAD_TIMEOUT).await;
        let _waiting = server
            .send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            .await;
        assert!(server.is_live().await);
    }

    #[tokio::test]
    async fn connections_that_send_nothing_keep_nobody_out() {
        let server = BusyServer::start(HEAD_TIMEOUT).await;
        let mut silent = Vec::new();
        for _ in 0..20 {
            silent.push(server.send("GET / HTTP/1.1\r\nX: ").await);
        }
        assert!(server.is_live().await);
        closed(silent.swap_remove(0)).await;
        assert!(server.metrics.http_connections_closed() >= 18);
    }

    #[tokio::test]
    async fn heads_that_do_not_end_and_idle_connections_are_closed() {
        let server = BusyServer::start(Duration::from_millis(20)).await;
        closed(server.send("GET /live HTTP/1.1\r\nX: ").await).await;
        let idle = "GET /live HTTP/1.1\r\nHost: x\r\n\r\n";
        closed(server.send(idle).await).await;
    }
}
