//! The variables of envoyproxy/ratelimit, for `weir ratelimit`: weir in its place, without a change to anything else.
//!
//! [`variable_table`] documents all of them. What they cannot express is set by the variables of `weir serve`.

mod counting;
mod environment;
mod ports;
mod redis_server;
mod source;
mod statistics;
mod tracing_variables;
mod value;
mod variable;

use std::fmt::Write as _;

use clap::Parser;
use thiserror::Error;

use super::{ServeArgs, ServeSettings};
use environment::Environment;
pub(super) use redis_server::RedisServer;
#[cfg(feature = "redis")]
pub(super) use redis_server::UserPassword;

pub use value::InvalidValue;

/// Why the variables cannot be served with. No text contains a value.
#[derive(Debug, Error)]
pub enum RatelimitError {
    /// A value is not of its kind.
    #[error("invalid {name}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// What is expected.
        source: InvalidValue,
    },
    /// A variable that decisions depend on cannot be followed.
    #[error("{name} cannot be followed: {reason}")]
    Refused {
        /// The variable.
        name: &'static str,
        /// Why, and what to do instead.
        reason: &'static str,
    },
    /// A variable that another one needs is missing.
    #[error("{name} is not set, but {because}")]
    Missing {
        /// The variable.
        name: &'static str,
        /// What needs it.
        because: &'static str,
    },
    /// A `WEIR_…` variable is invalid.
    #[error(transparent)]
    Own(#[from] clap::Error),
}

/// The variables of `weir serve`. Those that envoyproxy/ratelimit has words for are overridden.
#[derive(Parser)]
struct OwnVariables {
    #[command(flatten)]
    args: ServeArgs,
}

/// Flags that make every part of the settings present.
const PRESENT: [&str; 4] = [
    "ratelimit",
    "--policies=.",
    "--http=:8080",
    "--store=redis://localhost",
];

/// The settings by the variables of envoyproxy/ratelimit; `variable` looks one up.
///
/// # Errors
/// If a value is invalid, or asks for something that weir cannot do and decisions depend on.
pub fn ratelimit_settings(
    variable: impl Fn(&str) -> Option<String>,
) -> Result<ServeSettings, RatelimitError> {
    let mut settings = OwnVariables::try_parse_from(PRESENT)?.args.resolve();
    let environment = Environment::read(variable, &mut settings.notices)?;
    environment.apply(&mut settings)?;
    Ok(settings)
}

/// All variables and what weir does with them, in Markdown.
pub fn variable_table() -> String {
    let mut text = String::new();
    let mut group = "";
    for variable in environment::list() {
        // Writing to a String is infallible.
        if variable.group != group {
            group = variable.group;
            let _ = write!(
                text,
                "\n### {group}\n\n| variable | default | in weir |\n|---|---|---|\n"
            );
        }
        let default = match variable.default {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        let (name, effect) = (variable.name, variable.effect);
        let _ = writeln!(text, "| `{name}` | {default} | {effect} |");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
