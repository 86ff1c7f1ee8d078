//! The thread that makes the changes, one after the other: it stores each, then puts it in force.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::file::AssignmentFile;
use super::redis_rows::RedisRows;
use super::{AssignmentChange, AssignmentError, MAX_ADDED};
use crate::clock::{Micros, Timestamp};
use crate::engine::Engine;
use crate::policy::{AddedAssignment, AssignmentId};
use crate::server::reload::Reloader;

/// How often an instance looks for changes by others.
const POLL: Duration = Duration::from_millis(500);

/// How long an assignment that has ended is still listed.
const KEPT_SECS: u64 = 30 * 24 * 60 * 60;

/// The state of the thread.
#[derive(Debug)]
pub(super) struct AssignmentThread {
    engine: Arc<Engine>,
    reloader: Arc<Reloader>,
    /// `None` if they are not kept in a file.
    file: Option<AssignmentFile>,
    /// What is in force.
    rows: BTreeMap<AssignmentId, AddedAssignment>,
    /// The version of these rows in Redis; 0 without Redis.
    version: u64,
    /// The rows for readers.
    published: watch::Sender<Arc<[AddedAssignment]>>,
}

impl AssignmentThread {
    pub(super) fn new(
        engine: Arc<Engine>,
        reloader: Arc<Reloader>,
        file: Option<AssignmentFile>,
        published: watch::Sender<Arc<[AddedAssignment]>>,
    ) -> Self {
        Self {
            engine,
            reloader,
            file,
            rows: BTreeMap::new(),
            version: 0,
            published,
        }
    }

    /// Puts in force what the file has, unless Redis has the assignments.
    pub(super) async fn load(&mut self) -> io::Result<()> {
        let (Some(file), None) = (&self.file, self.engine.records()) else {
            return Ok(());
        };
        let rows = file.read()?;
        self.put_in_force(rows.into_iter().map(|row| (row.id.clone(), row)).collect())
            .await;
        Ok(())
    }

    /// Makes changes until nobody can send any.
    pub(super) async fn run(mut self, mut changes: mpsc::Receiver<AssignmentChange>) {
        let is_shared = self.engine.records().is_some();
        let mut polls = tokio::time::interval(POLL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                change = changes.recv() => match change {
                    // The receivers of outcomes may be gone by now.
                    Some(AssignmentChange::Set(row, outcome)) => {
                        let _ = outcome.send(self.set(*row).await);
                    }
                    Some(AssignmentChange::Remove(id, outcome)) => {
                        let _ = outcome.send(self.remove(&id).await);
                    }
                    None => return,
                },
                _ = polls.tick(), if is_shared => self.poll().await,
            }
        }
    }

    async fn set(&mut self, row: AddedAssignment) -> Result<(), AssignmentError> {
        if self.rows.len() >= MAX_ADDED && !self.rows.contains_key(&row.id) {
            return Err(AssignmentError::TooMany);
        }
        let id = row.id.clone();
        self.change(&id, Some(row)).await
    }

    async fn remove(
        &mut self,
        id: &AssignmentId,
    ) -> Result<Option<AddedAssignment>, AssignmentError> {
        let Some(row) = self.rows.get(id).cloned() else {
            return Ok(None);
        };
        self.change(id, None).await?;
        Ok(Some(row))
    }

    /// Stores a change, then puts it in force.
    async fn change(
        &mut self,
        id: &AssignmentId,
        row: Option<AddedAssignment>,
    ) -> Result<(), AssignmentError> {
        let changed = match self.engine.records() {
            Some(records) => {
                let redis = RedisRows(records);
                let changed = redis.change(id, row.as_ref(), &self.rows, self.version);
                let (changed, version) = changed.await.map_err(AssignmentError::Store)?;
                self.version = version;
                changed
            }
            None => {
                let mut changed = self.rows.clone();
                match row {
                    Some(row) => changed.insert(id.clone(), row),
                    None => changed.remove(id),
                };
                forget_ended(&mut changed, self.engine.now());
                if let Some(file) = &self.file {
                    // This thread has nothing else to do while it waits for the disk.
                    file.write(changed.values())
                        .map_err(AssignmentError::File)?;
                }
                changed
            }
        };
        self.put_in_force(changed).await;
        Ok(())
    }

    /// Takes what has changed in Redis since the last time.
    async fn poll(&mut self) {
        let Some(records) = self.engine.records() else {
            return;
        };
        // What is wrong with Redis is reported by its counters.
        let read = RedisRows(records).read_if_changed(&self.rows, self.version);
        if let Ok(Some((rows, version))) = read.await {
            self.version = version;
            self.put_in_force(rows).await;
        }
    }

    async fn put_in_force(&mut self, rows: BTreeMap<AssignmentId, AddedAssignment>) {
        let listed: Arc<[AddedAssignment]> = rows.values().cloned().collect();
        self.rows = rows;
        self.reloader.assign(Arc::clone(&listed)).await;
        self.published.send_replace(listed);
    }
}

fn forget_ended(rows: &mut BTreeMap<AssignmentId, AddedAssignment>, now: Timestamp) {
    let kept = Micros::from_secs(KEPT_SECS);
    rows.retain(|_, row| row.fields.until.is_none_or(|until| until.plus(kept) > now));
}
