//! Encrypted connections that change their runtime: the acceptor's has the handshake, a worker's has all else.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::super::socket::Socket;

/// The socket below TLS.
#[derive(Debug)]
pub(in crate::server) enum TlsSocket {
    /// In a runtime.
    Joined(Either<TcpStream, UnixStream>),
    /// On the way to another runtime.
    Between(Socket),
    /// Its descriptor could not change hands.
    Lost,
}

impl TlsSocket {
    /// Takes the socket into the runtime of the caller.
    pub(in crate::server) fn new(socket: Socket) -> io::Result<Self> {
        socket.into_stream().map(Self::Joined)
    }

    /// Takes it out of its runtime.
    fn leave(&mut self) -> io::Result<()> {
        if let Self::Joined(stream) = std::mem::replace(self, Self::Lost) {
            *self = Self::Between(Socket::from_stream(stream)?);
        }
        Ok(())
    }

    /// Takes it into the runtime of the caller.
    fn join(&mut self) -> io::Result<()> {
        if let Self::Between(socket) = std::mem::replace(self, Self::Lost) {
            *self = Self::new(socket)?;
        }
        Ok(())
    }

    fn joined(self: Pin<&mut Self>) -> io::Result<Pin<&mut Either<TcpStream, UnixStream>>> {
        match self.get_mut() {
            Self::Joined(stream) => Ok(Pin::new(stream)),
            Self::Between(_) | Self::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// A connection whose handshake is over, in no runtime.
#[derive(Debug)]
pub(in crate::server) struct EstablishedTls(Box<TlsStream<TlsSocket>>);

impl EstablishedTls {
    /// Takes the connection out of its runtime.
    pub(in crate::server) fn new(mut stream: TlsStream<TlsSocket>) -> io::Result<Self> {
        stream.get_mut().0.leave()?;
        Ok(Self(Box::new(stream)))
    }

    /// Takes it into the runtime of the caller.
    pub(in crate::server) fn into_stream(mut self) -> io::Result<Box<TlsStream<TlsSocket>>> {
        self.0.get_mut().0.join()?;
        Ok(self.0)
    }
}

impl AsyncRead for TlsSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.joined()?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for TlsSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.joined()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.joined()?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.joined()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.joined()?.poll_shutdown(cx)
    }
}
