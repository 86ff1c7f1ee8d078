//! The policies that the tests of a file use.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::test_file::SUFFIXES;
use crate::document::Diagnostic;
use crate::policy::{self, DomainDefaults, LoadError, LoadOptions, Policy};

/// The policies of one scenario file, each loaded once.
#[derive(Debug)]
pub(super) struct Policies {
    /// The scenario file.
    file: PathBuf,
    loaded: HashMap<Vec<PathBuf>, Option<Arc<Policy>>>,
    diagnostics: Vec<Diagnostic>,
}

/// A scenario names its files itself, so files of one domain belong together.
const MERGED: LoadOptions = LoadOptions {
    merge_domains: true,
    keep_texts: false,
    any_name: false,
    defaults: DomainDefaults::NONE,
    now: None,
};

impl Policies {
    pub(super) fn new(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            loaded: HashMap::new(),
            diagnostics: Vec::new(),
        }
    }

    /// The path of `NAME.yaml` for `NAME.test.yaml`, if that file exists.
    pub(super) fn default_path(&self) -> Option<PathBuf> {
        let name = self.file.file_name()?.to_str()?;
        let stem = SUFFIXES
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))?;
        let names = [format!("{stem}.yaml"), format!("{stem}.yml")];
        let mut paths = names.iter().map(PathBuf::from);
        paths.find(|path| self.file.with_file_name(path).exists())
    }

    /// The policy of files whose paths are relative to the scenario file; `None` if it has errors.
    ///
    /// # Errors
    /// When a path cannot be read.
    pub(super) fn load(&mut self, paths: Vec<PathBuf>) -> Result<Option<Arc<Policy>>, LoadError> {
        if let Some(policy) = self.loaded.get(&paths) {
            return Ok(policy.clone());
        }
        let folder = self.file.parent().unwrap_or(Path::new(""));
        let files: Vec<PathBuf> = paths.iter().map(|path| folder.join(path)).collect();
        let loaded = policy::load(&files, MERGED)?;
        let policy = loaded.policy.map(Arc::new);
        self.diagnostics.extend(loaded.diagnostics);
        self.loaded.insert(paths, policy.clone());
        Ok(policy)
    }

    /// The findings in the policies.
    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }
}
