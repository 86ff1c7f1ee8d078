//! The policies that a command needs whole.

use std::path::PathBuf;

use super::CliError;
use crate::policy::{self, LoadError, LoadOptions, Policy, Severity};

/// The policies of a command cannot be used.
#[derive(Debug, thiserror::Error)]
enum PoliciesError {
    #[error("{0}: {source}; name policy files or folders with --policies", source = .0.source)]
    Unreadable(LoadError),
    /// The errors, as they are printed.
    #[error("the policies have errors\n{0}")]
    Invalid(String),
}

/// Loads them.
///
/// # Errors
/// When they cannot be read, or have errors: all of which are reported.
pub(super) fn load(paths: &[PathBuf], options: LoadOptions) -> Result<Policy, CliError> {
    read(paths, options).map_err(CliError::new)
}

fn read(paths: &[PathBuf], options: LoadOptions) -> Result<Policy, PoliciesError> {
    let loaded = policy::load(paths, options).map_err(PoliciesError::Unreadable)?;
    let errors = loaded.diagnostics.iter();
    let errors = errors.filter(|found| found.severity == Severity::Error);
    let errors: Vec<String> = errors.map(ToString::to_string).collect();
    let invalid = || PoliciesError::Invalid(errors.join("\n"));
    loaded.policy.ok_or_else(invalid)
}
