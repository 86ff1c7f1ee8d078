//! The ports of the admin server.

use std::net::TcpListener;

use super::AdminConfig;
use crate::server::listener::{BindError, ListenConfig, bind_tcp};

/// A port of the admin server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpPort {
    /// The address: HOST:PORT, or :PORT for all addresses; port 0 is any free one.
    pub address: String,
    /// What it is for.
    pub purpose: HttpPurpose,
    /// What chooses the address, for errors: a flag or a variable.
    pub setting: &'static str,
}

/// What a port of the admin server is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpPurpose {
    /// All endpoints, with TLS if the server has a certificate.
    Main,
    /// All endpoints, without TLS.
    Debug,
    /// Metrics alone, under this path, without TLS.
    Metrics {
        /// The path.
        path: String,
    },
}

/// The bound sockets of the admin server.
#[derive(Debug)]
pub struct AdminListeners(pub(super) Vec<(HttpPurpose, TcpListener)>);

impl AdminListeners {
    /// Binds all ports.
    ///
    /// # Errors
    /// If an address is in use, is not of this machine, or is not permitted.
    pub fn bind(config: &AdminConfig) -> Result<Self, BindError> {
        let bind = |port: &HttpPort| {
            let listener = bind_tcp(&port.address).map_err(|source| {
                let address = ListenConfig::Tcp(port.address.clone());
                BindError::new(address, source, port.setting)
            });
            Ok((port.purpose.clone(), listener?))
        };
        config
            .ports
            .iter()
            .map(bind)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}
