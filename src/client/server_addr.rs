//! The address of a server.

use std::fmt;
use std::str::FromStr;

use tonic::transport::Endpoint;

/// How the address of a server with TLS begins.
pub(super) const HTTPS: &str = "https://";

/// How the address of a server without TLS may begin.
pub(super) const HTTP: &str = "http://";

/// How the path of a server's socket begins.
const UNIX: &str = "unix:";

/// The address of a server: `HOST:PORT`, `https://HOST:PORT` or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddr(String);

/// The text is not the address of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected HOST:PORT, https://HOST:PORT or unix:PATH, such as 127.0.0.1:8081 or unix:/run/weir.sock"
)]
pub struct ParseServerAddrError;

impl FromStr for ServerAddr {
    type Err = ParseServerAddrError;

    fn from_str(text: &str) -> Result<Self, ParseServerAddrError> {
        let text = text.strip_prefix(HTTP).unwrap_or(text);
        let is_address = match text.strip_prefix(UNIX) {
            Some(path) => !path.is_empty(),
            None => text
                .strip_prefix(HTTPS)
                .unwrap_or(text)
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()),
        };
        let address = Self(text.to_owned());
        if is_address && address.endpoint().is_ok() {
            Ok(address)
        } else {
            Err(ParseServerAddrError)
        }
    }
}

impl fmt::Display for ServerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ServerAddr {
    /// `HOST:PORT` of a server with TLS.
    pub(super) fn encrypted(&self) -> Option<&str> {
        self.0.strip_prefix(HTTPS)
    }

    /// Whether it is the path of a socket.
    pub(super) fn is_unix(&self) -> bool {
        self.0.starts_with(UNIX)
    }

    pub(super) fn endpoint(&self) -> Result<Endpoint, tonic::transport::Error> {
        if self.is_unix() {
            Endpoint::from_shared(self.0.clone())
        } else if let Some(authority) = self.encrypted() {
            // The scheme of the endpoint is of the connector's making, that of the origin is sent.
            let origin = Endpoint::from_shared(self.0.clone())?.uri().clone();
            Ok(Endpoint::from_shared(format!("http://{authority}"))?.origin(origin))
        } else {
            Endpoint::from_shared(format!("http://{}", self.0))
        }
    }
}
