//! The table of counters on disk: only this module knows the engine that stores it.
//!
//! The engine is log-structured: a write is appended to a journal, and sorted into tables later, by a thread of the
//! engine. `docs/decisions/0009-counters-on-disk.md` says why.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::StateError;
use crate::store::RecordChange;

/// Bytes of blocks that are kept in memory: records are read at the start, and in passing by the cleaning.
const CACHE_BYTES: u64 = 4 << 20;

/// Bytes of records that are sorted in memory, in up to four tables.
const MEMTABLE_BYTES: u64 = 16 << 20;

/// Bytes of journals, the least that the engine takes.
const JOURNAL_BYTES: u64 = 64 << 20;

/// An open table.
pub(super) struct CounterTable {
    database: Database,
    counters: Keyspace,
}

impl fmt::Debug for CounterTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CounterTable")
    }
}

/// The key of a counter, as the table has it.
pub(super) type RecordKey = [u8; 16];

impl CounterTable {
    /// Opens the table in a folder, or creates one.
    pub(super) fn open(path: &Path) -> Result<Self, StateError> {
        guarded("opened", || {
            let database = Database::builder(path)
                .worker_threads(1)
                .cache_size(CACHE_BYTES)
                .max_journaling_size(JOURNAL_BYTES)
                .open()?;
            let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
            let counters = database.keyspace("counters", options)?;
            Ok(Self { database, counters })
        })
    }

    /// Writes changes, all or none of them. [`CounterTable::sync`] puts them on the disk.
    pub(super) fn write(&self, changes: &mut Vec<RecordChange>) -> Result<(), StateError> {
        guarded("written", || {
            let mut batch = self.database.batch().durability(None);
            for change in changes.drain(..) {
                match change {
                    RecordChange::Put { key, record } => batch.insert(&self.counters, key, record),
                    RecordChange::Remove { key } => batch.remove(&self.counters, key),
                }
            }
            batch.commit()
        })
    }

    /// Returns when everything written is on the disk.
    pub(super) fn sync(&self) -> Result<(), StateError> {
        guarded("written", || self.database.persist(PersistMode::SyncData))
    }

    /// Calls `visit` with each record, in the order of keys.
    pub(super) fn read_all(
        &self,
        mut visit: impl FnMut(RecordKey, &[u8]),
    ) -> Result<(), StateError> {
        guarded("read", || {
            for pair in self.counters.iter() {
                let (key, record) = pair.into_inner()?;
                if let Ok(key) = RecordKey::try_from(&*key) {
                    visit(key, &record);
                }
            }
            Ok(())
        })
    }

    /// Calls `visit` with up to `count` records after a key, and returns the last of them; `None` at the end.
    pub(super) fn read_some(
        &self,
        after: Option<RecordKey>,
        count: usize,
        mut visit: impl FnMut(RecordKey, &[u8]),
    ) -> Result<Option<RecordKey>, StateError> {
        use std::ops::Bound::{Excluded, Unbounded};

        guarded("read", || {
            let from = after.map_or(Unbounded, Excluded);
            let mut last = None;
            let mut left = count;
            for pair in self
                .counters
                .range::<RecordKey, _>((from, Unbounded))
                .take(count)
            {
                let (key, record) = pair.into_inner()?;
                left -= 1;
                if let Ok(key) = RecordKey::try_from(&*key) {
                    visit(key, &record);
                    last = Some(key);
                }
            }
            Ok(last.filter(|_| left == 0))
        })
    }

    /// Bytes of its files.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.database.disk_space().unwrap_or(0)
    }
}

/// Runs the engine. It may panic on files that it did not write.
fn guarded<T>(
    action: &'static str,
    run: impl FnOnce() -> Result<T, fjall::Error>,
) -> Result<T, StateError> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(StateError::Table {
            action,
            is_damaged: io_error(&error).is_none() && !is_passing(&error),
            reason: describe(&error),
        }),
        Err(_panic) => Err(StateError::Table {
            action,
            is_damaged: true,
            reason: "its files are damaged".to_owned(),
        }),
    }
}

/// The error of the system that is the reason, unless it is about the content of a file.
fn io_error(error: &fjall::Error) -> Option<&io::Error> {
    let error = match error {
        fjall::Error::Io(error) => error,
        fjall::Error::Storage(error) => std::error::Error::source(error)?.downcast_ref()?,
        _ => return None,
    };
    let is_content = matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::NotFound
            | io::ErrorKind::AlreadyExists
    );
    (!is_content).then_some(error)
}

/// Whether the error says nothing about the files: a write failed before.
fn is_passing(error: &fjall::Error) -> bool {
    matches!(error, fjall::Error::Poisoned | fjall::Error::Locked)
}

fn describe(error: &fjall::Error) -> String {
    match error {
        fjall::Error::Poisoned => "a write failed before".to_owned(),
        fjall::Error::Locked => "it is still open".to_owned(),
        _ => match io_error(error) {
            Some(error) => error.to_string(),
            None => error.to_string(),
        },
    }
}
