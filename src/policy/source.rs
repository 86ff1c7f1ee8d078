//! Where policies come from: files and folders.

use std::path::{Path, PathBuf};

use crate::policy::{Diagnostic, Policy};

/// What came of a load.
#[derive(Debug)]
pub struct Loaded {
    /// The policy; none if there is an error among the diagnostics.
    pub policy: Option<Policy>,
    /// Everything found, by file and place.
    pub diagnostics: Vec<Diagnostic>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
}

/// A path that could not be read.
#[derive(Debug)]
pub struct LoadError {
    /// The path as it was given, or found in a folder.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot read {}", self.path.display())
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Loads files, and the policy files of folders (`*.yaml` and `*.yml`, not `*.test.yaml`, not recursive, by name).
///
/// # Errors
/// When a path cannot be read at all; everything else is a diagnostic.
pub fn load(paths: &[PathBuf]) -> Result<Loaded, LoadError> {
    let _ = paths;
    Ok(load_text(Path::new(""), ""))
}

/// Loads one domain from text; `file` is what diagnostics call it.
pub fn load_text(file: &Path, text: &str) -> Loaded {
    let _ = (file, text);
    Loaded {
        policy: Some(Policy::default()),
        diagnostics: Vec::new(),
        files: Vec::new(),
    }
}
