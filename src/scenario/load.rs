//! Loading scenarios: files and folders.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::read::read;
use super::test_file::TestFile;
use crate::document::{Diagnostic, Report, Severity, files};
use crate::policy::{self, LoadError, LoadOptions, Policy};

/// A scenario names its files itself: those of one domain are meant to go together.
const MERGED: LoadOptions = LoadOptions {
    merge_domains: true,
    keep_texts: false,
};

/// What came of reading one file.
#[derive(Debug)]
pub struct LoadedTestFile {
    /// The tests; `None` if a diagnostic is an error.
    pub test_file: Option<TestFile>,
    /// What is wrong with the file, and with the policies that it names; warnings are not among it.
    pub diagnostics: Vec<Diagnostic>,
}

/// How the names of scenario files in a folder end.
const ENDS: [&str; 2] = [".test.yaml", ".test.yml"];

/// Files as they are given, and the scenario files of folders (`*.test.yaml` and `*.test.yml`, not recursive, by name).
///
/// # Errors
/// When a path cannot be read.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, LoadError> {
    let is_scenario = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        ENDS.iter().any(|end| name.ends_with(end))
    };
    files::find(paths, |_, files| {
        files.into_iter().filter(is_scenario).collect()
    })
}

/// Reads a scenario file, and loads the policies that it names.
///
/// # Errors
/// When the file cannot be read at all; everything else is a diagnostic.
pub fn load(file: &Path) -> Result<LoadedTestFile, LoadError> {
    let bytes = files::read(file)?;
    let mut report = Report::new(file);
    let mut policies = Policies::new(file);
    let tests = match files::decode(&bytes, &mut report) {
        Some(text) => read(text, &mut policies, &mut report),
        None => Vec::new(),
    };
    let mut diagnostics = report.into_diagnostics();
    diagnostics.extend(policies.diagnostics);
    diagnostics.retain(|found| found.severity == Severity::Error);
    let file = file.to_owned();
    Ok(LoadedTestFile {
        test_file: diagnostics.is_empty().then_some(TestFile { file, tests }),
        diagnostics,
    })
}

/// The policies of one scenario file, each loaded once.
#[derive(Debug)]
pub(super) struct Policies {
    file: PathBuf,
    loaded: HashMap<Vec<PathBuf>, Option<Arc<Policy>>>,
    diagnostics: Vec<Diagnostic>,
    has_complained: bool,
}

impl Policies {
    fn new(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            loaded: HashMap::new(),
            diagnostics: Vec::new(),
            has_complained: false,
        }
    }

    /// `NAME.yaml` beside `NAME.test.yaml`, if it is there.
    pub(super) fn beside(&self) -> Option<PathBuf> {
        let name = self.file.file_name()?.to_str()?;
        let stem = ENDS.iter().find_map(|end| name.strip_suffix(end))?;
        let names = [format!("{stem}.yaml"), format!("{stem}.yml")];
        let mut paths = names.iter().map(PathBuf::from);
        paths.find(|path| self.file.with_file_name(path).exists())
    }

    /// The policy of files whose paths are relative to the scenario's; none if they have errors.
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

    /// Whether it is the first time that this is asked.
    pub(super) fn first_complaint(&mut self) -> bool {
        !std::mem::replace(&mut self.has_complained, true)
    }
}
