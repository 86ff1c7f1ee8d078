//! `weir explain`: what a request would meet and why, offline and without counting.

mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::pairs::{self, Pairs};
use super::query::{Format, print};
use super::{CliError, DONE};
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::engine::Engine;
use crate::policy::{self, LoadOptions, Policy, Severity};
use crate::request::{Cost, Descriptor, Entry, Override, Request};
use crate::scenario::moment;
use crate::store::{MemoryConfig, Store};

/// The arguments of `weir explain`.
#[derive(Args, Clone, Debug)]
pub(super) struct ExplainArgs {
    /// The entries of one descriptor, in their order
    #[arg(value_name = "KEY=VALUE", value_parser = pairs::entry, required_unless_present = "descriptor")]
    entries: Vec<Entry>,

    /// A descriptor in one text; can be given more than once
    ///
    /// A value goes on until the next word that looks like KEY=, so it may hold blanks:
    /// --descriptor 'account=a1 endpoint=POST /v2/process'
    #[arg(long, value_name = "KEY=VALUE …", conflicts_with = "entries")]
    descriptor: Vec<Pairs>,

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

    /// So many hits, at each descriptor
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "look")]
    hits: u32,

    /// Ask how things stand, with no hit at all
    #[arg(long)]
    look: bool,

    /// Bring a limit along that takes the place of the policy's, such as 10/minute or 1/5 minutes
    #[arg(long, value_name = "N/UNIT", value_parser = pairs::limit)]
    limit: Option<Override>,

    /// For that moment, such as 2026-01-01T00:00:00Z or Unix seconds [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,

    /// How it is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

pub(super) fn run(args: &ExplainArgs) -> Result<ExitCode, CliError> {
    let options = LoadOptions {
        merge_domains: args.merge_domains,
    };
    let policy = load(&args.policies, options)?;
    let request = request(args, &policy)?;
    let clock = Clock::Manual(ManualClock::new(
        args.at.unwrap_or_else(|| Clock::System.now()),
    ));
    let store = Store::memory(MemoryConfig::default()).map_err(CliError::new)?;
    let explanation = Engine::new(policy, store, clock).explain(&request);
    print(&match args.format {
        Format::Text => text::text(&explanation),
        Format::Json => format!("{:#}\n", explanation.to_json()),
    })?;
    Ok(ExitCode::from(DONE))
}

fn load(paths: &[PathBuf], options: LoadOptions) -> Result<Policy, CliError> {
    let loaded = policy::load(paths, options).map_err(CliError::new)?;
    let errors = loaded.diagnostics.iter();
    let errors = errors.filter(|found| found.severity == Severity::Error);
    let errors: Vec<String> = errors.map(ToString::to_string).collect();
    let refused = || CliError::new(format!("the policies have errors\n{}", errors.join("\n")));
    loaded.policy.ok_or_else(refused)
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
    let cost = match (args.look, args.hits) {
        (true, _) | (_, 0) => Cost::Look,
        (false, hits) => Cost::Hits(hits),
    };
    let bare = Some(&args.entries).filter(|entries| !entries.is_empty());
    let entries = bare
        .into_iter()
        .chain(args.descriptor.iter().map(|Pairs(entries)| entries));
    let descriptors = entries.map(|entries| Descriptor {
        entries: entries.clone(),
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
