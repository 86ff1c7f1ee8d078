//! What survives a restart: the state folder of `weir serve --state`.
//!
//! A [`StateFolder`] belongs to one process. It has the key of the counters' hash, so that clients have the same
//! counters after a restart, and a table of the counters, which a [`StateWriter`] keeps up to date from a thread of its
//! own: no decision waits for a disk. Values of clients are not stored.
//!
//! `table` alone knows the engine that stores it, `manifest` says what the folder holds.

mod error;
mod file;
mod folder;
mod inspect;
mod manifest;
mod status;
mod table;
mod writer;

pub use error::StateError;
pub use folder::StateFolder;
pub use inspect::{AlgorithmCounters, StateInspection};
pub use status::{StateProblem, StateStatus};
pub use writer::{Restored, StateWriter, WriterConfig};
