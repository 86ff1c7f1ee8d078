//! Rows in JSON Lines: one object a line.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::builder::TableBuilder;
use super::row::{RawRow, RowField};
use crate::clock::Timestamp;
use crate::document::{Position, Report, did_you_mean, quoted};
use crate::policy::PolicyCode;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRow<'t> {
    #[serde(borrow, default)]
    value: Option<Cow<'t, str>>,
    #[serde(borrow, default)]
    sha256: Option<Cow<'t, str>>,
    #[serde(borrow, default)]
    plan: Option<Cow<'t, str>>,
    #[serde(borrow, default)]
    rate_limit: Option<&'t RawValue>,
    #[serde(borrow, default)]
    until: Option<Cow<'t, str>>,
    #[serde(borrow, default)]
    note: Option<Cow<'t, str>>,
    #[serde(borrow, default)]
    author: Option<Cow<'t, str>>,
}

/// Reads the rows of a file.
pub(super) fn read(
    text: &str,
    now: Option<Timestamp>,
    table: &mut TableBuilder,
    report: &mut Report,
) {
    for (index, line) in text.lines().enumerate() {
        let number = index as u32 + 1;
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str::<JsonRow<'_>>(line) {
            // serde reads a list as a row, too.
            Ok(row) if line.trim_start().starts_with('{') => {
                let at = |field: RowField| position(line, number, field.name());
                table.add(&row.into_raw(), number, at, now, report);
            }
            Ok(_) => report_other(number, 1, report),
            Err(error) => report_fault(line, number, &error, report),
        }
    }
}

impl<'t> JsonRow<'t> {
    fn into_raw(self) -> RawRow<'t> {
        let mut row = RawRow::default();
        let texts = [
            (RowField::Value, self.value),
            (RowField::Sha256, self.sha256),
            (RowField::Plan, self.plan),
            (
                RowField::RateLimit,
                self.rate_limit.map(|limit| limit.get().into()),
            ),
            (RowField::Until, self.until),
            (RowField::Note, self.note),
            (RowField::Author, self.author),
        ];
        for (field, text) in texts {
            if let Some(text) = text {
                row.set(field, text);
            }
        }
        row
    }
}

/// The position of a key in a line.
fn position(line: &str, number: u32, key: &str) -> Position {
    let before = line.find(&format!("\"{key}\"")).unwrap_or(0);
    Position {
        line: number,
        column: line[..before].chars().count() as u32 + 1,
    }
}

/// Reports a line that is something else than a row.
fn report_other(number: u32, column: u32, report: &mut Report) {
    let position = Position {
        line: number,
        column: column.max(1),
    };
    let message = "the line is not an object in JSON";
    let help = "write one object a line: `{\"sha256\": \"…\", \"plan\": \"scale\"}`";
    report.add_with_help(PolicyCode::InvalidAssignment, Some(position), message, help);
}

/// Reports what is wrong with a line, without its values: serde's errors quote them.
fn report_fault(line: &str, number: u32, error: &serde_json::Error, report: &mut Report) {
    let code = PolicyCode::InvalidAssignment;
    let Ok(row) = serde_json::from_str::<Map<String, Value>>(line) else {
        report_other(number, error.column() as u32, report);
        return;
    };
    for (key, value) in &row {
        let position = Some(position(line, number, key));
        match RowField::from_name(key) {
            None => {
                let message = format!("unknown key {}", quoted(key));
                let help = did_you_mean(key, RowField::names()).unwrap_or_else(|| {
                    let names: Vec<_> = RowField::names().collect();
                    format!("the keys are {}", names.join(", "))
                });
                report.add_with_help(code, position, message, help);
            }
            Some(RowField::RateLimit) => {}
            Some(_) if value.is_string() || value.is_null() => {}
            Some(field) => {
                let message = format!("`{}` must be text", field.name());
                report.add_with_help(code, position, message, "put it in quotes");
                return;
            }
        }
    }
    if row.keys().all(|key| RowField::from_name(key).is_some()) {
        let position = Position {
            line: number,
            column: (error.column() as u32).max(1),
        };
        report.add(code, Some(position), "a key is repeated");
    }
}
