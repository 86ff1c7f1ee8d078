//! One connection: its socket, and who counts it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio_util::either::Either;

/// A socket that was accepted and belongs to no runtime yet.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Socket {
    /// Takes the socket into the runtime of the caller.
    pub(super) fn into_stream(self) -> io::Result<Either<TcpStream, UnixStream>> {
        Ok(match self {
            Self::Tcp(stream) => Either::Left(TcpStream::from_std(stream)?),
            Self::Unix(stream) => Either::Right(UnixStream::from_std(stream)?),
        })
    }
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
