//! Assignments that are added while weir serves: where they are kept, and when they take effect.
//!
//! With counters in Redis they are kept there, and every instance looks for changes twice a second. Otherwise they are
//! kept in a file of `--state`, or in memory only.
//!
//! One thread owns them and makes the changes, one after the other. Callers send it commands and wait for the answers.

mod file;
mod redis_rows;
mod thread;

use std::io;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

pub use file::AssignmentFile;

use super::reload::Reloader;
use crate::api::AssignmentStorage;
use crate::engine::Engine;
use crate::policy::{AddedAssignment, AssignmentId, UnusableAssignment};
use crate::store::StoreError;
use crate::threads;
use thread::AssignmentThread;

/// The most assignments that are added.
const MAX_ADDED: usize = 100_000;

/// Changes that wait for the one being made; a caller of another waits until there is room.
const MAX_WAITING: usize = 16;

/// The assignments that were added. Their thread ends when this is dropped.
#[derive(Debug)]
pub struct Assignments {
    engine: Arc<Engine>,
    storage: AssignmentStorage,
    changes: mpsc::Sender<AssignmentChange>,
    in_force: watch::Receiver<Arc<[AddedAssignment]>>,
}

/// What the thread is asked to do, and where the outcome goes.
#[derive(Debug)]
enum AssignmentChange {
    Set(
        Box<AddedAssignment>,
        oneshot::Sender<Result<(), AssignmentError>>,
    ),
    Remove(
        AssignmentId,
        oneshot::Sender<Result<Option<AddedAssignment>, AssignmentError>>,
    ),
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
    /// A bug in weir: the thread that makes changes has panicked.
    #[error("assignments cannot be changed until weir is restarted")]
    NoThread,
}

impl Assignments {
    /// Puts in force what `file` has, and starts the thread that makes changes. With counters in Redis it also looks for
    /// changes of other instances, and `file` is not read.
    ///
    /// # Errors
    /// If the file cannot be read, or if the system provides no thread.
    pub async fn start(
        engine: Arc<Engine>,
        reloader: Arc<Reloader>,
        file: Option<AssignmentFile>,
    ) -> io::Result<Self> {
        let storage = match (engine.records(), &file) {
            (Some(_), _) => AssignmentStorage::Redis,
            (None, Some(_)) => AssignmentStorage::File,
            (None, None) => AssignmentStorage::Memory,
        };
        let (published, in_force) = watch::channel(Arc::default());
        let mut thread = AssignmentThread::new(Arc::clone(&engine), reloader, file, published);
        thread.load().await?;
        let (changes, waiting) = mpsc::channel(MAX_WAITING);
        threads::spawn_with_runtime("weir-assign", move |runtime| {
            runtime.block_on(thread.run(waiting));
        })?;
        Ok(Self {
            engine,
            storage,
            changes,
            in_force,
        })
    }

    /// Where they are kept.
    pub fn storage(&self) -> AssignmentStorage {
        self.storage
    }

    /// Those in force, by domain and table. A change that is being made is not among them.
    pub fn list(&self) -> Arc<[AddedAssignment]> {
        Arc::clone(&self.in_force.borrow())
    }

    /// Adds an assignment, or replaces the one for the same value. It is in force when this returns; it is added even if
    /// nobody waits for that.
    ///
    /// # Errors
    /// If the policy cannot use it, or if it cannot be stored.
    pub async fn set(&self, row: AddedAssignment) -> Result<(), AssignmentError> {
        let policy = self.engine.policy();
        policy
            .check_assignment(&row)
            .map_err(AssignmentError::Unusable)?;
        self.change(|outcome| AssignmentChange::Set(Box::new(row), outcome))
            .await
    }

    /// Removes an assignment, and returns it. A row of a file for the same value is in force again.
    ///
    /// # Errors
    /// If the change cannot be stored.
    pub async fn remove(
        &self,
        id: &AssignmentId,
    ) -> Result<Option<AddedAssignment>, AssignmentError> {
        self.change(|outcome| AssignmentChange::Remove(id.clone(), outcome))
            .await
    }

    async fn change<T>(
        &self,
        change: impl FnOnce(oneshot::Sender<Result<T, AssignmentError>>) -> AssignmentChange,
    ) -> Result<T, AssignmentError> {
        let (outcome, made) = oneshot::channel();
        let sent = self.changes.send(change(outcome)).await;
        sent.map_err(|_| AssignmentError::NoThread)?;
        made.await.unwrap_or(Err(AssignmentError::NoThread))
    }
}
