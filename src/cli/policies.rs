//! The policies that a command needs whole.

use std::path::PathBuf;

use super::CliError;
use crate::policy::{self, LoadOptions, Policy, Severity};

/// Loads them.
///
/// # Errors
/// When they cannot be read, or have errors: all of which are reported.
pub(super) fn load(paths: &[PathBuf], options: LoadOptions) -> Result<Policy, CliError> {
    let loaded = policy::load(paths, options).map_err(CliError::new)?;
    let errors = loaded.diagnostics.iter();
    let errors = errors.filter(|found| found.severity == Severity::Error);
    let errors: Vec<String> = errors.map(ToString::to_string).collect();
    let refused = || CliError::new(format!("the policies have errors\n{}", errors.join("\n")));
    loaded.policy.ok_or_else(refused)
}
