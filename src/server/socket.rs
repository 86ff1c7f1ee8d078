//! A socket between two runtimes.

use std::io;

use tokio::net::{TcpStream, UnixStream};
use tokio_util::either::Either;

/// A socket that was accepted and belongs to no runtime yet.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Socket {
    /// Takes the socket out of its runtime.
    pub(super) fn from_stream(stream: Either<TcpStream, UnixStream>) -> io::Result<Self> {
        Ok(match stream {
            Either::Left(stream) => Self::Tcp(stream.into_std()?),
            Either::Right(stream) => Self::Unix(stream.into_std()?),
        })
    }

    /// Takes the socket into the runtime of the caller.
    pub(super) fn into_stream(self) -> io::Result<Either<TcpStream, UnixStream>> {
        Ok(match self {
            Self::Tcp(stream) => Either::Left(TcpStream::from_std(stream)?),
            Self::Unix(stream) => Either::Right(UnixStream::from_std(stream)?),
        })
    }
}
