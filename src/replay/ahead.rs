//! Reads a log ahead: a thread decodes lines while earlier ones are replayed.

use std::io::{self, BufRead};
use std::sync::mpsc::{self, SyncSender};

use super::containers::{ContainerLines, UnwrappedLine};
use super::line_error::LineError;
use super::lines::{LineReader, LogLine};
use super::log_fields::LogFields;
use super::record::{LineDecoder, Record, RecordFormat};
use crate::threads;

/// A batch ends with the line that reaches this size.
const BATCH_BYTES: u64 = 1 << 20;

/// The most batches that wait to be replayed.
const BATCHES: usize = 4;

/// Consecutive lines of a log.
#[derive(Debug)]
pub struct LineBatch {
    /// The number of each line, from 1, and its content; empty lines are left out.
    pub lines: Vec<(u64, LineResult)>,
    /// Bytes of the log that were read so far.
    pub bytes: u64,
    /// What the lines so far had of the fields of the descriptors.
    pub fields: LogFields,
}

/// A recorded request, `None` if Envoy would not have sent one, or why the line cannot be used.
pub type LineResult = Result<Option<Record>, LineError>;

/// The lines of `log`, decoded ahead of the consumer, in bounded memory. A batch has `batch_lines` lines, at most: with
/// 1, a line that a pipe brings is there at once.
///
/// An I/O error is the last item.
///
/// # Errors
/// If the system provides no thread.
pub fn read_ahead(
    log: impl BufRead + Send + 'static,
    format: RecordFormat,
    batch_lines: usize,
) -> io::Result<impl Iterator<Item = io::Result<LineBatch>>> {
    let (batches, ready) = mpsc::sync_channel(BATCHES);
    threads::spawn("weir-replay", move || {
        if let Err(error) = read(log, LineDecoder::new(format), batch_lines, &batches) {
            // A closed channel means that the consumer has stopped.
            let _ = batches.send(Err(error));
        }
    })?;
    Ok(ready.into_iter())
}

fn read(
    log: impl BufRead,
    mut decoder: LineDecoder,
    batch_lines: usize,
    batches: &SyncSender<io::Result<LineBatch>>,
) -> io::Result<()> {
    let mut lines = LineReader::new(log);
    let mut containers = ContainerLines::default();
    loop {
        let begins = lines.bytes();
        let mut batch = Vec::with_capacity(batch_lines);
        let mut is_end = false;
        while batch.len() < batch_lines && lines.bytes() - begins < BATCH_BYTES {
            let result = match lines.read()? {
                None => {
                    is_end = true;
                    break;
                }
                Some(LogLine::Whole(text)) => match containers.unwrap(text) {
                    UnwrappedLine::Text(text) => match text.trim_ascii() {
                        b"" => continue,
                        text => decoder.decode(text),
                    },
                    UnwrappedLine::Part => continue,
                    UnwrappedLine::TooLong => Err(LineError::TooLong),
                },
                Some(LogLine::TooLong) => Err(LineError::TooLong),
            };
            batch.push((lines.number(), result));
        }
        let batch = LineBatch {
            lines: batch,
            bytes: lines.bytes(),
            fields: decoder.fields().clone(),
        };
        let is_wanted = batches.send(Ok(batch)).is_ok();
        if is_end || !is_wanted {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::time::TimeField;

    #[test]
    fn batches_hold_every_line_with_its_number() {
        let line = r#"{"time": 1, "domain": "d", "descriptors": [{"k": "v"}]}"#;
        let mut log = format!("{line}\n\nno JSON\n");
        log.push_str(&format!("{line}\n").repeat(2_000));
        let length = log.len() as u64;
        let format = RecordFormat::Requests {
            domain: None,
            time: TimeField::Usual,
        };
        let batches = read_ahead(io::Cursor::new(log), format, 1024).unwrap();
        let batches: Vec<LineBatch> = batches.map(Result::unwrap).collect();
        assert_eq!(batches.last().unwrap().bytes, length);
        let lines: Vec<_> = batches.iter().flat_map(|batch| &batch.lines).collect();
        assert_eq!((lines.len(), lines[0].0, lines[2_001].0), (2_002, 1, 2_003));
        let faults: Vec<u64> = lines
            .iter()
            .filter(|(_, result)| result.is_err())
            .map(|(number, _)| *number)
            .collect();
        assert_eq!(faults, [3]);
    }
}
