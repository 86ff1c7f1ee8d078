//! The command line: one module per command, each from arguments to an exit code.
//!
//! Commands print through `output` and return a [`CliError`] if they cannot do their work.

mod admin;
mod assign;
mod check;
mod compare;
mod completions;
mod doctor;
mod explain;
mod import;
mod init;
mod keys;
mod mistaken;
mod output;
mod pairs;
mod policies;
mod query;
mod ratelimit;
mod recorded;
mod replay;
mod schema;
mod serve;
mod state;
mod table;
mod test;
mod top;
mod version;
mod xds;

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::error_text::with_sources;
use crate::settings::ServeArgs;

/// Success.
const DONE: u8 = 0;
/// `check`: the policies have errors. `test`: a test failed. `serve`: the server failed. `query`: an answer is
/// OVER_LIMIT. `doctor`: something is wrong. `compare`: the servers do not answer alike.
const FAILED: u8 = 1;
/// The command could not do its work.
const UNUSABLE: u8 = 2;

/// A rate-limit decision server for Envoy and Istio
#[derive(Debug, Parser)]
#[command(name = "weir", version, long_version = version::LONG, subcommand_required = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve rate limits over gRPC
    ///
    /// Exits with 0 after SIGTERM or SIGINT, with 1 if it failed or a second signal stopped it immediately, and with 2
    /// if it could not start.
    Serve(Box<ServeArgs>),
    /// Serve in the place of envoyproxy/ratelimit, by its environment variables
    ///
    /// A program that is called `ratelimit` always does this. Arguments are ignored.
    /// docs/migrating-from-envoyproxy-ratelimit.md lists the variables. Exits as `serve` does.
    Ratelimit(ratelimit::RatelimitArgs),
    /// Write a policy, its tests and an Envoy bootstrap to begin with
    ///
    /// Exits with 0, or with 2 if a file exists already or cannot be written.
    Init(init::InitArgs),
    /// Convert the limits of another rate limiter into a policy
    Import(import::ImportArgs),
    /// Check policy files and report every problem
    ///
    /// Exits with 0 if there are no errors, with 1 if there are (or warnings, with --deny-warnings), and with 2 if a
    /// path cannot be read.
    Check(check::CheckArgs),
    /// Print the JSON Schema of policies or scenarios for editors, or the OpenAPI document of the HTTP API
    Schema(schema::SchemaArgs),
    /// Send a request to a running server, as Envoy would
    ///
    /// Hits are counted unless --peek is given. Exits with 0 if every answer is OK, with 1 if one is OVER_LIMIT, and
    /// with 2 if the request failed.
    Query(query::QueryArgs),
    /// Show or correct the counters of one client in a running server
    ///
    /// Needs the admin token. Exits with 0, or with 2 if the request failed.
    Keys(keys::KeysArgs),
    /// Give one client other limits in a running server, perhaps for a time
    ///
    /// Needs the admin token. Exits with 0, or with 2 if the request failed.
    Assign(assign::AssignArgs),
    /// Look at the folder of `weir serve --state`
    ///
    /// Exits with 0, or with 2 if it is in use or cannot be read.
    State(state::StateArgs),
    /// Show the busiest and the most refused clients and rules, live
    ///
    /// Clients need the admin token if the server has one. Exits with 0, or with 2 if the first request failed.
    Top(top::TopArgs),
    /// Ask a running server, and its Envoy, why limits do not do what they should
    ///
    /// Exits with 0 if it finds nothing, with 1 if it does, and with 2 if the server or Envoy cannot be asked. With --envoy, a
    /// server that does not answer is a finding.
    Doctor(doctor::DoctorArgs),
    /// Run recorded traffic through policies and report what would be refused
    ///
    /// Exits with 0, or with 2 if the log or the policies cannot be used, if more than 1 % of the lines are malformed,
    /// or if no request matches a rule.
    Replay(replay::ReplayArgs),
    /// Send the same requests to two servers and report where their answers differ
    ///
    /// Hits are counted at both. Exits with 0 if all decisions are the same, with 1 if some differ or calls failed, and
    /// with 2 if nothing could be compared, or if no limit applies to any request.
    Compare(Box<compare::CompareArgs>),
    /// Run policy tests in virtual time
    ///
    /// Exits with 0 if all pass, with 1 if one fails, and with 2 if a test file, or a policy that it names, is invalid.
    Test(test::TestArgs),
    /// Explain how a request would be decided, without counting it
    ///
    /// Exits with 0 whatever the answer is, and with 2 if the policies have errors or the server cannot be reached.
    Explain(explain::ExplainArgs),
    /// Print a script that completes commands and flags in a shell
    Completions(completions::CompletionsArgs),
    /// Print the policies that a configuration server sends over xDS
    ///
    /// Exits with 0, with 1 if one has errors, and with 2 if the server sends none.
    Xds(xds::ShowXdsArgs),
}

/// The commands and their arguments, with help texts.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command that `args` name; the first argument is the program's name.
///
/// # Errors
/// If the command could not do its work.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Result<ExitCode, CliError> {
    let args: Vec<OsString> = args.into_iter().collect();
    if args
        .first()
        .is_some_and(|name| ratelimit::is_its_name(name))
    {
        return ratelimit::run();
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(help_or_error) => {
            let help_or_error = mistaken::with_tip(help_or_error);
            // `--help` and `--version` arrive here too, with code 0 and for stdout.
            help_or_error.print().map_err(CliError::new)?;
            let code = u8::try_from(help_or_error.exit_code()).unwrap_or(UNUSABLE);
            return Ok(ExitCode::from(code));
        }
    };
    match cli.command {
        Command::Serve(args) => serve::run(args.resolve()),
        Command::Ratelimit(_) => ratelimit::run(),
        Command::Init(args) => init::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Query(args) => query::run(args),
        Command::Keys(args) => keys::run(&args),
        Command::Assign(args) => assign::run(&args),
        Command::State(args) => state::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Completions(args) => completions::run(&args, command()),
        Command::Xds(args) => xds::run(args),
    }
}

/// A command that could not do its work. `Display` prints the error and all its sources.
#[derive(Debug)]
pub struct CliError(Box<dyn Error + Send + Sync>);

impl CliError {
    fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }

    /// The exit code for this error.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(UNUSABLE)
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_sources(&*self.0))
    }
}

impl Error for CliError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
