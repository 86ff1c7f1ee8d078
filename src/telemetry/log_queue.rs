//! The queue between log calls and stderr: a thread that logs never waits for a reader of the log.
//!
//! A thread of its own writes the lines. If stderr is read too slowly, or not at all, lines beyond
//! [`MAX_BYTES`] are dropped and counted, and a line reports how many once stderr is read again.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use crate::clock::{Clock, Timestamp};
use crate::threads;

/// Bytes of lines that wait to be written.
const MAX_BYTES: usize = 1 << 20;

/// Lines per second that libraries may write: what they report can be caused by a peer.
const LIBRARY_LINES: u64 = 5;

/// How long the end of the process waits for lines that are not written yet.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Lines that wait to be written. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct LogQueue(Arc<QueueState>);

#[derive(Debug, Default)]
struct QueueState {
    lines: Mutex<WaitingLines>,
    changed: Condvar,
    dropped: AtomicU64,
    libraries: Mutex<LibraryLines>,
}

#[derive(Debug, Default)]
struct WaitingLines {
    waiting: VecDeque<Box<[u8]>>,
    bytes: usize,
    is_writing: bool,
    /// Dropped and not reported yet.
    unreported: u64,
}

/// What libraries have logged in the present second.
#[derive(Debug, Default)]
struct LibraryLines {
    second: u64,
    count: u64,
}

/// Takes one line of the log; `None` drops it.
#[derive(Debug)]
pub(super) struct LineWriter<'q>(Option<&'q LogQueue>);

impl LogQueue {
    /// Starts the thread that writes the lines to `out`.
    ///
    /// # Errors
    /// If the system provides no thread.
    pub(super) fn start(&self, mut out: impl Write + Send + 'static) -> io::Result<()> {
        let queue = self.clone();
        let write = move || {
            loop {
                queue.write_next(&mut out);
            }
        };
        threads::spawn("weir-log", write)?;
        Ok(())
    }

    /// Lines that were dropped since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Waits until everything is written, but at most a second: a log that nobody reads does not keep
    /// the process from ending.
    pub(super) fn flush(&self) {
        let mut lines = self.0.lines.lock();
        let is_busy = |lines: &mut WaitingLines| lines.is_writing || !lines.waiting.is_empty();
        let changed = &self.0.changed;
        changed.wait_while_for(&mut lines, is_busy, FLUSH_TIMEOUT);
    }

    fn push(&self, line: &[u8]) {
        let mut lines = self.0.lines.lock();
        if lines.bytes + line.len() > MAX_BYTES {
            lines.unreported += 1;
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        lines.bytes += line.len();
        lines.waiting.push_back(line.into());
        self.0.changed.notify_all();
    }

    /// Waits for lines and writes them.
    fn write_next(&self, out: &mut impl Write) {
        let mut lines = self.0.lines.lock();
        let is_empty = |lines: &mut WaitingLines| lines.waiting.is_empty();
        self.0.changed.wait_while(&mut lines, is_empty);
        let waiting = mem::take(&mut lines.waiting);
        lines.bytes = 0;
        lines.is_writing = true;
        drop(lines);
        for line in waiting {
            // If stderr is closed there is nowhere to report this.
            let _ = out.write_all(&line);
        }
        let mut lines = self.0.lines.lock();
        lines.is_writing = false;
        let dropped = mem::take(&mut lines.unreported);
        self.0.changed.notify_all();
        drop(lines);
        if dropped > 0 {
            tracing::warn!(dropped, "log lines dropped, stderr is read too slowly");
        }
    }

    /// Whether a library may write another line in this second.
    fn admits_library(&self, now: Timestamp) -> bool {
        let mut libraries = self.0.libraries.lock();
        let second = now.micros() / 1_000_000;
        if libraries.second != second {
            *libraries = LibraryLines { second, count: 0 };
        }
        libraries.count += 1;
        libraries.count <= LIBRARY_LINES
    }
}

impl<'q> MakeWriter<'q> for LogQueue {
    type Writer = LineWriter<'q>;

    fn make_writer(&'q self) -> LineWriter<'q> {
        LineWriter(Some(self))
    }

    fn make_writer_for(&'q self, metadata: &Metadata<'_>) -> LineWriter<'q> {
        let is_weir = metadata.target().split("::").next() == Some("weir");
        if is_weir || self.admits_library(Clock::System.now()) {
            return self.make_writer();
        }
        self.0.dropped.fetch_add(1, Ordering::Relaxed);
        LineWriter(None)
    }
}

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(queue) = self.0 {
            queue.push(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, Read};

    use super::*;

    fn queue_and_reader() -> (LogQueue, PipeReader) {
        let (reader, writer) = io::pipe().unwrap();
        let queue = LogQueue::default();
        queue.start(writer).unwrap();
        (queue, reader)
    }

    #[test]
    fn lines_are_written_in_order() {
        let (queue, mut reader) = queue_and_reader();
        for line in ["one\n", "two\n", "three\n"] {
            queue.push(line.as_bytes());
        }
        let mut written = [0; 14];
        reader.read_exact(&mut written).unwrap();
        assert_eq!(&written, b"one\ntwo\nthree\n");
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn logging_does_not_wait_for_a_reader() {
        let (queue, reader) = queue_and_reader();
        for _ in 0..10_000 {
            queue.push(&[b'x'; 1_000]);
        }
        assert!(queue.dropped() > 0);
        assert!(queue.0.lines.lock().bytes <= MAX_BYTES);
        queue.flush();
        drop(reader);
    }

    #[test]
    fn libraries_write_a_few_lines_a_second() {
        let queue = LogQueue::default();
        let admitted = |secs: u64| {
            let now = Timestamp::from_secs(secs);
            (0..100).filter(|_| queue.admits_library(now)).count()
        };
        assert_eq!((admitted(1), admitted(1), admitted(2)), (5, 0, 5));
    }
}
