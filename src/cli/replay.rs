//! `weir replay`: runs recorded traffic through policies.

mod error;
mod show;

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use clap::builder::BoolishValueParser;
use indicatif::{ProgressBar, ProgressStyle};

use super::output::{Format, print};
use super::pairs::{InvalidPair, Pairs};
use super::policies;
use super::{CliError, DONE};
use crate::policy::LoadOptions;
use crate::replay::{
    DescriptorTemplate, DescriptorTemplateError, LogFields, LogReader, Mapping, RecordFormat,
    Replay, decompressed, read_ahead,
};
use crate::settings;
use crate::store::MemoryConfig;
use error::{NameList, ReplayError};

/// The number of malformed lines that are reported one by one.
const MAX_REPORTED: u64 = 10;
const BUFFER_BYTES: usize = 256 << 10;

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

    /// Domain of the requests, or the default for lines without one
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,

    /// Descriptor built from fields of an access log; can be repeated
    ///
    /// Such as 'api_key={authorization} endpoint={method} {path}'. It is left out of requests that lack one of the fields.
    /// Ports of addresses are removed, but not in fields whose names end with authority or host.
    #[arg(long, value_name = "KEY={FIELD} …", requires = "domain")]
    descriptor: Vec<Template>,

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

#[derive(Clone, Debug)]
struct Template(DescriptorTemplate);

/// The text is not a descriptor of fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum InvalidTemplate {
    #[error(transparent)]
    Pair(#[from] InvalidPair),
    #[error(transparent)]
    Template(#[from] DescriptorTemplateError),
}

impl FromStr for Template {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        let Pairs(entries) = text.parse()?;
        let entries = entries.iter().map(|entry| {
            let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
            (text(&entry.key), text(&entry.value))
        });
        Ok(Self(DescriptorTemplate::new(entries)?))
    }
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
    if let Some(domain) = &args.domain
        && policies().all(|policy| policy.domain(domain.as_bytes()).is_none())
    {
        let domain = domain.clone();
        return Err(CliError::new(ReplayError::UnknownDomain {
            domain,
            defined,
        }));
    }
    let memory = MemoryConfig {
        budget_bytes: args.memory,
    };
    let mut replay = Replay::new(policy, against, memory).map_err(CliError::new)?;
    let unreadable = |source| {
        let log = args.log.clone();
        CliError::new(ReplayError::Read { log, source })
    };
    let LogSource { log, length } = open(&args.log).map_err(unreadable)?;
    let progress = progress(length);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(CliError::new)?;
    let reading = read(log, args.record_format(), &mut replay, &progress);
    let read = runtime.block_on(reading).map_err(unreadable)?;
    progress.finish_and_clear();
    let report = replay.report();
    print(match args.format {
        Format::Human => show::text(&report, &read, args.unmatched),
        Format::Json => show::json(&report, &read),
    })?;
    error::verify(&report, &read, !args.descriptor.is_empty(), defined).map_err(CliError::new)?;
    Ok(ExitCode::from(DONE))
}

impl ReplayArgs {
    fn record_format(&self) -> RecordFormat {
        if self.descriptor.is_empty() {
            return RecordFormat::Requests {
                domain: self.domain.clone(),
            };
        }
        let descriptors = self.descriptor.iter().map(|d| d.0.clone()).collect();
        let domain = self.domain.clone().unwrap_or_default();
        RecordFormat::AccessLog(Mapping::new(domain, descriptors, self.time.clone()))
    }
}

/// A log, and its length in bytes if it is known.
struct LogSource {
    log: LogReader,
    length: Option<u64>,
}

fn open(path: &Path) -> io::Result<LogSource> {
    if path == Path::new("-") {
        let log = decompressed(BufReader::new(io::stdin()))?;
        return Ok(LogSource { log, length: None });
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let log = decompressed(BufReader::with_capacity(BUFFER_BYTES, file))?;
    let has_length = metadata.is_file() && !log.is_compressed;
    let length = has_length.then_some(metadata.len());
    Ok(LogSource { log, length })
}

/// A progress bar on a terminal.
fn progress(length: Option<u64>) -> ProgressBar {
    let (bar, template) = match length {
        Some(bytes) => (
            ProgressBar::new(bytes),
            "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {bytes} {bytes_per_sec}",
        ),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

async fn read(
    log: LogReader,
    format: RecordFormat,
    replay: &mut Replay,
    progress: &ProgressBar,
) -> io::Result<LogSummary> {
    let mut summary = LogSummary::default();
    for batch in read_ahead(log.lines, format)? {
        let batch = batch?;
        for (number, outcome) in batch.lines {
            summary.lines += 1;
            match outcome {
                Ok(Some(record)) => replay.push(&record, number).await,
                Ok(None) => summary.without_descriptors += 1,
                Err(fault) => {
                    summary.malformed += 1;
                    if summary.malformed <= MAX_REPORTED {
                        progress.suspend(|| report_line(&format!("line {number}: {fault}")));
                    }
                }
            }
        }
        progress.set_position(batch.bytes);
        summary.fields = batch.fields;
    }
    Ok(summary)
}

/// Writes to stderr, if it is open.
fn report_line(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
