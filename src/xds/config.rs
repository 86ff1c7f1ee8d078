//! Where the configuration server is, and who asks it.

use std::time::Duration;

use crate::client::TlsOptions;

/// How to reach a configuration server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XdsConfig {
    /// `HOST:PORT`.
    pub server: String,
    /// `node.id`: servers such as Envoy Gateway answer only the one that they know.
    pub node_id: String,
    /// `node.metadata`.
    pub node_metadata: Vec<(String, String)>,
    /// Header fields of the stream.
    pub headers: Vec<(String, String)>,
    /// TLS; none for plaintext. Its files are read again for each connection.
    pub tls: Option<TlsOptions>,
    /// Longest message that is accepted, in bytes.
    pub max_message_bytes: usize,
    /// Time for a connection to be made.
    pub connect_timeout: Duration,
    /// The first pause before a new connection; it doubles up to …
    pub first_pause: Duration,
    /// … this.
    pub longest_pause: Duration,
}

impl Default for XdsConfig {
    /// A server on this machine, in plaintext.
    fn default() -> Self {
        Self {
            server: "localhost:18000".to_owned(),
            node_id: "weir".to_owned(),
            node_metadata: Vec::new(),
            headers: Vec::new(),
            tls: None,
            max_message_bytes: 64 << 20,
            connect_timeout: Duration::from_secs(10),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
        }
    }
}
