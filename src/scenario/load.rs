//! Loading scenarios: files and folders.

use std::path::{Path, PathBuf};

use super::policies::Policies;
use super::test_file::{SUFFIXES, TestFile};
use super::{compile, raw};
use crate::document::{Diagnostic, Report, Severity, files};
use crate::policy::LoadError;

/// A scenario file after reading.
#[derive(Debug)]
pub struct LoadedTestFile {
    /// The tests; `None` if there are diagnostics.
    pub test_file: Option<TestFile>,
    /// The errors of the file and of the policies that it names. Warnings are left out.
    pub diagnostics: Vec<Diagnostic>,
}

/// Files as they are given, and the scenario files in folders and below (`*.test.yaml` and
/// `*.test.yml`, by path).
///
/// # Errors
/// When a path cannot be read.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, LoadError> {
    let is_scenario = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
    };
    files::find(paths, |_, files| {
        files.into_iter().filter(is_scenario).collect()
    })
}

/// Reads a scenario file, and loads the policies that it names.
///
/// # Errors
/// When the file cannot be read; any other fault is a diagnostic.
pub fn load(file: &Path) -> Result<LoadedTestFile, LoadError> {
    let mut report = Report::new(file);
    let bytes = files::read(file, &mut report)?;
    let mut policies = Policies::new(file);
    let text = bytes
        .as_deref()
        .and_then(|bytes| files::decode(bytes, &mut report));
    let raw = text.and_then(|text| raw::read(text, &mut report));
    let tests = raw.map(|raw| compile::compile(raw, &mut policies, &mut report));
    let mut diagnostics = report.into_diagnostics();
    diagnostics.extend(policies.into_diagnostics());
    diagnostics.retain(|found| found.severity == Severity::Error);
    let test_file = diagnostics.is_empty().then(|| TestFile {
        file: file.to_owned(),
        tests: tests.unwrap_or_default(),
    });
    Ok(LoadedTestFile {
        test_file,
        diagnostics,
    })
}
