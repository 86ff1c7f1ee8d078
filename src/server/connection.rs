//! One connection: who holds it, and whether its peer speaks at all.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

/// The bytes with which every HTTP/2 client begins.
const PREFACE_BYTES: usize = 24;

/// HTTP/2's pings start after the preface; before it, this is what ends a connection whose peer is dead or mute.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(20);

/// A socket that was accepted and belongs to no runtime yet.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// Counts one connection of a worker for as long as it lives.
#[derive(Debug)]
pub(super) struct ConnectionGuard {
    of_worker: Arc<AtomicUsize>,
    of_all: watch::Sender<usize>,
}

impl ConnectionGuard {
    pub(super) fn new(of_worker: &Arc<AtomicUsize>, of_all: &watch::Sender<usize>) -> Self {
        of_worker.fetch_add(1, Ordering::Relaxed);
        of_all.send_modify(|connections| *connections += 1);
        Self {
            of_worker: Arc::clone(of_worker),
            of_all: of_all.clone(),
        }
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.of_worker.fetch_sub(1, Ordering::Relaxed);
        self.of_all.send_modify(|connections| *connections -= 1);
    }
}

/// A connection in its worker's runtime.
pub(super) struct Connection {
    stream: Either<TcpStream, UnixStream>,
    preface: Option<Preface>,
    _guard: ConnectionGuard,
}

/// The wait for a client's first bytes.
struct Preface {
    bytes_left: usize,
    deadline: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Connection {
    /// Takes a socket into the runtime of the caller. A peer that has said nothing by `stop` is not waited for.
    pub(super) fn new(
        socket: Socket,
        guard: ConnectionGuard,
        stop: CancellationToken,
    ) -> io::Result<Self> {
        let stream = match socket {
            Socket::Tcp(stream) => Either::Left(TcpStream::from_std(stream)?),
            Socket::Unix(stream) => Either::Right(UnixStream::from_std(stream)?),
        };
        let deadline = Box::pin(async move {
            tokio::select! {
                () = tokio::time::sleep(PREFACE_TIMEOUT) => {}
                () = stop.cancelled() => {}
            }
        });
        Ok(Self {
            stream,
            preface: Some(Preface {
                bytes_left: PREFACE_BYTES,
                deadline,
            }),
            _guard: guard,
        })
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some(preface) = &mut self.preface else {
            return read;
        };
        preface.bytes_left = preface
            .bytes_left
            .saturating_sub(buf.filled().len() - filled);
        if preface.bytes_left == 0 {
            self.preface = None;
            return read;
        }
        match read {
            Poll::Ready(done) => Poll::Ready(done),
            // Nothing read and nothing pending is the end of the stream.
            Poll::Pending => preface.deadline.as_mut().poll(cx).map(Ok),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}
