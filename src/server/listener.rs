//! Where connections come from: a TCP port or a Unix socket.

use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};

use super::http2::Rejection;
use super::socket::Socket;
use super::tls::{EstablishedTls, Handshakes, TlsPort, TlsSocket};

/// The first and the longest pause after an error that is not one connection's.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Where to listen: `HOST:PORT` or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenConfig {
    /// A host name or address, with a port; port 0 is any free one.
    Tcp(String),
    /// The path of a socket.
    Unix(PathBuf),
}

impl FromStr for ListenConfig {
    type Err = ListenConfigError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err(ListenConfigError),
                path => Ok(Self::Unix(path.into())),
            };
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Self::Tcp(text.to_owned()))
            }
            _ => Err(ListenConfigError),
        }
    }
}

impl fmt::Display for ListenConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The text is not an address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected HOST:PORT or unix:PATH, such as 0.0.0.0:8081 or unix:/run/weir.sock")]
pub struct ListenConfigError;

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
    /// Binds. The file of a Unix socket whose server is gone is replaced.
    ///
    /// # Errors
    /// When the address is in use, is not this machine's, or is not allowed.
    pub async fn bind(config: &ListenConfig) -> Result<Self, BindError> {
        let bound = match config {
            ListenConfig::Tcp(address) => tcp(address).await,
            ListenConfig::Unix(path) => unix(path),
        };
        bound.map_err(|source| BindError::new(config.clone(), source, "--grpc"))
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

async fn tcp(address: &str) -> io::Result<Listener> {
    // On this thread: the runtime would start another one, and panics if the system provides none.
    let addresses: Vec<SocketAddr> = address.to_socket_addrs()?.collect();
    let listener = TcpListener::bind(&*addresses).await?;
    let address = ListenConfig::Tcp(listener.local_addr()?.to_string());
    Ok(Listener {
        inner: Inner::Tcp(listener),
        address,
    })
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

/// Why an address cannot be bound. `flag` is the flag that chooses it.
#[derive(Debug, Error)]
pub enum BindError {
    /// Another socket is bound to it.
    #[error(
        "cannot listen on {address}: it is in use; stop what uses it, or choose another address with {flag}"
    )]
    InUse {
        /// The address.
        address: ListenConfig,
        /// The flag.
        flag: &'static str,
    },
    /// It is an address of another machine.
    #[error(
        "cannot listen on {address}: this machine has no such address; choose another with {flag}"
    )]
    NotLocal {
        /// The address.
        address: ListenConfig,
        /// The flag.
        flag: &'static str,
    },
    /// The system does not permit it, such as a port below 1024.
    #[error("cannot listen on {address}: not permitted; choose another address with {flag}")]
    NotPermitted {
        /// The address.
        address: ListenConfig,
        /// The flag.
        flag: &'static str,
    },
    /// Any other error.
    #[error("cannot listen on {address}, the address of {flag}")]
    Other {
        /// The address.
        address: ListenConfig,
        /// The flag.
        flag: &'static str,
        /// The error.
        source: io::Error,
    },
}

impl BindError {
    pub(super) fn new(address: ListenConfig, source: io::Error, flag: &'static str) -> Self {
        match source.kind() {
            ErrorKind::AddrInUse => Self::InUse { address, flag },
            ErrorKind::AddrNotAvailable => Self::NotLocal { address, flag },
            ErrorKind::PermissionDenied => Self::NotPermitted { address, flag },
            _ => Self::Other {
                address,
                flag,
                source,
            },
        }
    }
}
