//! Explanations of the parser's errors.

use saphyr_parser::ScanError;

use crate::document::{DocumentCode, Position};

/// What is wrong, where, and how to correct it.
pub(super) struct SyntaxFault {
    pub(super) message: String,
    pub(super) help: &'static str,
    /// Another position than the parser's.
    pub(super) position: Option<Position>,
}

/// Explains an error of the parser. The message does not quote the text.
pub(super) fn explain(text: &str, error: &ScanError) -> SyntaxFault {
    let info = error.info();
    if info.contains("tab")
        && let Some(position) = tab_near(text, error.marker().line())
    {
        return SyntaxFault {
            message: "a tab in the indentation".to_owned(),
            help: "indent with spaces",
            position: Some(position),
        };
    }
    let (message, help) = match info {
        // The only message that quotes a character of the file.
        info if info.starts_with("unexpected character") => {
            ("unexpected character", "put the text in quotes")
        }
        info if info.contains("unknown anchor") || info.contains("anchor or alias") => (
            "text that begins with `*` or `&` refers to an anchor",
            "put the text in quotes, such as `\"*.example.com\"`",
        ),
        info if info.starts_with("mapping values are not allowed") => (
            info,
            "put text that contains `: ` in quotes, or correct the indentation",
        ),
        info if info.contains("escape") => {
            (info, "write the backslash twice, or use single quotes")
        }
        info if info.contains("quoted scalar") => (info, "check that the quotes are closed"),
        info if info.contains("flow") || info.contains("bracket") => (
            info,
            "check that the brackets and braces are closed and have commas",
        ),
        info if info.contains("block") || info.contains("indentation") => (
            info,
            "keys of one mapping, and the `-` of one list, begin in the same column",
        ),
        info if info.contains("simple key") => (info, "add `: ` between the key and the value"),
        info if info.contains("tag") => (
            "an unfinished tag",
            "put text that begins with `!` in quotes",
        ),
        info => (info, DocumentCode::YamlSyntax.code().help()),
    };
    SyntaxFault {
        message: format!("invalid YAML: {message}"),
        help,
        position: None,
    }
}

/// The first tab in the indentation of that line, or of a line beside it.
fn tab_near(text: &str, line: usize) -> Option<Position> {
    let first = line.saturating_sub(1).max(1);
    let mut lines = text.lines().zip(1..).skip(first - 1).take(3);
    lines.find_map(|(content, number)| {
        let indentation = content.len() - content.trim_start().len();
        let tab = content[..indentation].chars().position(|c| c == '\t')?;
        Some(Position {
            line: number,
            column: tab as u32 + 1,
        })
    })
}
