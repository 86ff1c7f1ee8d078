//! `weir replay`: runs recorded traffic through policies.

mod error;
mod show;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::builder::BoolishValueParser;
use indicatif::ProgressBar;

use super::output::{Format, print};
use super::policies;
use super::recorded::{self, LogSource, MappingArgs};
use super::{CliError, DONE};
use crate::policy::LoadOptions;
use crate::replay::{LogFields, LogReader, RecordFormat, Replay, TimeField, read_ahead};
use crate::settings;
use crate::store::MemoryConfig;
use error::{NameList, ReplayError};

/// Lines that are decoded before they are replayed.
const BATCH_LINES: usize = 1024;

/// The arguments of `weir replay`.
#[derive(Args, Clone, Debug)]
pub(super) struct ReplayArgs {
    /// Traffic log, which may be compressed with gzip; - is stdin
    ///
    /// With --descriptor it is an access log: JSON, or the default text format of Envoy or Istio. Otherwise each line is a
    /// request: {"time": …, "domain": …, "descriptors": [{"key": "value"}]}. Lines that Docker or a CRI runtime has
    /// wrapped are unwrapped.
    #[arg(value_name = "LOG")]
    log: PathBuf,

    /// Policy files, and folders of them
    #[arg(
        long,
        value_name = "PATH",
        env = "WEIR_POLICIES",
        value_delimiter = ',',
        required = true
    )]
    policies: Vec<PathBuf>,

    /// Policies to compare with, such as those in force
    #[arg(long, value_name = "PATH", value_delimiter = ',')]
    against: Vec<PathBuf>,

    /// Merge files that define the same domain
    #[arg(long, env = "WEIR_MERGE_DOMAINS", value_parser = BoolishValueParser::new())]
    merge_domains: bool,

    #[command(flatten)]
    mapping: MappingArgs,

    /// Access-log field with the time [default: time, start_time, timestamp or @timestamp]
    #[arg(long, value_name = "FIELD", requires = "descriptor")]
    time: Option<String>,

    /// Memory for the counters of each policy set, in bytes or with a unit
    #[arg(long, value_name = "BYTES", default_value = "1GiB", value_parser = settings::memory)]
    memory: u64,

    /// List the keys of descriptors that match no rule
    #[arg(long)]
    unmatched: bool,

    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

/// Counts of the lines of a log, and what they have.
#[derive(Clone, Debug, Default)]
struct LogSummary {
    lines: u64,
    malformed: u64,
    /// Lines for which Envoy would not have sent a request.
    without_descriptors: u64,
    fields: LogFields,
}

pub(super) fn run(args: &ReplayArgs) -> Result<ExitCode, CliError> {
    let options = LoadOptions {
        merge_domains: args.merge_domains,
        ..LoadOptions::default()
    };
    let policy = policies::load(&args.policies, options.clone())?;
    let against = match args.against.as_slice() {
        [] => None,
        paths => Some(policies::load(paths, options)?),
    };
    let policies = || [Some(&policy), against.as_ref()].into_iter().flatten();
    let domains = policies().flat_map(|policy| policy.domains());
    let defined = NameList::new(domains.map(|domain| &*domain.name));
    if let Some(domain) = args.mapping.domain()
        && policies().all(|policy| policy.domain(domain.as_bytes()).is_none())
    {
        let domain = domain.to_owned();
        return Err(CliError::new(ReplayError::UnknownDomain {
            domain,
            defined,
        }));
    }
    let memory = MemoryConfig {
        budget_bytes: args.memory,
    };
    let mut replay = Replay::new(policy, against, memory).map_err(CliError::new)?;
    let LogSource { log, length } = recorded::open(&args.log)?;
    let progress = recorded::progress(length);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(CliError::new)?;
    let time = args.time.clone().map_or(TimeField::Usual, TimeField::Named);
    let format = args.mapping.record_format(time);
    let reading = read(log, format, &mut replay, &progress);
    let read = runtime.block_on(reading);
    let read = read.map_err(|source| recorded::unreadable(&args.log, source))?;
    progress.finish_and_clear();
    let report = replay.report();
    print(match args.format {
        Format::Human => show::text(&report, &read, args.unmatched),
        Format::Json => show::json(&report, &read),
    })?;
    error::verify(&report, &read, args.mapping.is_access_log(), defined).map_err(CliError::new)?;
    Ok(ExitCode::from(DONE))
}

async fn read(
    log: LogReader,
    format: RecordFormat,
    replay: &mut Replay,
    progress: &ProgressBar,
) -> io::Result<LogSummary> {
    let mut summary = LogSummary::default();
    for batch in read_ahead(log.lines, format, BATCH_LINES)? {
        let batch = batch?;
        for (number, outcome) in batch.lines {
            summary.lines += 1;
            match outcome {
                Ok(Some(record)) => replay.push(&record, number).await,
                Ok(None) => summary.without_descriptors += 1,
                Err(fault) => {
                    summary.malformed += 1;
                    recorded::report_malformed(summary.malformed, number, &fault, progress);
                }
            }
        }
        progress.set_position(batch.bytes);
        summary.fields = batch.fields;
    }
    Ok(summary)
}
