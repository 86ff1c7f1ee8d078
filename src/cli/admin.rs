//! Where the admin server is, for the commands that ask it.

use std::env;
use std::error::Error;
use std::path::PathBuf;

use clap::Args;

use super::CliError;
use crate::client::{AdminClient, TlsOptions};
use crate::settings::TlsClientArgs;

/// Where `weir serve` listens for the commands unless it is configured otherwise.
pub(super) const DEFAULT_ADMIN: &str = "127.0.0.1:8080";

/// How the admin server of a running weir is reached.
#[derive(Args, Clone, Debug)]
pub(super) struct AdminArgs {
    /// Address of the admin server (`weir serve --http`): HOST:PORT or https://HOST:PORT [env: WEIR_ADMIN] [default: 127.0.0.1:8080]
    // Not `env` and `default_value`: `weir explain` asks a server only if the flag is given.
    #[arg(long, value_name = "HOST:PORT", help_heading = "Server")]
    pub(super) server: Option<String>,
    /// File with the admin token (`weir serve --admin-token-file`)
    #[arg(
        long,
        value_name = "PATH",
        env = "WEIR_ADMIN_TOKEN_FILE",
        help_heading = "Server"
    )]
    admin_token_file: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Server")]
    tls: TlsClientArgs,
}

impl AdminArgs {
    pub(super) fn has_token(&self) -> bool {
        self.admin_token_file.is_some()
    }

    pub(super) fn tls_options(&self) -> TlsOptions {
        self.tls.options()
    }

    pub(super) fn client(&self) -> Result<AdminClient, CliError> {
        let token = self.admin_token_file.as_deref();
        let server = self.server.clone();
        let server = server.or_else(|| env::var("WEIR_ADMIN").ok());
        let server = server.unwrap_or_else(|| DEFAULT_ADMIN.to_owned());
        AdminClient::new(&server, token, &self.tls.options()).map_err(CliError::new)
    }
}

/// Waits for something that is asked of the server.
pub(super) fn wait_for<T, E: Into<Box<dyn Error + Send + Sync>>>(
    asking: impl Future<Output = Result<T, E>>,
) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::new)?;
    runtime.block_on(asking).map_err(CliError::new)
}
