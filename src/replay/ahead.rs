//! Reads a record ahead: lines are taken apart on a thread of their own while those before them are replayed.

use std::io::{self, BufRead};
use std::sync::mpsc::{self, SyncSender};
use std::thread;

use super::lines::{Line, Lines};
use super::record::{Fault, Record, Shape};

/// A batch has at most so many lines …
const BATCH_LINES: usize = 1024;

/// … and no more than so many bytes of them, but for its last line.
const BATCH_BYTES: u64 = 1 << 20;

/// How many batches may wait.
const BATCHES: usize = 4;

/// Some lines of a record, in their order.
#[derive(Debug)]
pub struct Batch {
    /// Each with its number and what it says; lines without anything are left out.
    pub lines: Vec<(u64, Said)>,
    /// How many bytes of the record were read so far.
    pub bytes: u64,
}

/// What a line says: a request, nothing that Envoy would have asked, or nothing that can be read.
pub type Said = Result<Option<Record>, Fault>;

/// The lines of `log`, read ahead of who takes them, within bounds.
///
/// An error of reading is the last item.
pub fn read_ahead(
    log: impl BufRead + Send + 'static,
    shape: Shape,
) -> impl Iterator<Item = io::Result<Batch>> {
    let (batches, ready) = mpsc::sync_channel(BATCHES);
    thread::spawn(move || {
        if let Err(error) = read(log, &shape, &batches) {
            // Whoever does not listen any more does not want to know.
            let _ = batches.send(Err(error));
        }
    });
    ready.into_iter()
}

fn read(
    log: impl BufRead,
    shape: &Shape,
    batches: &SyncSender<io::Result<Batch>>,
) -> io::Result<()> {
    let mut lines = Lines::new(log);
    loop {
        let begins = lines.bytes();
        let mut batch = Vec::with_capacity(BATCH_LINES);
        let mut is_end = false;
        while batch.len() < BATCH_LINES && lines.bytes() - begins < BATCH_BYTES {
            let said = match lines.read()? {
                None => {
                    is_end = true;
                    break;
                }
                Some(Line::Whole(b"")) => continue,
                Some(Line::Whole(text)) => shape.read(text),
                Some(Line::TooLong) => Err(Fault::new(Fault::TOO_LONG)),
            };
            batch.push((lines.number(), said));
        }
        let batch = Batch {
            lines: batch,
            bytes: lines.bytes(),
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

    #[test]
    fn batches_hold_every_line_with_its_number() {
        let line = r#"{"time": 1, "domain": "d", "descriptors": [{"k": "v"}]}"#;
        let mut log = format!("{line}\n\nno JSON\n");
        log.push_str(&format!("{line}\n").repeat(2_000));
        let length = log.len() as u64;
        let shape = Shape::Requests { domain: None };
        let batches = read_ahead(io::Cursor::new(log), shape);
        let batches: Vec<Batch> = batches.map(Result::unwrap).collect();
        assert_eq!(batches.last().unwrap().bytes, length);
        let lines: Vec<_> = batches.iter().flat_map(|batch| &batch.lines).collect();
        assert_eq!((lines.len(), lines[0].0, lines[2_001].0), (2_002, 1, 2_003));
        let faults: Vec<u64> = lines
            .iter()
            .filter(|(_, said)| said.is_err())
            .map(|(number, _)| *number)
            .collect();
        assert_eq!(faults, [3]);
    }
}
