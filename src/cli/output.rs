//! Output of the commands: stdout, the common formats, and escaping.

use std::fmt;
use std::io::{self, Write};

use clap::ValueEnum;

use super::CliError;

/// How a command prints its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Text
    Human,
    /// JSON
    Json,
}

/// Writes to stdout. A reader that has seen enough, such as `head`, is not an error.
///
/// # Errors
/// If stdout cannot be written for another reason.
pub(super) fn print(text: impl fmt::Display) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(CliError::new),
    }
}

/// Escapes control characters, so that text from a server or a log cannot control the terminal. Everything else is
/// printed as it is, quotes and backslashes too.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_control() {
            true => escaped.extend(letter.escape_debug()),
            false => escaped.push(letter),
        }
    }
    escaped
}

/// Removes control characters from a text of several lines, such as a body.
pub(super) fn escape_lines(text: &str) -> String {
    let visible = |line: &str| line.chars().filter(|c| !c.is_control()).collect::<String>();
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}

/// `1 request`, `2 requests`.
pub(super) fn count(number: impl Into<f64>, noun: &str) -> String {
    let number = number.into();
    match number == 1.0 {
        true => format!("1 {noun}"),
        false => format!("{number} {noun}s"),
    }
}

/// The same, of a whole number.
pub(super) fn count_u64(number: u64, noun: &str) -> String {
    count(number as f64, noun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(escape("a\x1b[2J"), "a\\u{1b}[2J");
        assert_eq!(escape("é"), "é");
        assert_eq!(escape("\"free\";q=1\\\t"), "\"free\";q=1\\\\t");
        assert_eq!(escape_lines("a\x07\nb"), "a\nb");
    }
}
