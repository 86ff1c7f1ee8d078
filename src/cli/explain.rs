//! `weir explain`: what a request would meet and why, offline or in a running server.
//!
//! Nothing is counted.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::admin::{AdminArgs, wait_for};
use super::output::{Format, print};
use super::pairs::{self, EntryArg};
use super::policies;
use super::{CliError, DONE};
use crate::client::MediaType;
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::engine::{Engine, Explanation};
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
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with_all = ["live", "server"])]
    at: Option<Timestamp>,
    /// Use the policies and counters of a running server; implied by --server
    ///
    /// A live explanation reads the current state and ignores --hits. Without a token the server
    /// explains the request with fresh counters.
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    admin: AdminArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

pub(super) fn run(args: &ExplainArgs) -> Result<ExitCode, CliError> {
    let explanation = match args.live || args.admin.server.is_some() {
        true => live(args)?,
        false => offline(args)?,
    };
    match args.format {
        Format::Human => print(explanation)?,
        Format::Json => {
            let json = serde_json::to_string_pretty(&explanation).map_err(CliError::new)?;
            print(json + "\n")?;
        }
    }
    Ok(ExitCode::from(DONE))
}

/// With a server's own policies and counters.
fn live(args: &ExplainArgs) -> Result<Explanation, CliError> {
    let domain = args.domain.clone();
    let domain = domain.ok_or_else(|| CliError::new("a live explanation needs --domain"))?;
    let request = request(args, domain);
    let admin = args.admin.client()?;
    let answer = wait_for(admin.post("/api/explain", &request, MediaType::Json))?;
    serde_json::from_str(&answer).map_err(CliError::new)
}

/// With local policies and fresh counters.
fn offline(args: &ExplainArgs) -> Result<Explanation, CliError> {
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
    Ok(Engine::new(policy, store, clock).explain(&request))
}

fn domain(args: &ExplainArgs, policy: &Policy) -> Result<String, CliError> {
    match (&args.domain, &policy.domains()[..]) {
        (Some(name), _) => Ok(name.clone()),
        (None, [only]) => Ok(only.name.to_string()),
        (None, domains) => {
            let names: Vec<&str> = domains.iter().map(|domain| &*domain.name).collect();
            let names = names.join(", ");
            Err(CliError::new(format!(
                "which --domain? The policies have: {names}"
            )))
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
