//! `weir schema`: the JSON Schemas of policy and scenario files, for editors, and the description of the HTTP API.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::output::print;
use super::{CliError, DONE};
use crate::server::admin::OPENAPI;
use crate::{policy, scenario};

/// The arguments of `weir schema`.
#[derive(Args, Clone, Debug)]
pub(super) struct SchemaArgs {
    /// What to describe
    #[arg(value_name = "FILE", default_value = "policy")]
    file: SchemaKind,
}

/// What weir has a description of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SchemaKind {
    /// A policy
    Policy,
    /// Tests of policies
    Scenario,
    /// The HTTP API, as an OpenAPI document
    Openapi,
}

pub(super) fn run(args: &SchemaArgs) -> Result<ExitCode, CliError> {
    match args.file {
        SchemaKind::Policy => print(format_args!("{:#}\n", policy::json_schema()))?,
        SchemaKind::Scenario => print(format_args!("{:#}\n", scenario::json_schema()))?,
        SchemaKind::Openapi => print(OPENAPI)?,
    }
    Ok(ExitCode::from(DONE))
}
