//! Why a state folder cannot be used. No message contains a secret or a value of a client.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::store::RngError;

/// Why a state folder cannot be used.
#[derive(Debug, Error)]
pub enum StateError {
    /// Another process has it.
    #[error(
        "the state folder {} is used by another weir{}; stop it, or give each --state a folder of its own",
        path.display(),
        process.as_deref().map(|id| format!(" (process {id})")).unwrap_or_default()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The id of the other process, if it is known.
        process: Option<String>,
    },
    /// The folder or a file in it cannot be created, read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The path is not a folder that `--state` has used.
    #[error("{} is not a state folder: it has no {missing}", path.display())]
    NoStateFolder {
        /// The path.
        path: PathBuf,
        /// The file that each state folder has.
        missing: &'static str,
    },
    /// The system has no random bytes for the key of the hash.
    #[error(transparent)]
    Rng(#[from] RngError),
    /// The table of counters cannot be read or written.
    #[error("the table of counters cannot be {action}: {reason}")]
    Table {
        /// What was tried, as `read`.
        action: &'static str,
        /// The message of the system, or of the engine that stores it.
        reason: String,
        /// Whether its content is the reason, so that another attempt would fail, too.
        is_damaged: bool,
    },
    /// The thread that writes could not be started.
    #[error("cannot start the thread that writes the state")]
    Thread(#[source] io::Error),
}

impl StateError {
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// Whether the content of the table is the reason.
    pub(super) fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Table {
                is_damaged: true,
                ..
            }
        )
    }
}
