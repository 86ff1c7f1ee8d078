//! `weir state`: looks at the folder of `weir serve --state`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::output::{Format, escape, print};
use super::{CliError, DONE};
use crate::clock::Clock;
use crate::state::StateInspection;

/// The arguments of `weir state`.
#[derive(Args, Clone, Debug)]
pub(super) struct StateArgs {
    #[command(subcommand)]
    command: StateCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum StateCommand {
    /// Show what a state folder holds; no value of a client is in it
    ///
    /// The folder must not be in use: a running server shows the same in its metrics.
    Inspect {
        /// Folder of `weir serve --state`
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Output format
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
}

pub(super) fn run(args: &StateArgs) -> Result<ExitCode, CliError> {
    let StateCommand::Inspect { folder, format } = &args.command;
    let found = StateInspection::of(folder, Clock::System.now()).map_err(CliError::new)?;
    match format {
        Format::Human => print(text(&found))?,
        Format::Json => {
            let json = serde_json::to_string_pretty(&found).map_err(CliError::new)?;
            print(json + "\n")?;
        }
    }
    Ok(ExitCode::from(DONE))
}

fn text(found: &StateInspection) -> String {
    let unknown = || "unknown".to_owned();
    let version = found.version.clone().unwrap_or_else(unknown);
    let format = found
        .format
        .map_or_else(unknown, |format| format.to_string());
    let mut lines = vec![
        format!(
            "folder         {}",
            escape(&found.path.display().to_string())
        ),
        format!("written by     weir {}, format {format}", escape(&version)),
        format!("size           {} KiB on disk", found.bytes.div_ceil(1024)),
        format!(
            "counters       {} ({} pinned)",
            found.counters, found.pinned
        ),
    ];
    for counted in &found.algorithms {
        lines.push(format!(
            "  {:<15}{}",
            counted.algorithm.as_str(),
            counted.states
        ));
    }
    lines.push(format!("ended          {}", found.ended));
    if found.damaged > 0 {
        lines.push(format!("damaged        {}", found.damaged));
    }
    if let (Some(oldest), Some(newest)) = (found.oldest_age_secs, found.newest_age_secs) {
        lines.push(format!("last written   {newest} s to {oldest} s ago"));
    }
    if let Some(secs) = found.ends_in_secs {
        lines.push(format!("last end       in {secs} s"));
    }
    if let Some(bytes) = found.assignments_bytes {
        lines.push(format!("assignments    {} KiB", bytes.div_ceil(1024)));
    }
    for name in &found.moved_aside {
        lines.push(format!("moved aside    {}", escape(name)));
    }
    lines.join("\n") + "\n"
}
