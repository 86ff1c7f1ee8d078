//! The thread that keeps the table of counters up to date.
//!
//! Every [`WriterConfig::interval`] it writes the counters that have changed and waits for the disk. After a failure it
//! opens the table again, at growing intervals, and writes all counters. Only [`StateStatus`] shows that; no decision is affected.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::table::{CounterTable, RecordKey};
use super::{StateError, StateFolder, StateStatus};
use crate::backoff::Backoff;
use crate::clock::{Clock, Timestamp};
use crate::store::{CounterRecord, CounterRecords, RecordChange, RecordScope};
use crate::threads;

/// How the counters are written.
#[derive(Clone, Debug)]
pub struct WriterConfig {
    /// From the end of one pass to the start of the next.
    pub interval: Duration,
    /// Decides which states have ended.
    pub clock: Clock,
}

impl Default for WriterConfig {
    /// After a power cut the changes of an interval, and of a write that was not finished, are lost: less than a second.
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(400),
            clock: Clock::System,
        }
    }
}

/// The time between attempts after a failure.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(15));

/// Records that a pass looks at, to remove those that have ended, for each record that it writes.
const CLEANED_PER_WRITTEN: usize = 2;

/// The least and the most records that a pass looks at.
const CLEANED: (usize, usize) = (256, 20_000);

/// What was found in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Counters that are back in memory.
    pub counters: u64,
    /// Records whose states had ended.
    pub ended: u64,
    /// Records that could not be read.
    pub damaged: u64,
}

/// The thread that writes. When it is dropped, the thread writes once more and ends by itself.
#[derive(Debug)]
pub struct StateWriter {
    commands: Sender<WriterCommand>,
    status: Arc<StateStatus>,
}

/// What the thread is asked to do, and where the outcome goes.
#[derive(Debug)]
enum WriterCommand {
    /// Write what has changed.
    Write(Sender<Result<(), StateError>>),
    /// Write everything and end.
    Finish(Sender<Result<(), StateError>>),
}

/// The state of the thread.
#[derive(Debug)]
struct WriterThread {
    folder: StateFolder,
    records: CounterRecords,
    config: WriterConfig,
    status: Arc<StateStatus>,
    /// `None` after a failure.
    table: Option<CounterTable>,
    /// Whether the content of the table is of no use.
    is_damaged: bool,
    /// Whether the counters of the table have been restored.
    is_restored: bool,
    /// Whether the table lacks changes that were taken from the counters.
    lacks_changes: bool,
    /// Where the cleaning continues.
    cleaned_up_to: Option<RecordKey>,
}

impl StateWriter {
    /// Restores the counters of the folder into `records`, and starts to write them.
    ///
    /// A table that is damaged is moved aside. One that cannot be opened for another reason, such as a full disk, is
    /// reported by the status, and tried again.
    ///
    /// # Errors
    /// The system provides no thread.
    pub fn start(
        folder: StateFolder,
        records: CounterRecords,
        config: WriterConfig,
    ) -> Result<(Self, Restored), StateError> {
        let status = Arc::new(StateStatus::default());
        let mut thread = WriterThread {
            folder,
            records,
            config,
            status: Arc::clone(&status),
            table: None,
            is_damaged: false,
            is_restored: false,
            lacks_changes: false,
            cleaned_up_to: None,
        };
        let restored = thread.open().unwrap_or_else(|error| {
            status.failed(&error);
            Restored::default()
        });
        let (commands, received) = mpsc::channel();
        threads::spawn("weir-state", move || thread.run(&received)).map_err(StateError::Thread)?;
        Ok((Self { commands, status }, restored))
    }

    /// How it goes.
    pub fn status(&self) -> &Arc<StateStatus> {
        &self.status
    }

    /// Writes what has changed, and waits until it is on the disk.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn flush(&self) -> Result<(), StateError> {
        self.ask(WriterCommand::Write, None)
    }

    /// Writes everything and ends. Waits for the disk, but not longer than `timeout`.
    ///
    /// # Errors
    /// It cannot be written, or not in time.
    pub fn finish(self, timeout: Duration) -> Result<(), StateError> {
        self.ask(WriterCommand::Finish, Some(timeout))
    }

    fn ask(
        &self,
        command: impl FnOnce(Sender<Result<(), StateError>>) -> WriterCommand,
        timeout: Option<Duration>,
    ) -> Result<(), StateError> {
        let unanswered = |reason: &str| StateError::Table {
            action: "written",
            reason: reason.to_owned(),
            is_damaged: false,
        };
        let (done, answer) = mpsc::channel();
        let ended = |_| unanswered("the thread that writes has ended");
        self.commands
            .send(command(done))
            .map_err(|_| unanswered("the thread that writes has ended"))?;
        match timeout {
            None => answer.recv().map_err(ended)?,
            Some(timeout) => match answer.recv_timeout(timeout) {
                Ok(written) => written,
                Err(RecvTimeoutError::Timeout) => Err(unanswered("the disk does not answer")),
                Err(RecvTimeoutError::Disconnected) => {
                    Err(unanswered("the thread that writes has ended"))
                }
            },
        }
    }
}

impl WriterThread {
    fn run(mut self, commands: &Receiver<WriterCommand>) {
        let mut retry = RETRY;
        let mut pause = self.config.interval;
        loop {
            let command = commands.recv_timeout(pause);
            let is_last = matches!(
                command,
                Ok(WriterCommand::Finish(_)) | Err(RecvTimeoutError::Disconnected)
            );
            let written = catch_unwind(AssertUnwindSafe(|| self.pass(is_last)));
            let written = written.unwrap_or_else(|_panic| {
                Err(StateError::Table {
                    action: "written",
                    reason: "internal error".to_owned(),
                    is_damaged: false,
                })
            });
            pause = match &written {
                Ok(()) => {
                    retry.reset();
                    self.config.interval
                }
                Err(error) => {
                    self.status.failed(error);
                    // The engine takes no more writes. What it has is on the disk, or will be written again.
                    self.table = None;
                    self.is_damaged |= error.is_damage();
                    self.lacks_changes = true;
                    retry.next_delay()
                }
            };
            if is_last {
                self.status.ended();
                // Others may open the folder from here on.
                drop(self);
                if let Ok(WriterCommand::Finish(done)) = command {
                    let _ = done.send(written);
                }
                return;
            }
            if let Ok(WriterCommand::Write(done)) = command {
                let _ = done.send(written);
            }
        }
    }

    /// Writes what has changed, and removes some records that have ended.
    fn pass(&mut self, is_last: bool) -> Result<(), StateError> {
        if !self.folder.is_present() {
            self.table = None;
            self.lacks_changes = true;
        }
        if self.table.is_none() {
            self.open()?;
        }
        let Some(table) = &self.table else {
            return Ok(());
        };
        let began = self.status.elapsed();
        let now = self.config.clock.now();
        let scope = match (self.lacks_changes, is_last) {
            (true, _) => RecordScope::All,
            (false, true) => RecordScope::Last,
            (false, false) => RecordScope::Changed,
        };
        let mut written = 0;
        self.records.make(now, scope, |changes| {
            written += changes.len();
            table.write(changes)
        })?;
        let count = (written * CLEANED_PER_WRITTEN).clamp(CLEANED.0, CLEANED.1);
        let cleaned = self.clean(table, now, count)?;
        table.sync()?;
        self.status
            .synced(began, written as u64, table.disk_bytes());
        self.cleaned_up_to = cleaned;
        self.lacks_changes = false;
        Ok(())
    }

    /// Looks at the next `count` records, and removes those that have ended and those of counters that are gone.
    fn clean(
        &self,
        table: &CounterTable,
        now: Timestamp,
        count: usize,
    ) -> Result<Option<RecordKey>, StateError> {
        let mut removed = Vec::new();
        let last = table.read_some(self.cleaned_up_to, count, |key, record| {
            let is_over = CounterRecord::decode_end(record).is_none_or(|end| end <= now);
            if is_over || !self.records.contains(key) {
                removed.push(RecordChange::Remove { key });
            }
        })?;
        if !removed.is_empty() {
            table.write(&mut removed)?;
        }
        Ok(last)
    }

    /// Opens the table and restores its counters, unless there are newer ones.
    fn open(&mut self) -> Result<Restored, StateError> {
        self.folder.take_again()?;
        if self.is_damaged {
            self.move_aside()?;
        }
        match self.open_table() {
            Err(error) if error.is_damage() => {
                self.move_aside()?;
                self.open_table()
            }
            opened => opened,
        }
    }

    fn move_aside(&mut self) -> Result<(), StateError> {
        let aside = self.folder.move_counters_aside(self.config.clock.now())?;
        tracing::warn!(
            moved_to = %aside.display(),
            "files of the counters are damaged, writing new ones"
        );
        self.is_damaged = false;
        self.lacks_changes = true;
        Ok(())
    }

    fn open_table(&mut self) -> Result<Restored, StateError> {
        let table = CounterTable::open(&self.folder.counters_path())?;
        let now = self.config.clock.now();
        let mut restored = Restored::default();
        if self.is_restored {
            self.table = Some(table);
            return Ok(restored);
        }
        table.read_all(|key, record| match CounterRecord::decode(record) {
            Ok(record) if record.ends_at <= now => restored.ended += 1,
            Ok(record) => {
                restored.counters += u64::from(self.records.restore(now, key, record));
            }
            Err(_) => restored.damaged += 1,
        })?;
        self.is_restored = true;
        self.status.add_restored(restored.counters);
        self.table = Some(table);
        Ok(restored)
    }
}

#[cfg(test)]
mod tests;
