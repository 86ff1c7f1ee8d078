//! `weir explain`: what a request would meet and why, without counting: offline, or in a running server.

mod text;

pub(super) use text::text;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::admin::wait_for;
use super::output::{Format, print};
use super::pairs::{self, EntryArg};
use super::policies;
use super::{CliError, DONE};
use crate::client::{AdminClient, MediaType};
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::engine::Engine;
use crate::policy::{LoadOptions, Policy};
use crate::request::{Cost, Descriptor, Override, Request};
use crate::scenario::parse_timestamp;
use crate::store::{MemoryConfig, Store};

/// The arguments of `weir explain`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example: weir explain --policies policies --domain shop api_key=k 'endpoint=GET /orders' + plan=free"
)]
pub(super) struct ExplainArgs {
    /// Policy files, and folders of them
    #[arg(
        long,
        value_name = "PATH",
        value_delimiter = ',',
        default_value = "config"
    )]
    policies: Vec<PathBuf>,
    /// Merge files that define the same domain
    #[arg(long, env = "WEIR_MERGE_DOMAINS")]
    merge_domains: bool,
    /// Domain of the request; optional if the policies have only one
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Entries of a descriptor, in order; a separate `+` starts the next descriptor
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = pairs::entry_arg)]
    entries: Vec<EntryArg>,
    /// Hits that each descriptor costs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "peek")]
    hits: u32,
    /// Explain a request of 0 hits
    #[arg(long)]
    peek: bool,
    /// Limit override sent with the request, such as "600 per minute"
    #[arg(long, value_name = "LIMIT", value_parser = pairs::limit)]
    limit: Option<Override>,
    /// Time of the request, such as 2026-01-01T00:00:00Z or Unix seconds [default: now]
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "server")]
    at: Option<Timestamp>,
    /// Use the policies and counters of a running server (`weir serve --http`) [default: 127.0.0.1:8080]
    ///
    /// A live explanation reads the current state and ignores --hits.
    #[arg(
        long,
        value_name = "HOST:PORT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "127.0.0.1:8080",
        requires = "domain"
    )]
    server: Option<String>,
    /// File with the admin token; without it the server does not show its counters
    #[arg(long, value_name = "PATH", env = "WEIR_ADMIN_TOKEN_FILE")]
    admin_token_file: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

pub(super) fn run(args: &ExplainArgs) -> Result<ExitCode, CliError> {
    let mut written = match &args.server {
        Some(server) => of_server(args, server)?,
        None => of_policies(args)?,
    };
    if !written.ends_with('\n') {
        written.push('\n');
    }
    print(written)?;
    Ok(ExitCode::from(DONE))
}

/// By a server's own policies and counters.
fn of_server(args: &ExplainArgs, server: &str) -> Result<String, CliError> {
    let request = request(args, args.domain.clone().unwrap_or_default());
    let token = args.admin_token_file.as_deref();
    let admin = AdminClient::new(server, token).map_err(CliError::new)?;
    let accept = match args.format {
        Format::Human => MediaType::Text,
        Format::Json => MediaType::Json,
    };
    let answer = wait_for(admin.post("/api/explain", &request, accept))?;
    if args.format == Format::Human {
        return Ok(answer);
    }
    let answer: serde_json::Value = serde_json::from_str(&answer).map_err(CliError::new)?;
    Ok(format!("{answer:#}"))
}

/// By policies of this machine, with fresh counters.
fn of_policies(args: &ExplainArgs) -> Result<String, CliError> {
    let options = LoadOptions {
        merge_domains: args.merge_domains,
        ..LoadOptions::default()
    };
    let policy = policies::load(&args.policies, options)?;
    let request = request(args, domain(args, &policy)?);
    let clock = Clock::Manual(ManualClock::new(
        args.at.unwrap_or_else(|| Clock::System.now()),
    ));
    let store = Store::memory(MemoryConfig::default()).map_err(CliError::new)?;
    let explanation = Engine::new(policy, store, clock).explain(&request);
    Ok(match args.format {
        Format::Human => text(&explanation),
        Format::Json => format!("{:#}", explanation.to_json()),
    })
}

fn domain(args: &ExplainArgs, policy: &Policy) -> Result<String, CliError> {
    match (&args.domain, &policy.domains()[..]) {
        (Some(name), _) => Ok(name.clone()),
        (None, [only]) => Ok(only.name.to_string()),
        (None, domains) => {
            let names: Vec<&str> = domains.iter().map(|domain| &*domain.name).collect();
            let names = names.join(", ");
            Err(CliError::new(format!("which --domain? There are: {names}")))
        }
    }
}

fn request(args: &ExplainArgs, domain: String) -> Request {
    let cost = match args.peek {
        true => Cost::Peek,
        false => Cost::Hits(args.hits),
    };
    let descriptors = pairs::descriptors(&args.entries).map(|entries| Descriptor {
        entries,
        cost,
        limit: args.limit,
    });
    Request {
        domain: domain.into(),
        descriptors: descriptors.collect(),
    }
}

fn time(text: &str) -> Result<Timestamp, &'static str> {
    parse_timestamp(text).ok_or("write it as 2026-01-01T00:00:00Z, or as Unix seconds")
}
