//! Recorded traffic, which `replay` and `compare` read: logs, and what of their lines makes a request.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::CliError;
use super::pairs::{InvalidPair, Pairs};
use crate::replay::{
    DescriptorTemplate, DescriptorTemplateError, LineError, LogReader, Mapping, RecordFormat,
    TimeField, decompressed,
};

/// The number of malformed lines that are reported one by one.
const MAX_REPORTED: u64 = 10;
const BUFFER_BYTES: usize = 256 << 10;

/// How the lines of a log become requests.
#[derive(Args, Clone, Debug)]
pub(super) struct MappingArgs {
    /// Domain of the requests, or the default for lines without one
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,

    /// Descriptor built from fields of an access log; can be repeated
    ///
    /// Such as 'api_key={authorization} endpoint={method} {path}'. It is left out of requests that lack one of the fields.
    /// Ports of addresses are removed, but not in fields whose names end with authority or host.
    #[arg(long, value_name = "KEY={FIELD} …", requires = "domain")]
    descriptor: Vec<Template>,
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

/// The log cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", log.display())]
struct UnreadableLog {
    log: PathBuf,
    #[source]
    source: io::Error,
}

/// A log, and its length in bytes if it is known.
pub(super) struct LogSource {
    pub(super) log: LogReader,
    pub(super) length: Option<u64>,
}

impl MappingArgs {
    pub(super) fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// Whether lines are those of an access log, and not requests.
    pub(super) fn is_access_log(&self) -> bool {
        !self.descriptor.is_empty()
    }

    pub(super) fn record_format(&self, time: TimeField) -> RecordFormat {
        if self.descriptor.is_empty() {
            return RecordFormat::Requests {
                domain: self.domain.clone(),
                time,
            };
        }
        let descriptors = self.descriptor.iter().map(|d| d.0.clone()).collect();
        let domain = self.domain.clone().unwrap_or_default();
        RecordFormat::AccessLog(Mapping::new(domain, descriptors, time))
    }
}

/// The error of a log that cannot be read.
pub(super) fn unreadable(log: &Path, source: io::Error) -> CliError {
    let log = log.to_owned();
    CliError::new(UnreadableLog { log, source })
}

/// Opens a log; `-` is stdin.
pub(super) fn open(path: &Path) -> Result<LogSource, CliError> {
    open_log(path).map_err(|source| unreadable(path, source))
}

fn open_log(path: &Path) -> io::Result<LogSource> {
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

/// A progress bar on a terminal, in bytes of the log.
pub(super) fn progress(length: Option<u64>) -> ProgressBar {
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

/// Reports the `nth` malformed line on stderr, if it is one of the first.
pub(super) fn report_malformed(nth: u64, number: u64, fault: &LineError, progress: &ProgressBar) {
    if nth <= MAX_REPORTED {
        // stderr may be closed.
        progress.suspend(|| drop(writeln!(io::stderr(), "line {number}: {fault}")));
    }
}
