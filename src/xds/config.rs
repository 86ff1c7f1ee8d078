//! Where the configuration server is, and who asks it.

use std::path::PathBuf;
use std::time::Duration;

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
    /// TLS; none for plaintext.
    pub tls: Option<XdsTls>,
    /// Longest message that is accepted, in bytes.
    pub max_message_bytes: usize,
    /// Time for a connection to be made.
    pub connect_timeout: Duration,
}

/// TLS to a configuration server. Files are read again for each connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XdsTls {
    /// Certificates to trust instead of the system's, PEM.
    pub ca: Option<PathBuf>,
    /// The client's certificate and its key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name in the server's certificate; the host of the address if `None`.
    pub server_name: Option<String>,
}
