//! Policies: from YAML files to the tree that decisions walk.

mod diagnostic;
mod metadata;
mod rule;

pub use diagnostic::{Diagnostic, Place, Severity};
pub use metadata::{Metadata, Value, merge};
pub use rule::{Found, Identity, Limits, Part, Rule};

use std::path::PathBuf;

/// All domains that were loaded together.
#[derive(Debug, Default)]
pub struct Policy {}

impl Policy {
    /// How many domains it holds.
    pub fn domain_count(&self) -> usize {
        0
    }

    /// How many rules with a limit it holds, over all domains.
    pub fn rule_count(&self) -> usize {
        0
    }
}

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

/// Loads files, and the policy files of folders (`*.yaml` and `*.yml`, not `*.test.yaml`, not recursive, by name).
///
/// # Errors
/// When a path cannot be read at all; everything else is a diagnostic.
pub fn load(paths: &[PathBuf]) -> Result<Loaded, LoadError> {
    let _ = paths;
    Ok(Loaded {
        policy: Some(Policy::default()),
        diagnostics: Vec::new(),
        files: Vec::new(),
    })
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
