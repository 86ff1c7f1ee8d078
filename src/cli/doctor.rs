//! `weir doctor`: asks a running server, and its Envoy, and reports why limits do not do what they should.
//!
//! `ask` is the I/O; it fills [`Observations`]. [`diagnose::findings`] is pure.

mod ask;
mod diagnose;
mod envoy;
mod finding;
mod observations;
mod samples;
mod show;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::admin::{AdminArgs, wait_for};
use super::output::{Format, print};
use super::{CliError, DONE, FAILED};
use crate::client::ServerAddr;
use observations::Observations;

/// The arguments of `weir doctor`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example: weir doctor --envoy 127.0.0.1:9901 --admin-token-file token\n\
                  docs/troubleshooting.md describes the five symptoms that it looks for."
)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Also check the health of this gRPC port, as Envoy does: HOST:PORT, https://HOST:PORT or unix:PATH
    #[arg(long, value_name = "ADDR", help_heading = "Server")]
    grpc: Option<ServerAddr>,
    /// Also ask this admin interface of Envoy for its configuration, clusters and statistics
    #[arg(long, value_name = "HOST:PORT")]
    envoy: Option<String>,
    /// Consider only what is counted in this time from now, in place of all since the start
    #[arg(
        long,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    during: Option<u64>,
    /// Print JSON; the same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Output format
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Human)]
    format: Format,
}

pub(super) fn run(args: &DoctorArgs) -> Result<ExitCode, CliError> {
    let admin = args.admin.client()?;
    let sources = ask::Sources {
        admin: &admin,
        grpc: args.grpc.as_ref(),
        tls: args.admin.tls_options(),
        envoy: args.envoy.as_deref(),
    };
    let during = args.during.map(Duration::from_secs);
    let observations: Observations = wait_for(ask::observe(&sources, during))?;
    let findings = diagnose::findings(&observations);
    print(match (args.json, args.format) {
        (false, Format::Human) => show::text(&observations, &findings),
        (true, _) | (_, Format::Json) => show::json(&observations, &findings),
    })?;
    Ok(ExitCode::from(match findings.is_empty() {
        true => DONE,
        false => FAILED,
    }))
}

#[cfg(test)]
mod tests;
