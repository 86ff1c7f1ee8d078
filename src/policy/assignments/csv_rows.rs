//! Rows in CSV (RFC 4180): a header with the names of the columns, then one row a line.

use std::borrow::Cow;

use csv::{ReaderBuilder, StringRecord};

use super::builder::TableBuilder;
use super::row::{RawRow, RowField};
use crate::clock::Timestamp;
use crate::document::{Position, Report, did_you_mean, quoted};
use crate::policy::PolicyCode;

/// The header that a file may have.
pub(super) const HEADER: &str = "value,sha256,plan,rate_limit,until,note,author";

/// Reads the rows of a file.
pub(super) fn read(
    text: &str,
    now: Option<Timestamp>,
    table: &mut TableBuilder,
    report: &mut Report,
) {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .from_reader(text.as_bytes());
    let mut lines = Lines::new(text);
    let mut record = StringRecord::new();
    let mut columns: Option<Vec<RowField>> = None;
    // The text is valid UTF-8, and records may have any length, so reading does not fail.
    while reader.read_record(&mut record).unwrap_or_default() {
        let start = record.position().map_or(0, |position| position.byte());
        let source = lines.record(start as usize);
        let Some(columns) = &columns else {
            columns = Some(header(&record, source, report));
            continue;
        };
        if columns.is_empty() {
            return;
        }
        if record.len() != columns.len() {
            let (found, expected) = (record.len(), columns.len());
            let message = format!("the row has {found} fields, and the header {expected}");
            let help = "write a comma for each field that is left out, and quotes around a text with a comma";
            let position = Some(source.position(0));
            report.add_with_help(PolicyCode::InvalidAssignment, position, message, help);
            continue;
        }
        let mut row = RawRow::default();
        for (field, text) in columns.iter().zip(&record) {
            row.set(*field, Cow::Borrowed(text));
        }
        let at = |field: RowField| {
            let column = columns.iter().position(|own| *own == field);
            source.position(column.unwrap_or(0))
        };
        table.add(&row, source.line, at, now, report);
    }
    if columns.is_none() {
        let message = "the file has no header";
        let help = format!("begin it with `{HEADER}`, or with those of the columns that it has");
        report.add_with_help(PolicyCode::InvalidAssignment, None, message, help);
    }
}

/// The columns; empty if an error was reported.
fn header(record: &StringRecord, source: SourceRecord<'_>, report: &mut Report) -> Vec<RowField> {
    let mut columns = Vec::new();
    let mut is_valid = true;
    for (at, name) in record.iter().enumerate() {
        let position = Some(source.position(at));
        match RowField::from_name(name.trim()) {
            Some(field) if columns.contains(&field) => {
                let message = format!("the column {} is repeated", quoted(name));
                report.add(PolicyCode::InvalidAssignment, position, message);
                is_valid = false;
            }
            Some(field) => columns.push(field),
            None => {
                // The first row of a file without a header has values.
                let message = "no column has this name";
                let help = did_you_mean(name, RowField::names());
                let help =
                    help.unwrap_or_else(|| format!("the columns are `{HEADER}`, in any order"));
                report.add_with_help(PolicyCode::InvalidAssignment, position, message, help);
                is_valid = false;
            }
        }
    }
    match is_valid {
        true => columns,
        false => Vec::new(),
    }
}

/// Counts lines up to a record.
struct Lines<'t> {
    text: &'t str,
    /// Up to here lines are counted.
    at: usize,
    line: u32,
}

/// A record in the text of the file.
#[derive(Clone, Copy)]
struct SourceRecord<'t> {
    text: &'t str,
    line: u32,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
        }
    }

    /// The record at or after that byte: the reader skips empty lines and comments.
    fn record(&mut self, from: usize) -> SourceRecord<'t> {
        let bytes = self.text.as_bytes();
        let mut start = from.min(bytes.len());
        loop {
            match bytes.get(start) {
                Some(b'\r' | b'\n') => start += 1,
                Some(b'#') => {
                    let rest = &bytes[start..];
                    let len = rest.iter().position(|byte| *byte == b'\n');
                    start += len.unwrap_or(rest.len());
                }
                _ => break,
            }
        }
        // Records begin and end at characters.
        let passed = self.text.get(self.at..start).unwrap_or_default();
        self.line += passed.matches('\n').count() as u32;
        self.at = start;
        SourceRecord {
            text: self.text.get(start..).unwrap_or_default(),
            line: self.line,
        }
    }
}

impl SourceRecord<'_> {
    /// The position of the field of that index.
    fn position(&self, field: usize) -> Position {
        let mut position = Position {
            line: self.line,
            column: 1,
        };
        let mut left = field;
        let mut is_quoted = false;
        for character in self.text.chars() {
            if left == 0 {
                break;
            }
            match character {
                '"' => is_quoted = !is_quoted,
                ',' if !is_quoted => left -= 1,
                '\n' if !is_quoted => break,
                _ => {}
            }
            match character {
                '\n' => {
                    position = Position {
                        line: position.line + 1,
                        column: 1,
                    }
                }
                _ => position.column += 1,
            }
        }
        position
    }
}
