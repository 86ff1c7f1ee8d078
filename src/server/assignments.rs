//! Assignments that are added while weir serves: where they are kept, and when they take effect.
//!
//! With counters in Redis they are kept there, and every instance looks for changes twice a second. Otherwise they are
//! kept in a file of `--state`, or in memory only.

mod file;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

pub use file::AssignmentFile;

use super::reload::Reloader;
use crate::api::AssignmentStorage;
use crate::clock::{Micros, Timestamp};
use crate::engine::Engine;
use crate::policy::{AddedAssignment, AssignmentId, UnusableAssignment};
use crate::store::{RecordStore, SharedRecords, StoreError};
use crate::threads;

/// How often an instance looks for changes by others.
const POLL: Duration = Duration::from_millis(500);

/// The most assignments that are added.
const MAX_ADDED: usize = 100_000;

/// How long an assignment that has ended is still listed.
const KEPT_SECS: u64 = 30 * 24 * 60 * 60;

/// The assignments that were added.
#[derive(Debug)]
pub struct Assignments {
    engine: Arc<Engine>,
    reloader: Arc<Reloader>,
    /// `None` if they are not kept in a file.
    file: Option<Arc<AssignmentFile>>,
    /// Locked while a change is stored, so that changes have an order.
    added: Mutex<AddedRows>,
}

/// What is in force.
#[derive(Debug, Default)]
struct AddedRows {
    by_id: BTreeMap<AssignmentId, AddedAssignment>,
    /// The version in Redis.
    version: u64,
}

/// Looks for changes in Redis until it is dropped.
#[derive(Debug)]
pub struct AssignmentWatch {
    stop: CancellationToken,
}

impl Drop for AssignmentWatch {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A change that cannot be made.
#[derive(Debug, Error)]
pub enum AssignmentError {
    /// The policy cannot use it.
    #[error(transparent)]
    Unusable(UnusableAssignment),
    /// There are too many.
    #[error(
        "at most {MAX_ADDED} assignments can be added; write the others into the file of the table"
    )]
    TooMany,
    /// Redis did not store it.
    #[error("redis is unavailable")]
    Store(#[source] StoreError),
    /// The file could not be written.
    #[error("cannot write the file of assignments")]
    File(#[source] io::Error),
}

impl Assignments {
    /// Those that `file` has; without one, none until Redis reports some.
    pub fn new(engine: Arc<Engine>, reloader: Arc<Reloader>, file: Option<AssignmentFile>) -> Self {
        Self {
            engine,
            reloader,
            file: file.map(Arc::new),
            added: Mutex::default(),
        }
    }

    /// Puts in force what the file has.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn load(&self) -> io::Result<()> {
        let (Some(file), None) = (&self.file, self.engine.records()) else {
            return Ok(());
        };
        let rows = file.read()?;
        let mut added = self.added.lock().await;
        added.by_id = rows.into_iter().map(|row| (row.id.clone(), row)).collect();
        self.put_in_force(&added).await;
        Ok(())
    }

    /// Looks for changes by other instances; `None` if counters are not shared.
    ///
    /// # Errors
    /// If the system provides no thread.
    pub fn watch(self: &Arc<Self>) -> io::Result<Option<AssignmentWatch>> {
        if self.engine.records().is_none() {
            return Ok(None);
        }
        let stop = CancellationToken::new();
        let (watched, stopped) = (Arc::clone(self), stop.clone());
        threads::spawn_with_runtime("weir-assign", move |runtime| {
            runtime.block_on(async {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = watched.follow() => {}
                }
            });
        })?;
        Ok(Some(AssignmentWatch { stop }))
    }

    /// Where they are kept.
    pub fn storage(&self) -> AssignmentStorage {
        match (self.engine.records(), &self.file) {
            (Some(_), _) => AssignmentStorage::Redis,
            (None, Some(_)) => AssignmentStorage::File,
            (None, None) => AssignmentStorage::Memory,
        }
    }

    /// All of them, by domain and table.
    pub async fn list(&self) -> Vec<AddedAssignment> {
        self.added.lock().await.by_id.values().cloned().collect()
    }

    /// Adds an assignment, or replaces the one for the same value. It is in force when this returns.
    ///
    /// # Errors
    /// If the policy cannot use it, or if it cannot be stored.
    pub async fn set(&self, row: AddedAssignment) -> Result<(), AssignmentError> {
        let policy = self.engine.policy();
        policy
            .check_assignment(&row)
            .map_err(AssignmentError::Unusable)?;
        let mut added = self.added.lock().await;
        if added.by_id.len() >= MAX_ADDED && !added.by_id.contains_key(&row.id) {
            return Err(AssignmentError::TooMany);
        }
        let id = row.id.clone();
        self.change(&mut added, &id, Some(row)).await
    }

    /// Removes an assignment, and returns it. A row of a file for the same value is in force again.
    ///
    /// # Errors
    /// If the change cannot be stored.
    pub async fn remove(
        &self,
        id: &AssignmentId,
    ) -> Result<Option<AddedAssignment>, AssignmentError> {
        let mut added = self.added.lock().await;
        let Some(row) = added.by_id.get(id).cloned() else {
            return Ok(None);
        };
        self.change(&mut added, id, None).await?;
        Ok(Some(row))
    }

    /// Stores a change, then puts it in force.
    async fn change(
        &self,
        added: &mut AddedRows,
        id: &AssignmentId,
        row: Option<AddedAssignment>,
    ) -> Result<(), AssignmentError> {
        if let Some(records) = self.engine.records() {
            let text = row.as_ref().map(text);
            let written = records.write(&name(id), text.as_deref()).await;
            let version = written.map_err(AssignmentError::Store)?;
            if version <= added.version {
                let restored = restore(records, added, Some(id)).await;
                restored.map_err(AssignmentError::Store)?;
            }
            let read = records.read().await.map_err(AssignmentError::Store)?;
            added.replace(read);
        } else {
            let mut changed = added.by_id.clone();
            match row {
                Some(row) => changed.insert(id.clone(), row),
                None => changed.remove(id),
            };
            forget_ended(&mut changed, self.engine.now());
            if let Some(file) = &self.file {
                let (file, rows) = (Arc::clone(file), changed.values().cloned().collect());
                let written = threads::run("weir-assign-file", move || file.write(rows)).await;
                written
                    .and_then(|written| written)
                    .map_err(AssignmentError::File)?;
            }
            added.by_id = changed;
        }
        self.put_in_force(added).await;
        Ok(())
    }

    async fn put_in_force(&self, added: &AddedRows) {
        let rows = added.by_id.values().cloned().collect();
        self.reloader.assign(rows).await;
    }

    /// Follows the changes in Redis.
    async fn follow(&self) {
        let mut polls = tokio::time::interval(POLL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            polls.tick().await;
            // What is wrong with Redis is reported by its counters.
            if let Some(records) = self.engine.records() {
                let _ = self.poll(records).await;
            }
        }
    }

    /// Takes what has changed in Redis since the last time.
    async fn poll(&self, records: RecordStore<'_>) -> Result<(), StoreError> {
        let version = records.version().await?;
        let mut added = self.added.lock().await;
        if version == added.version {
            return Ok(());
        }
        let read = records.read().await?;
        let read = match read.version < added.version {
            true => {
                restore(records, &added, None).await?;
                records.read().await?
            }
            false => read,
        };
        added.replace(read);
        self.put_in_force(&added).await;
        Ok(())
    }
}

impl AddedRows {
    fn replace(&mut self, read: SharedRecords) {
        let rows = read.texts.values().filter_map(|text| {
            let row = serde_json::from_str::<AddedAssignment>(text);
            // A newer version of weir may write rows that this one cannot read.
            row.inspect_err(|_| tracing::error!("an assignment in redis cannot be read"))
                .ok()
        });
        self.by_id = rows.map(|row| (row.id.clone(), row)).collect();
        self.version = read.version;
    }
}

/// Writes what is known into a Redis that has lost it, except the row that has just been changed.
async fn restore(
    records: RecordStore<'_>,
    known: &AddedRows,
    changed: Option<&AssignmentId>,
) -> Result<(), StoreError> {
    tracing::error!("redis has lost the assignments, they are written again");
    for (id, row) in known.by_id.iter().filter(|(id, _)| Some(*id) != changed) {
        records.write(&name(id), Some(&text(row))).await?;
    }
    Ok(())
}

/// The name of a row in Redis.
fn name(id: &AssignmentId) -> String {
    // No name contains a line break that another could be mistaken for: the hash at the end has a fixed length.
    format!("{}\n{}\n{}", id.domain, id.table, id.sha256)
}

fn text(row: &AddedAssignment) -> String {
    // It consists of texts only.
    serde_json::to_string(row).unwrap_or_default()
}

fn forget_ended(rows: &mut BTreeMap<AssignmentId, AddedAssignment>, now: Timestamp) {
    let kept = Micros::from_secs(KEPT_SECS);
    rows.retain(|_, row| row.until.is_none_or(|until| until.plus(kept) > now));
}
