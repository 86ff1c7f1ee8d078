//! Which contents of the policy files were loaded last, and whether there are others now.

use std::io;
use std::path::PathBuf;

use super::fingerprint::{Fingerprint, Fingerprints};
use crate::policy::{self, LoadError, LoadOptions, LoadedPolicy};

/// How often files that change while they are read are read anew.
const TRIES: usize = 3;

/// Files and folders of policies, and what was last loaded of them.
#[derive(Debug)]
pub struct PolicyFiles {
    paths: Vec<PathBuf>,
    options: LoadOptions,
    fingerprints: Fingerprints,
    /// What was loaded, or tried.
    tried: Option<Fingerprint>,
    /// What was seen since, and may still be changing.
    seen: Option<Fingerprint>,
}

impl PolicyFiles {
    /// Of these files and folders, of which nothing was loaded yet.
    pub fn new(paths: Vec<PathBuf>, options: LoadOptions) -> Self {
        Self {
            paths,
            options,
            fingerprints: Fingerprints::default(),
            tried: None,
            seen: None,
        }
    }

    /// Loads them.
    ///
    /// # Errors
    /// When a path cannot be read, or does not stop changing; everything else is a diagnostic.
    pub fn load(&mut self) -> Result<LoadedPolicy, LoadError> {
        let mut fingerprint = self.fingerprints.fresh(&self.paths);
        for _ in 0..TRIES {
            self.tried = Some(fingerprint);
            self.seen = None;
            let loaded = policy::load(&self.paths, self.options);
            // One file of before and another of after would be a policy that nobody has written.
            let after = self.fingerprints.fresh(&self.paths);
            if after == fingerprint {
                return loaded;
            }
            fingerprint = after;
        }
        // The next look finds something else than what was tried.
        self.seen = Some(fingerprint);
        Err(LoadError {
            path: self.paths.first().cloned().unwrap_or_default(),
            source: io::Error::other("files kept changing while they were read"),
        })
    }

    /// Loads them if they are different from what was last loaded, or tried, and the same as at the last look.
    pub fn load_if_changed(&mut self) -> Option<Result<LoadedPolicy, LoadError>> {
        let fingerprint = Some(self.fingerprints.now(&self.paths));
        if fingerprint == self.tried {
            self.seen = None;
            return None;
        }
        if fingerprint != self.seen {
            self.seen = fingerprint;
            return None;
        }
        Some(self.load())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    const GOOD: &str = "domain: t\ndescriptors: [{key: a}]\n";
    const BAD: &str = "domain: t\ndescriptors: [{kye: a}]\n";

    fn loaded(folder: &Path) -> PolicyFiles {
        let mut files = PolicyFiles::new(vec![folder.to_owned()], LoadOptions::default());
        assert!(files.load().unwrap().policy.is_some());
        files
    }

    /// Whether the next looks load, and whether what they load is good.
    fn looks<const N: usize>(files: &mut PolicyFiles) -> [Option<bool>; N] {
        std::array::from_fn(|_| {
            let loaded = files.load_if_changed()?;
            Some(loaded.is_ok_and(|loaded| loaded.policy.is_some()))
        })
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("t.yaml"), GOOD).unwrap();
        folder
    }

    #[test]
    fn a_change_is_loaded_once_at_the_second_look() {
        let folder = folder();
        let mut files = loaded(folder.path());
        assert_eq!(looks(&mut files), [None, None]);
        fs::write(
            folder.path().join("t.yaml"),
            GOOD.replace("key: a", "key: other"),
        )
        .unwrap();
        assert_eq!(looks(&mut files), [None, Some(true), None, None]);
    }

    #[test]
    fn a_bad_file_is_tried_once_until_it_changes() {
        let folder = folder();
        let mut files = loaded(folder.path());
        fs::write(folder.path().join("t.yaml"), BAD).unwrap();
        assert_eq!(looks(&mut files), [None, Some(false), None, None, None]);
        fs::write(folder.path().join("t.yaml"), format!("{BAD}#")).unwrap();
        assert_eq!(looks(&mut files), [None, Some(false), None]);
        fs::write(folder.path().join("t.yaml"), GOOD).unwrap();
        assert_eq!(looks(&mut files), [None, Some(true), None]);
    }

    #[test]
    fn a_file_that_is_still_written_is_waited_for() {
        let folder = folder();
        let mut files = loaded(folder.path());
        for half in 1..5 {
            fs::write(folder.path().join("t.yaml"), &BAD[..half * 5]).unwrap();
            assert_eq!(looks(&mut files), [None]);
        }
        fs::write(folder.path().join("t.yaml"), GOOD).unwrap();
        assert_eq!(looks(&mut files), [None, None]);
    }

    #[test]
    fn a_path_that_vanishes_and_comes_back_is_tried_once_each() {
        let folder = folder();
        let path = folder.path().join("t.yaml");
        let mut files = loaded(&path);
        fs::remove_file(&path).unwrap();
        assert_eq!(looks(&mut files), [None, Some(false), None]);
        fs::write(&path, GOOD).unwrap();
        assert_eq!(looks(&mut files), [None, Some(true), None]);
    }

    #[test]
    fn files_that_are_not_policies_change_nothing() {
        let folder = folder();
        let mut files = loaded(folder.path());
        fs::write(folder.path().join(".t.yaml.swp"), "x").unwrap();
        fs::write(folder.path().join("t.test.yaml"), "x").unwrap();
        fs::write(folder.path().join("t.yaml~"), "x").unwrap();
        assert_eq!(looks(&mut files), [None, None, None]);
    }
}
