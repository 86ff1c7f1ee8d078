//! `weir ratelimit`: serves in the place of envoyproxy/ratelimit, by its environment variables.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::{CliError, serve};
use crate::settings::ratelimit_settings;

/// The arguments of `weir ratelimit`: envoyproxy/ratelimit has none, and is started with some.
#[derive(Args, Clone, Debug)]
pub(super) struct RatelimitArgs {
    /// Ignored
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _ignored: Vec<OsString>,
}

/// Whether a program of this name is envoyproxy/ratelimit to those who start it.
pub(super) fn is_its_name(program: &OsStr) -> bool {
    Path::new(program).file_name() == Some(OsStr::new("ratelimit"))
}

pub(super) fn run() -> Result<ExitCode, CliError> {
    let variable = |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    serve::run(ratelimit_settings(variable).map_err(CliError::new)?)
}
