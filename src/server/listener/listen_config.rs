//! The address of a listener.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// Where to listen: `HOST:PORT`, `:PORT` or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenConfig {
    /// A host name or address, with a port; port 0 is any free one. Without a host, all addresses, of IPv6 and IPv4.
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
            Some((_, port)) if port.parse::<u16>().is_ok() => Ok(Self::Tcp(text.to_owned())),
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
#[error(
    "expected HOST:PORT, :PORT or unix:PATH, such as 127.0.0.1:8081, :8081 or unix:/run/weir.sock"
)]
pub struct ListenConfigError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port() {
        for fine in [":8081", "[::]:8081", "localhost:0", "unix:/x"] {
            assert!(fine.parse::<ListenConfig>().is_ok(), "{fine}");
        }
        for wrong in ["", ":", "8081", ":x", "localhost", "unix:"] {
            assert!(wrong.parse::<ListenConfig>().is_err(), "{wrong}");
        }
    }
}
