//! Flags for the gRPC port: its address, its connections and its end.

use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::tls::GrpcTlsArgs;
use super::{MAX_SECS, size};
use crate::server::{Config as ServerConfig, ListenConfig};

/// How long calls may take to end after the drain. Envoy gives up on a call after 20 ms by default.
const GRACE: Duration = Duration::from_secs(5);

/// The flags for the gRPC port, as given.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "gRPC")]
pub(super) struct GrpcArgs {
    /// Address for gRPC: HOST:PORT or unix:PATH; `:PORT` listens on all addresses, of IPv6 and IPv4
    #[arg(
        long,
        value_name = "ADDR",
        env = "WEIR_GRPC",
        default_value = "127.0.0.1:8081"
    )]
    pub(super) grpc: ListenConfig,

    #[command(flatten)]
    pub(super) tls: GrpcTlsArgs,

    /// Number of worker threads [default: one per core]
    #[arg(long, value_name = "N", env = "WEIR_WORKERS")]
    workers: Option<NonZeroUsize>,

    /// How long to keep serving after SIGTERM or SIGINT, while health checks report NOT_SERVING
    ///
    /// Ends early when no connection is open. Calls then have 5 seconds to finish. A second signal exits immediately.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "WEIR_DRAIN",
        default_value_t = 5,
        value_parser = clap::value_parser!(u64).range(..=MAX_SECS)
    )]
    drain: u64,

    /// Ask clients to reconnect after this time (± 10 %), so that they spread over servers; 0 disables it
    #[arg(
        long,
        value_name = "SECONDS",
        env = "WEIR_MAX_CONNECTION_AGE",
        default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(..=MAX_SECS)
    )]
    max_connection_age: u64,

    /// Maximum number of open gRPC connections; more are closed as they come
    ///
    /// Lowered to what the limit on open files allows (`ulimit -n`).
    #[arg(
        long,
        value_name = "N",
        env = "WEIR_MAX_CONNECTIONS",
        default_value = "10000"
    )]
    max_connections: NonZeroUsize,

    /// Memory for messages that have arrived in part, of all connections together
    ///
    /// A call that finds none left is answered with RESOURCE_EXHAUSTED. Messages of usual size never need it.
    #[arg(
        long,
        value_name = "BYTES",
        env = "WEIR_GRPC_BUFFER",
        default_value = "64MiB",
        value_parser = size::buffer
    )]
    grpc_buffer: usize,

    /// Also describe the request in `dynamic_metadata`, as envoyproxy/ratelimit does with RESPONSE_DYNAMIC_METADATA
    ///
    /// The fields are domain, descriptors and hitsAddend; values of secret keys are hidden.
    #[arg(
        long,
        env = "WEIR_REQUEST_METADATA",
        value_parser = BoolishValueParser::new(),
        help_heading = "Compatibility"
    )]
    request_metadata: bool,
}

impl GrpcArgs {
    /// Fills in what depends on the machine.
    pub(super) fn server(&self) -> ServerConfig {
        let workers = self
            .workers
            .unwrap_or_else(|| thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
        let max_connection_age = Duration::from_secs(self.max_connection_age);
        ServerConfig {
            workers,
            drain: Duration::from_secs(self.drain),
            grace: GRACE,
            max_connection_age: Some(max_connection_age).filter(|age| !age.is_zero()),
            max_connections: self.max_connections.get(),
            buffer_bytes: self.grpc_buffer,
            request_metadata: self.request_metadata,
        }
    }
}
