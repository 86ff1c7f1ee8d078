//! The body of a refusal: its template, escaped as its content type needs.

use super::{is_content_type, pieces};
use crate::document::{Position, Report};
use crate::policy::PolicyCode;
use crate::policy::compile::summary::DomainSummary;
use crate::policy::raw::{RawBody, RawResponse};
use crate::policy::template::{self, BodyError, BodyTemplate, Escaping};

/// `None` if there is none, or if an error was reported.
pub(super) fn compile(
    raw: &RawResponse,
    summary: &DomainSummary,
    report: &mut Report,
) -> Option<BodyTemplate> {
    let body = raw.body.as_ref()?;
    let text = &body.template.value;
    let pieces = pieces(&body.template, |at| place(body, at), summary, report);
    if !is_json(raw, text) {
        let escaping = match is_markup(raw, text) {
            true => Escaping::Markup,
            false => Escaping::Plain,
        };
        let plain = pieces.into_iter().map(|piece| (piece, escaping));
        return Some(BodyTemplate::new(plain.collect()));
    }
    match template::parse_body(text, pieces, |key| summary.is_number(key)) {
        Ok(slots) => Some(BodyTemplate::new(slots)),
        Err((at, fault)) => {
            report_body_error(&fault, body, at, report);
            None
        }
    }
}

/// The position in the file of a byte of a body; that of the body if it is not in the file to the letter.
fn place(body: &RawBody, at: usize) -> Option<Position> {
    let Some(start) = body.start else {
        return body.template.position;
    };
    let inside = place_inside(body, at);
    Some(Position {
        line: start.line + inside.line - 1,
        column: start.column + inside.column - 1,
    })
}

/// The position of a byte of a body in the body.
fn place_inside(body: &RawBody, at: usize) -> Position {
    let text = &body.template.value;
    Position::after(text.get(..at).unwrap_or(text))
}

fn report_body_error(fault: &BodyError, body: &RawBody, at: usize, report: &mut Report) {
    let (message, help) = match fault {
        BodyError::Json => {
            let Position { line, column } = place_inside(body, at);
            (
                format!("the body is not valid JSON at its line {line}, column {column}"),
                "it is checked with every operator replaced by 0",
            )
        }
        BodyError::InEscape => (
            "an operator is inside an escape sequence of the body".to_owned(),
            "write the backslash twice",
        ),
        BodyError::NotWhole => (
            "an operator outside quotes is part of a longer token of the body".to_owned(),
            "put it in quotes, or make it a whole value",
        ),
        BodyError::NotNumber => (
            "the value of an operator outside quotes may not be a number".to_owned(),
            "put it in quotes",
        ),
    };
    report.add_with_help(PolicyCode::InvalidBody, place(body, at), message, help);
}

/// The media type of refusals in lower case, without parameters.
fn media_type(raw: &RawResponse) -> Option<String> {
    let mut headers = raw.over_limit_headers.iter();
    let header = headers.find(|header| is_content_type(header))?;
    let value = header.value.value.to_ascii_lowercase();
    Some(
        value
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned(),
    )
}

/// Whether the body is JSON by its type or by its first character.
fn is_json(raw: &RawResponse, body: &str) -> bool {
    let by_type =
        media_type(raw).is_some_and(|kind| kind == "application/json" || kind.ends_with("+json"));
    by_type || body.trim_start().starts_with(['{', '['])
}

/// Whether the body is HTML or XML by its type or by its first character.
fn is_markup(raw: &RawResponse, body: &str) -> bool {
    let by_type = media_type(raw).is_some_and(|kind| {
        matches!(&*kind, "text/html" | "text/xml" | "application/xml") || kind.ends_with("+xml")
    });
    by_type || body.trim_start().starts_with('<')
}
