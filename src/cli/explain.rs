//! `weir explain`: what a request would meet and why, offline and without counting.

mod text;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::pairs::{self, Word};
use super::policies;
use super::{CliError, DONE};
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::engine::Engine;
use crate::policy::{LoadOptions, Policy};
use crate::request::{Cost, Descriptor, Override, Request};
use crate::scenario::moment;
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
    /// Take files of the same domain for one
    #[arg(long, env = "WEIR_MERGE_DOMAINS")]
    merge_domains: bool,
    /// The domain that is asked; may be left out if the policies have only one
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// The entries of a descriptor, in order; a `+` on its own begins another descriptor
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = pairs::word)]
    entries: Vec<Word>,
    /// How many hits it costs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "look")]
    hits: u32,
    /// Ask without counting
    #[arg(long)]
    look: bool,
    /// A limit that the request brings along, such as "600 per minute"
    #[arg(long, value_name = "LIMIT", value_parser = pairs::limit)]
    limit: Option<Override>,
    /// For that moment, such as 2026-01-01T00:00:00Z or Unix seconds; now if left out
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Human,
    /// For programs
    Json,
}

pub(super) fn run(args: &ExplainArgs) -> Result<ExitCode, CliError> {
    let options = LoadOptions {
        merge_domains: args.merge_domains,
        ..LoadOptions::default()
    };
    let policy = policies::load(&args.policies, options)?;
    let request = request(args, &policy)?;
    let clock = Clock::Manual(ManualClock::new(
        args.at.unwrap_or_else(|| Clock::System.now()),
    ));
    let store = Store::memory(MemoryConfig::default()).map_err(CliError::new)?;
    let explanation = Engine::new(policy, store, clock).explain(&request);
    let mut written = match args.format {
        Format::Human => text::text(&explanation),
        Format::Json => format!("{:#}", explanation.to_json()),
    };
    if !written.ends_with('\n') {
        written.push('\n');
    }
    match io::stdout().lock().write_all(written.as_bytes()) {
        // Whoever reads, such as `head`, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written.map_err(CliError::new)?,
    }
    Ok(ExitCode::from(DONE))
}

fn request(args: &ExplainArgs, policy: &Policy) -> Result<Request, CliError> {
    let domain = match (&args.domain, &policy.domains()[..]) {
        (Some(name), _) => name.clone(),
        (None, [only]) => only.name.to_string(),
        (None, domains) => {
            let names: Vec<&str> = domains.iter().map(|domain| &*domain.name).collect();
            let names = names.join(", ");
            return Err(CliError::new(format!("which --domain? There are: {names}")));
        }
    };
    let cost = match args.look {
        true => Cost::Look,
        false => Cost::Hits(args.hits),
    };
    let descriptors = pairs::descriptors(&args.entries).map(|entries| Descriptor {
        entries,
        cost,
        limit: args.limit,
    });
    Ok(Request {
        domain: domain.into(),
        descriptors: descriptors.collect(),
    })
}

fn time(text: &str) -> Result<Timestamp, &'static str> {
    moment(text).ok_or("write it as 2026-01-01T00:00:00Z, or as Unix seconds")
}
