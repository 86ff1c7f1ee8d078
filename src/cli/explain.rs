//! `weir explain`: what a request would meet and why, offline or in a running server.
//!
//! Nothing is counted.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::builder::BoolishValueParser;
use thiserror::Error;

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
        env = "WEIR_POLICIES",
        value_delimiter = ',',
        default_value = "config",
        help_heading = "Policies"
    )]
    policies: Vec<PathBuf>,
    /// Merge files that define the same domain
    #[arg(long, env = "WEIR_MERGE_DOMAINS", value_parser = BoolishValueParser::new(), help_heading = "Policies")]
    merge_domains: bool,
    /// Domain of the request; optional if the policies have only one
    #[arg(long, value_name = "NAME", help_heading = "Request")]
    domain: Option<String>,
    /// Entries of a descriptor, in order; a separate `+` starts the next descriptor
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = pairs::entry_arg)]
    entries: Vec<EntryArg>,
    /// Hits that each descriptor costs [default: 1]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        conflicts_with = "peek",
        help_heading = "Request"
    )]
    hits: Option<u32>,
    /// Explain a request of 0 hits
    #[arg(long, help_heading = "Request")]
    peek: bool,
    /// Limit override sent with the request, such as "600 per minute"
    #[arg(long, value_name = "LIMIT", value_parser = pairs::limit, help_heading = "Request")]
    limit: Option<Override>,
    /// Time of the request, such as 2026-01-01T00:00:00Z or Unix seconds [default: now]
    #[arg(
        long,
        value_name = "TIME",
        value_parser = time,
        conflicts_with_all = ["live", "server"],
        help_heading = "Request"
    )]
    at: Option<Timestamp>,
    /// Use the policies and counters of a running server; implied by --server
    ///
    /// With a token the server shows its counters as they are, so --hits cannot be given. Without one it explains the
    /// request with fresh counters.
    #[arg(long, help_heading = "Server")]
    live: bool,
    #[command(flatten)]
    admin: AdminArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// The arguments do not say which request to explain.
#[derive(Debug, Error)]
enum ExplainArgsError {
    #[error("--domain is missing; a running server is asked about one domain")]
    NoDomain,
    #[error("--domain is missing; the policies have {}", .0.join(", "))]
    ManyDomains(Vec<String>),
    #[error("--domain is missing, and the policies have no domain to take instead")]
    NoDomains,
    #[error(
        "--hits has no effect with the admin token: the server then shows its counters as they are; leave out --hits, \
         or leave out --admin-token-file to explain {0} hits with fresh counters"
    )]
    HitsWithToken(u32),
}

/// The text is not a time.
#[derive(Clone, Copy, Debug, Error)]
#[error("write it as 2026-01-01T00:00:00Z, or as Unix seconds")]
struct InvalidTime;

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
    let domain = domain.ok_or_else(|| CliError::new(ExplainArgsError::NoDomain))?;
    if let (Some(hits), true) = (args.hits, args.admin.has_token()) {
        return Err(CliError::new(ExplainArgsError::HitsWithToken(hits)));
    }
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
        (None, []) => Err(CliError::new(ExplainArgsError::NoDomains)),
        (None, domains) => {
            let names = domains.iter().map(|domain| domain.name.to_string());
            let names = ExplainArgsError::ManyDomains(names.collect());
            Err(CliError::new(names))
        }
    }
}

fn request(args: &ExplainArgs, domain: String) -> Request {
    let cost = match args.peek {
        true => Cost::Peek,
        false => Cost::Hits(args.hits.unwrap_or(1)),
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

fn time(text: &str) -> Result<Timestamp, InvalidTime> {
    parse_timestamp(text).ok_or(InvalidTime)
}
