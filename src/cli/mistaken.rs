//! Tips for arguments that people bring along from other programs, where clap has none.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Flags of other programs that name files, and of other commands of this one.
const FILES: [&str; 8] = [
    "-c",
    "-f",
    "--config",
    "--config-path",
    "--file",
    "--policy",
    "--policies",
    "--path",
];

/// The error, with a tip if one of these mistakes was made.
pub(super) fn with_tip(mut error: clap::Error) -> clap::Error {
    if error.kind() == ErrorKind::UnknownArgument
        && error.get(ContextKind::SuggestedArg).is_none()
        && let Some(tip) = tip(&error)
    {
        let tip = vec![StyledStr::from(tip)];
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tip));
    }
    error
}

fn tip(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::StyledStr(text) => Some(text.to_string()),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg)?;
    let usage = text(ContextKind::Usage)?;
    let command = usage
        .split_whitespace()
        .skip_while(|word| *word != "weir")
        .nth(1)?;
    let names_files = FILES.contains(&argument.as_str());
    match command {
        "serve" | "explain" | "replay" | "compare" if names_files => {
            Some("policies are named by `--policies PATH`".to_owned())
        }
        // What is not a flag may be a client's value anywhere else.
        "serve" if !argument.starts_with('-') => Some(format!(
            "policies are named by a flag: `--policies {argument}`"
        )),
        "check" | "test" if names_files => {
            Some(format!("paths have no flag: `weir {command} PATH`"))
        }
        _ => None,
    }
}
