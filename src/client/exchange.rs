//! One request over HTTP/1.1, on a connection of its own.

use std::io;
use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::tls::TlsDialer;

/// A connection with or without TLS.
pub type HttpStream = Either<TcpStream, TlsStream<TcpStream>>;

/// Connects to the first of these addresses that can be reached.
///
/// # Errors
/// If none can be, or the handshake fails.
pub async fn connect(addresses: &[SocketAddr], tls: Option<&TlsDialer>) -> io::Result<HttpStream> {
    let stream = TcpStream::connect(addresses).await?;
    Ok(match tls {
        None => Either::Left(stream),
        Some(dialer) => Either::Right(dialer.connect(stream).await?),
    })
}

/// Sends a request, and reads the whole response.
///
/// # Errors
/// If the connection fails.
pub async fn exchange(
    stream: HttpStream,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, hyper::Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request.map(Full::new)).await?;
    let (head, body) = response.into_parts();
    let bytes = body.collect().await;
    connection.abort();
    Ok(Response::from_parts(head, bytes?.to_bytes()))
}
