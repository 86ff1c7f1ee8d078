//! The requests of a comparison, in their order.

use std::io;
use std::vec;

use indicatif::ProgressBar;
use tokio::sync::mpsc;

use super::generated::GeneratedRequests;
use crate::cli::recorded::{self, LogSource};
use crate::replay::{LineBatch, LineResult, RecordFormat, read_ahead};
use crate::request::Request;
use crate::threads;

/// One line at a time: a line that a pipe brings is sent at once.
const BATCH_LINES: usize = 1;

/// Lines that are read ahead.
const LINES_AHEAD: usize = 256;

/// Requests, and what became of the lines that are not.
pub(super) struct Requests {
    source: RequestSource,
    summary: SourceSummary,
}

enum RequestSource {
    Log {
        batches: mpsc::Receiver<io::Result<LineBatch>>,
        lines: vec::IntoIter<(u64, LineResult)>,
        progress: ProgressBar,
    },
    Generated(vec::IntoIter<(u64, Request)>),
}

/// What was read beside requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SourceSummary {
    pub(super) is_log: bool,
    pub(super) lines: u64,
    pub(super) malformed: u64,
    /// Lines for which Envoy would not have sent a request.
    pub(super) without_descriptors: u64,
    /// Rules for which no request could be made, since their values are not shown.
    pub(super) hidden_rules: u64,
    /// Rules that no request reaches.
    pub(super) unreached_rules: u64,
}

impl Requests {
    /// The requests of a log.
    ///
    /// # Errors
    /// If the system provides no thread.
    pub(super) fn of_log(source: LogSource, format: RecordFormat) -> io::Result<Self> {
        let LogSource { log, length } = source;
        let lines = read_ahead(log.lines, format, BATCH_LINES)?;
        let (sender, batches) = mpsc::channel(LINES_AHEAD);
        // A thread that waits for lines does not keep Ctrl-C from being noticed.
        threads::spawn("weir-log", move || {
            for batch in lines {
                if sender.blocking_send(batch).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self {
            source: RequestSource::Log {
                batches,
                lines: Vec::new().into_iter(),
                progress: recorded::progress(length),
            },
            summary: SourceSummary {
                is_log: true,
                ..SourceSummary::default()
            },
        })
    }

    /// Requests that were made from policies.
    pub(super) fn generated(generated: GeneratedRequests) -> Self {
        let requests: Vec<_> = (1..).zip(generated.requests).collect();
        Self {
            source: RequestSource::Generated(requests.into_iter()),
            summary: SourceSummary {
                hidden_rules: generated.hidden_rules,
                unreached_rules: generated.unreached_rules,
                ..SourceSummary::default()
            },
        }
    }

    /// The next request, and the number of its line or its own; `None` at the end. May be dropped while it waits.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub(super) async fn next(&mut self) -> io::Result<Option<(u64, Request)>> {
        let (batches, lines, progress) = match &mut self.source {
            RequestSource::Generated(requests) => return Ok(requests.next()),
            RequestSource::Log {
                batches,
                lines,
                progress,
            } => (batches, lines, progress),
        };
        loop {
            for (number, result) in lines.by_ref() {
                self.summary.lines += 1;
                match result {
                    Ok(Some(record)) => return Ok(Some((number, record.request))),
                    Ok(None) => self.summary.without_descriptors += 1,
                    Err(fault) => {
                        self.summary.malformed += 1;
                        let nth = self.summary.malformed;
                        recorded::report_malformed(nth, number, &fault, progress);
                    }
                }
            }
            let Some(batch) = batches.recv().await else {
                return Ok(None);
            };
            let batch = batch?;
            progress.set_position(batch.bytes);
            *lines = batch.lines.into_iter();
        }
    }

    /// Ends the progress on the terminal.
    pub(super) fn finish(self) -> SourceSummary {
        if let RequestSource::Log { progress, .. } = self.source {
            progress.finish_and_clear();
        }
        self.summary
    }
}
