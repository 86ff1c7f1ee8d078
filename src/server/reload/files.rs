//! The policy files: loads them, and detects whether they have changed since.

use std::io;
use std::path::PathBuf;

use super::watched::WatchedFiles;
use crate::clock::Clock;
use crate::policy::{self, LoadError, LoadOptions, LoadedPolicy};

/// Files and folders of policies, and what was last loaded of them.
#[derive(Debug)]
pub struct PolicyFiles {
    files: WatchedFiles,
    options: LoadOptions,
    accepts_empty: bool,
}

impl PolicyFiles {
    /// These files and folders, not loaded yet.
    pub fn new(paths: Vec<PathBuf>, options: LoadOptions) -> Self {
        Self {
            files: WatchedFiles::new(paths, options.any_name),
            options,
            accepts_empty: false,
        }
    }

    /// The same files; no domain in them is a policy too, which limits nothing.
    #[must_use]
    pub fn accepting_empty(self) -> Self {
        Self {
            accepts_empty: true,
            ..self
        }
    }

    /// Whether no domain is a policy too.
    pub(super) fn accepts_empty(&self) -> bool {
        self.accepts_empty
    }

    /// Loads them.
    ///
    /// # Errors
    /// If a path cannot be read, or the files keep changing; everything else is a diagnostic.
    pub fn load(&mut self) -> Result<LoadedPolicy, LoadError> {
        let options = LoadOptions {
            now: Some(Clock::System.now()),
            ..self.options.clone()
        };
        let loaded = self
            .files
            .read(|paths| policy::load(paths, options.clone()));
        loaded.unwrap_or_else(|kept_changing| {
            Err(LoadError {
                path: self.files.paths().first().cloned().unwrap_or_default(),
                source: io::Error::other(kept_changing),
            })
        })
    }

    /// A checksum of the contents that were last loaded, as 8 hexadecimal digits.
    pub fn checksum(&self) -> String {
        format!("{:08x}", self.files.checksum())
    }

    /// Loads the files if they differ from what was last tried, and have not changed since the last
    /// check. Files that change at every check are loaded at the tenth.
    pub fn load_if_changed(&mut self) -> Option<Result<LoadedPolicy, LoadError>> {
        self.files.have_changed().then(|| self.load())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    const GOOD: &str = "domain: t\ndescriptors: [{key: a}]\n";
    const BAD: &str = "domain: t\ndescriptors: [{kye: a}]\n";

    fn loaded(folder: &Path) -> PolicyFiles {
        let mut files = PolicyFiles::new(vec![folder.to_owned()], LoadOptions::default());
        assert!(files.load().unwrap().policy.is_some());
        files
    }

    /// For each of the next checks: whether it loads, and whether the policy is valid.
    fn checks<const N: usize>(files: &mut PolicyFiles) -> [Option<bool>; N] {
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
    fn a_change_is_loaded_once_at_the_second_check() {
        let folder = folder();
        let mut files = loaded(folder.path());
        assert_eq!(checks(&mut files), [None, None]);
        fs::write(
            folder.path().join("t.yaml"),
            GOOD.replace("key: a", "key: other"),
        )
        .unwrap();
        assert_eq!(checks(&mut files), [None, Some(true), None, None]);
    }

    #[test]
    fn an_invalid_file_is_tried_once_until_it_changes() {
        let folder = folder();
        let mut files = loaded(folder.path());
        fs::write(folder.path().join("t.yaml"), BAD).unwrap();
        assert_eq!(checks(&mut files), [None, Some(false), None, None, None]);
        fs::write(folder.path().join("t.yaml"), format!("{BAD}#")).unwrap();
        assert_eq!(checks(&mut files), [None, Some(false), None]);
        fs::write(folder.path().join("t.yaml"), GOOD).unwrap();
        assert_eq!(checks(&mut files), [None, Some(true), None]);
    }

    #[test]
    fn a_file_that_is_still_changing_is_not_loaded() {
        let folder = folder();
        let mut files = loaded(folder.path());
        for half in 1..5 {
            fs::write(folder.path().join("t.yaml"), &BAD[..half * 5]).unwrap();
            assert_eq!(checks(&mut files), [None]);
        }
        fs::write(folder.path().join("t.yaml"), GOOD).unwrap();
        assert_eq!(checks(&mut files), [None, None]);
    }

    #[test]
    fn files_that_change_at_every_check_are_loaded_after_ten() {
        let folder = folder();
        let mut files = loaded(folder.path());
        let mut changing = |n: usize| {
            fs::write(folder.path().join("t.yaml"), format!("{GOOD}# {n}\n")).unwrap();
            let [loaded] = checks(&mut files);
            loaded
        };
        let mut loads = (0..20).map(&mut changing);
        assert!(loads.by_ref().take(9).all(|loaded| loaded.is_none()));
        assert_eq!(loads.next(), Some(Some(true)));
        assert!(loads.by_ref().take(9).all(|loaded| loaded.is_none()));
        assert_eq!(loads.next(), Some(Some(true)));
    }

    #[test]
    fn the_checksum_depends_on_contents_and_not_on_names() {
        let (one, other) = (folder(), folder());
        fs::rename(other.path().join("t.yaml"), other.path().join("u.yaml")).unwrap();
        let [mut one_files, mut other_files] = [&one, &other].map(|folder| loaded(folder.path()));
        assert_eq!(one_files.checksum(), other_files.checksum());
        assert_eq!(one_files.checksum().len(), 8);
        fs::write(other.path().join("u.yaml"), format!("{GOOD}#")).unwrap();
        other_files.load().unwrap();
        one_files.load().unwrap();
        assert_ne!(one_files.checksum(), other_files.checksum());
    }

    #[test]
    fn a_path_is_tried_once_after_it_is_removed_and_once_after_it_returns() {
        let folder = folder();
        let path = folder.path().join("t.yaml");
        let mut files = loaded(&path);
        fs::remove_file(&path).unwrap();
        assert_eq!(checks(&mut files), [None, Some(false), None]);
        fs::write(&path, GOOD).unwrap();
        assert_eq!(checks(&mut files), [None, Some(true), None]);
    }

    #[test]
    fn a_device_in_the_folder_is_rejected_and_stops_nothing() {
        let folder = folder();
        let mut files = loaded(folder.path());
        let device = folder.path().join("z.yaml");
        symlink("/dev/zero", &device).unwrap();
        assert_eq!(checks(&mut files), [None, Some(false), None]);
        fs::remove_file(&device).unwrap();
        assert_eq!(checks(&mut files), [None, Some(true), None]);
    }

    #[test]
    fn files_that_are_not_policies_are_ignored() {
        let folder = folder();
        let mut files = loaded(folder.path());
        fs::write(folder.path().join(".t.yaml.swp"), "x").unwrap();
        fs::write(folder.path().join("t.test.yaml"), "x").unwrap();
        fs::write(folder.path().join("t.yaml~"), "x").unwrap();
        assert_eq!(checks(&mut files), [None, None, None]);
    }
}
