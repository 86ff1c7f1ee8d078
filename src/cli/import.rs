//! `weir import`: policies out of the files of other rate limiters.

mod condition;
mod limitador;
mod tree;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::output::print;
use super::{CliError, DONE};
use limitador::{ImportedDomain, InvalidLimits};

/// The arguments of `weir import`.
#[derive(Args, Clone, Debug)]
pub(super) struct ImportArgs {
    #[command(subcommand)]
    from: ImportFrom,
}

#[derive(Clone, Debug, Subcommand)]
enum ImportFrom {
    /// Convert a limits file of Limitador
    ///
    /// Prints the policy, with the descriptors that Envoy must send and the limits that could not be converted as comments.
    /// Exits with 0, or with 2 if the file cannot be read.
    Limitador(LimitadorArgs),
}

#[derive(Args, Clone, Debug)]
struct LimitadorArgs {
    /// The limits file (YAML)
    file: PathBuf,
    /// The namespace to convert, if the file has several
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
}

/// Why nothing was converted.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error("cannot read {}", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    #[error("cannot convert {}", .0.display())]
    Invalid(PathBuf, #[source] InvalidLimits),
    #[error("the file has the namespaces {0}; choose one with --namespace")]
    Several(String),
    #[error("the file has no namespace `{0}`; it has {1}")]
    Unknown(String, String),
    #[error("the file has no limits")]
    Empty,
}

pub(super) fn run(args: &ImportArgs) -> Result<ExitCode, CliError> {
    let ImportFrom::Limitador(args) = &args.from;
    print(limitador(args).map_err(CliError::new)?)?;
    Ok(ExitCode::from(DONE))
}

fn limitador(args: &LimitadorArgs) -> Result<String, ImportError> {
    let text = fs::read_to_string(&args.file)
        .map_err(|error| ImportError::Unreadable(args.file.clone(), error))?;
    let mut domains = limitador::convert(&text)
        .map_err(|error| ImportError::Invalid(args.file.clone(), error))?;
    let names = |domains: &[ImportedDomain]| {
        let names: Vec<String> = domains
            .iter()
            .map(|domain| format!("`{}`", domain.name))
            .collect();
        names.join(", ")
    };
    if let Some(wanted) = &args.namespace {
        let all = names(&domains);
        domains.retain(|domain| domain.name == *wanted);
        if domains.is_empty() {
            return Err(ImportError::Unknown(wanted.clone(), all));
        }
    }
    match &domains[..] {
        [] => Err(ImportError::Empty),
        [domain] => Ok(domain.to_string()),
        several => Err(ImportError::Several(names(several))),
    }
}
