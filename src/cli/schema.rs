//! `weir schema`: the JSON Schemas of policy and scenario files, for editors.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::output::print;
use super::{CliError, DONE};
use crate::{policy, scenario};

/// The arguments of `weir schema`.
#[derive(Args, Clone, Debug)]
pub(super) struct SchemaArgs {
    /// Kind of file
    #[arg(value_name = "FILE", default_value = "policy")]
    file: SchemaKind,
}

/// The kinds of files that weir reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SchemaKind {
    /// A policy
    Policy,
    /// Tests of policies
    Scenario,
}

pub(super) fn run(args: &SchemaArgs) -> Result<ExitCode, CliError> {
    let schema = match args.file {
        SchemaKind::Policy => policy::json_schema(),
        SchemaKind::Scenario => scenario::json_schema(),
    };
    print(format_args!("{schema:#}\n"))?;
    Ok(ExitCode::from(DONE))
}
