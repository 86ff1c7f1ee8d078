//! `--state`: opens the folder, restores the counters, and writes them for the last time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Stopwatch};
use crate::state::{StateError, StateFolder, StateStatus, StateWriter, WriterConfig};
use crate::store::{MemoryConfig, RngError, Store};

/// How long the end waits for the disk.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The counters in the folder of `--state`.
#[derive(Debug)]
pub(super) struct KeptState {
    writer: StateWriter,
    folder: PathBuf,
}

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeptStateError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Rng(#[from] RngError),
}

impl KeptState {
    /// Takes the folder, and a store with the counters in it.
    pub(super) fn open(path: &Path, memory: MemoryConfig) -> Result<(Store, Self), KeptStateError> {
        let start = Stopwatch::start();
        let folder = StateFolder::open(path, Clock::System.now())?;
        let owned_path = folder.path().to_owned();
        let (store, records) = Store::recorded(memory, folder.hash_key())?;
        let (writer, restored) = StateWriter::start(folder, records, WriterConfig::default())?;
        match writer.status().problem() {
            None => tracing::info!(
                folder = %path.display(),
                counters = restored.counters,
                ended = restored.ended,
                damaged = restored.damaged,
                milliseconds = start.elapsed().as_millis(),
                "counters restored"
            ),
            Some(problem) => tracing::warn!(
                folder = %path.display(),
                reason = %problem,
                "counters cannot be restored now, serving without them"
            ),
        }
        Ok((
            store,
            Self {
                writer,
                folder: owned_path,
            },
        ))
    }

    /// The folder, for the assignments of values to plans.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn status(&self) -> &Arc<StateStatus> {
        self.writer.status()
    }

    /// Writes all counters. What it did is logged.
    pub(super) fn finish(self) {
        match self.writer.finish(TIMEOUT) {
            Ok(()) => tracing::info!("counters written"),
            Err(error) => tracing::error!(
                reason = %error,
                "counters could not be written, the next start has those of the last write"
            ),
        }
    }
}
