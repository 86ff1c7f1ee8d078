//! Files whose changes are noticed by their contents.

use std::path::PathBuf;

use super::fingerprint::{Fingerprint, Fingerprints};

/// How many times to read files that change while they are read.
const TRIES: usize = 3;

/// Checks after which files count as changed although they change at every check. A read detects for itself
/// whether they change while it reads them.
const MAX_UNSETTLED: u32 = 10;

/// Files and folders, and the fingerprint of what was last read of them.
#[derive(Debug)]
pub(in crate::server) struct WatchedFiles {
    paths: Vec<PathBuf>,
    fingerprints: Fingerprints,
    /// What was last read, whether it was accepted or not.
    tried: Option<Fingerprint>,
    /// What the last check saw, if it differs; it may still be changing.
    seen: Option<Fingerprint>,
    /// Checks in a row that saw something new.
    unsettled: u32,
}

/// The files changed each time that they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("files kept changing while they were read")]
pub struct KeptChanging;

impl WatchedFiles {
    /// These files and folders, not read yet. Only policy files of folders count, by their names, unless `any_name`.
    pub(in crate::server) fn new(paths: Vec<PathBuf>, any_name: bool) -> Self {
        Self {
            paths,
            fingerprints: Fingerprints::new(any_name),
            tried: None,
            seen: None,
            unsettled: 0,
        }
    }

    pub(in crate::server) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Reads the files, all of them in one version: an old version of one file with a new version of another would be
    /// wrong.
    ///
    /// # Errors
    /// If the files keep changing.
    pub(in crate::server) fn read<T>(
        &mut self,
        read: impl Fn(&[PathBuf]) -> T,
    ) -> Result<T, KeptChanging> {
        let mut fingerprint = self.fingerprints.fresh(&self.paths);
        for _ in 0..TRIES {
            self.tried = Some(fingerprint);
            self.seen = None;
            self.unsettled = 0;
            let contents = read(&self.paths);
            let after = self.fingerprints.fresh(&self.paths);
            if after == fingerprint {
                return Ok(contents);
            }
            fingerprint = after;
        }
        // So that the next check reads them if they have stopped changing.
        self.seen = Some(fingerprint);
        Err(KeptChanging)
    }

    /// A checksum of the contents that were read last, whatever the names of the files are.
    pub(in crate::server) fn checksum(&self) -> u32 {
        self.fingerprints.checksum().unwrap_or_default()
    }

    /// Whether the files differ from what was last read, and have not changed since the last check. Files that change
    /// at every check are due at the tenth.
    pub(in crate::server) fn have_changed(&mut self) -> bool {
        let fingerprint = Some(self.fingerprints.now(&self.paths));
        if fingerprint == self.tried {
            self.seen = None;
            self.unsettled = 0;
            return false;
        }
        self.unsettled += 1;
        if fingerprint != self.seen && self.unsettled < MAX_UNSETTLED {
            self.seen = fingerprint;
            return false;
        }
        true
    }
}
