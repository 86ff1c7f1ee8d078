//! What a state folder says of itself, in `state.json`.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::StateError;
use super::file::replace;
use crate::store::{HashKey, RECORD_FORMAT};

/// The name of the file.
const MANIFEST: &str = "state.json";

/// What the counters in a state folder are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The version of their records.
    pub(super) format: u32,
    /// The version of weir that began to write them.
    pub(super) version: String,
    /// The fingerprint of the key of the hash.
    pub(super) hash_key: String,
}

impl Manifest {
    /// What this version writes.
    pub(super) fn current(hash_key: HashKey) -> Self {
        Self {
            format: RECORD_FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hash_key: hash_key.fingerprint(),
        }
    }

    /// Reads it; `None` if there is none, or none that can be understood.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, StateError> {
        let path = folder.join(MANIFEST);
        match fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError::io("read", path)(error)),
        }
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), StateError> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        replace(folder, MANIFEST, &(text + "\n"))
    }
}
