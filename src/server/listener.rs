//! Where connections come from: a TCP port or a Unix socket.

mod bind_error;
mod listen_config;

use std::convert::Infallible;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Socket as Socket2, Type};
use tokio::net::{TcpListener, UnixListener};

pub use bind_error::BindError;
pub use listen_config::{ListenConfig, ListenConfigError};

use super::http2::Rejection;
use super::socket::Socket;
use super::tls::{EstablishedTls, Handshakes, TlsPort, TlsSocket};

/// The first and the longest pause after an error that is not one connection's.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    inner: Inner,
    address: ListenConfig,
}

#[derive(Debug)]
enum Inner {
    Tcp(TcpListener),
    Unix {
        socket: UnixListener,
        // The file goes after the socket that it names.
        _file: SocketFile,
    },
}

/// The file of a Unix socket; removed in the end, unless it has become someone else's.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: Option<(u64, u64)>,
}

impl Listener {
    /// Binds, in a runtime. The file of a Unix socket whose server is gone is replaced.
    ///
    /// # Errors
    /// When the address is in use, is not this machine's, or is not allowed.
    pub fn bind(config: &ListenConfig) -> Result<Self, BindError> {
        Self::bind_by("--grpc", config)
    }

    /// The same for an address that `setting` chooses: a flag or a variable, for errors.
    ///
    /// # Errors
    /// As of [`Listener::bind`].
    pub fn bind_by(setting: &'static str, config: &ListenConfig) -> Result<Self, BindError> {
        let bound = match config {
            ListenConfig::Tcp(address) => tcp(address),
            ListenConfig::Unix(path) => unix(path),
        };
        bound.map_err(|source| BindError::new(config.clone(), source, setting))
    }

    /// Where it listens, with the real port.
    pub fn address(&self) -> &ListenConfig {
        &self.address
    }

    async fn accept(&self) -> io::Result<Socket> {
        match &self.inner {
            Inner::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Answers are smaller than a packet; they must not wait for one another.
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream.into_std()?))
            }
            Inner::Unix { socket, .. } => {
                let (stream, _) = socket.accept().await?;
                Ok(Socket::Unix(stream.into_std()?))
            }
        }
    }
}

fn tcp(address: &str) -> io::Result<Listener> {
    let listener = TcpListener::from_std(bind_tcp(address)?)?;
    let address = ListenConfig::Tcp(listener.local_addr()?.to_string());
    Ok(Listener {
        inner: Inner::Tcp(listener),
        address,
    })
}

/// Connections that wait to be accepted, at most; the system may allow fewer. All proxies come back at once after a restart.
const BACKLOG: i32 = 4096;

/// Binds a port for an asynchronous runtime. `:PORT` is all addresses of IPv6 and IPv4, or of IPv4 alone on a system
/// without IPv6.
pub(super) fn bind_tcp(address: &str) -> io::Result<std::net::TcpListener> {
    if let Some(port) = address.strip_prefix(':') {
        let port = port.parse().map_err(io::Error::other)?;
        let dual = bind_address(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
        return match dual {
            Err(error) if !is_about_the_port(&error) => {
                bind_address(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
            }
            dual => dual,
        };
    }
    // On this thread: the runtime would start another one, and panics if the system provides none.
    let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
    for address in address.to_socket_addrs()? {
        match bind_address(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_address(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = new_socket(Domain::for_address(address))?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false)?;
    }
    // A server that starts again finds connections of its predecessor in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A socket; [`ErrorKind::Unsupported`] if there is none because the system has no IPv6.
fn new_socket(family: Domain) -> io::Result<Socket2> {
    let new = |family| Socket2::new(family, Type::STREAM, None);
    new(family).map_err(|error| match family {
        Domain::IPV6 if new(Domain::IPV4).is_ok() => io::Error::new(ErrorKind::Unsupported, error),
        _ => error,
    })
}

/// Whether IPv4 would fail in the same way.
fn is_about_the_port(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == ErrorKind::AddrInUse || kind == ErrorKind::PermissionDenied
}

fn unix(path: &Path) -> io::Result<Listener> {
    let socket = match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_stale(path) => {
            fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        bound => bound?,
    };
    let file = SocketFile {
        path: path.to_owned(),
        inode: inode(path),
    };
    Ok(Listener {
        inner: Inner::Unix {
            socket,
            _file: file,
        },
        address: ListenConfig::Unix(path.to_owned()),
    })
}

/// Whether the file is a socket on which nobody listens. A file of another kind refuses connections too.
fn is_stale(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    is_socket
        && std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.inode.is_some() && self.inode == inode(&self.path) {
            // An error has no consequence: the next server replaces the file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Takes connections for ever.
pub(super) async fn accept(listener: &Listener, mut taken: impl FnMut(Socket)) -> Infallible {
    loop {
        taken(accept_one(|| listener.accept()).await);
    }
}

/// Takes connections for ever, and gives those whose handshake is over.
pub(super) async fn accept_tls(
    listener: &Listener,
    port: Arc<TlsPort>,
    has_room: impl Fn(usize) -> bool,
    mut taken: impl FnMut(Result<EstablishedTls, Rejection>),
) -> Infallible {
    let mut handshakes = Handshakes::new(port);
    let accept_next = || accept_one(|| listener.accept());
    let mut next = pin!(accept_next());
    loop {
        tokio::select! {
            socket = &mut next => {
                next.set(accept_next());
                if !has_room(handshakes.len()) {
                    taken(Err(Rejection::TooManyConnections));
                } else if let Ok(socket) = TlsSocket::new(socket) {
                    handshakes.begin(socket);
                }
            }
            stream = handshakes.next() => match stream.map(EstablishedTls::new) {
                Ok(Ok(stream)) => taken(Ok(stream)),
                // The socket failed.
                Ok(Err(_)) => {}
                Err(reason) => taken(Err(reason)),
            }
        }
    }
}

/// Takes one connection. No error ends it: one connection's is of no interest to the others, and when the
/// machine has run out of something, such as files, taking more has to wait.
pub(super) async fn accept_one<T, F>(accept: impl Fn() -> F) -> T
where
    F: Future<Output = io::Result<T>>,
{
    let mut pause = PAUSE;
    loop {
        match accept().await {
            Ok(connection) => return connection,
            Err(error) if is_of_one_connection(&error) => {
                tracing::debug!(%error, "accept failed, connection aborted");
                // Many in a row never wait for the socket.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed, retrying");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::NotConnected
            | ErrorKind::InvalidInput
            | ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_port_without_a_host_is_reached_by_both_families() {
        let listener = bind_tcp(":0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(address.ip().is_unspecified());
        TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).unwrap();
        if address.is_ipv6() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, address.port())).unwrap();
        }
        let again = bind_tcp(&format!(":{}", address.port())).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AddrInUse);
    }
}
