//! TLS to a server, for the commands that ask one.

use std::path::PathBuf;

use clap::Args;

use crate::client::TlsOptions;

/// How the certificate of a server at `https://…` is checked, and which one is shown to it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub(super) struct ClientTlsArgs {
    /// PEM file with the CA certificates to trust, for a server at https:// [default: the system's]
    #[arg(long, value_name = "FILE", env = "WEIR_CA")]
    ca: Option<PathBuf>,
    /// PEM file with a client certificate, if the server asks for one
    #[arg(long, value_name = "FILE", env = "WEIR_CERT", requires = "key")]
    cert: Option<PathBuf>,
    /// PEM file with the private key of the client certificate
    #[arg(long, value_name = "FILE", env = "WEIR_KEY", requires = "cert")]
    key: Option<PathBuf>,
    /// Name that the certificate of the server must have, if it is not the host of its address
    #[arg(long, value_name = "NAME", env = "WEIR_SERVER_NAME")]
    server_name: Option<String>,
}

impl ClientTlsArgs {
    pub(super) fn options(&self) -> TlsOptions {
        TlsOptions {
            ca: self.ca.clone(),
            identity: self.cert.clone().zip(self.key.clone()),
            server_name: self.server_name.clone(),
        }
    }
}
