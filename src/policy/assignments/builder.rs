//! From the rows of files to a table.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::client_key::RowKey;
use super::row::{RawRow, RowField};
use super::table::{AssignmentTable, NEVER, Place, RowTerms, RowText, find};
use crate::clock::Timestamp;
use crate::document::{FilePosition, Position, Report};
use crate::policy::PolicyCode;
use crate::policy::matchers::sha256::Sha256Hash;

/// The longest note or name of an author, in bytes.
pub(super) const MAX_TEXT_BYTES: usize = 1_000;

/// The most rows of one table.
pub(super) const MAX_ROWS: usize = 10_000_000;

/// Gathers rows. It reports every fault of a row but those of its terms, which only a domain knows.
#[derive(Debug, Default)]
pub(super) struct TableBuilder {
    rows: Vec<BuiltRow>,
    texts: Vec<RowText>,
    notes: String,
    authors: Interned,
    plans: Interned,
    rate_limits: Interned,
    terms: Vec<RowTerms>,
    /// Where each of `terms` is first written.
    terms_at: Vec<FilePosition>,
    /// The first row that has ended, and the number of them.
    ended: Option<(FilePosition, usize)>,
    first_value: Option<FilePosition>,
    first_hash: Option<FilePosition>,
    is_full: bool,
}

#[derive(Debug)]
struct BuiltRow {
    place: Place,
    column: u32,
    /// Of a row with a value in clear, in case that another one has its hash.
    sha256: Option<RowKey>,
}

/// The key of a row, and where it is written.
struct FoundKey {
    key: RowKey,
    sha256: Option<RowKey>,
    column: u32,
}

/// Texts that many rows share.
#[derive(Debug, Default)]
struct Interned(HashMap<Box<str>, u32>);

impl Interned {
    /// The number of a text, which becomes `next` if it is new; and whether it is.
    fn number(&mut self, text: &str, next: u32) -> (u32, bool) {
        if let Some(known) = self.0.get(text) {
            return (*known, false);
        }
        self.0.insert(text.into(), next);
        (next, true)
    }
}

impl TableBuilder {
    /// Adds a row of the current file of `report`; `at` finds the position of a field.
    pub(super) fn add(
        &mut self,
        raw: &RawRow<'_>,
        line: u32,
        at: impl Fn(RowField) -> Position,
        now: Option<Timestamp>,
        report: &mut Report,
    ) {
        if self.is_full {
            return;
        }
        if self.rows.len() >= MAX_ROWS {
            self.is_full = true;
            let message = format!("a table has at most {MAX_ROWS} rows");
            report.add(
                PolicyCode::InvalidAssignment,
                Some(at(RowField::Value)),
                message,
            );
            return;
        }
        let key = self.key(raw, &at, report);
        let terms = self.terms(raw, &at, report);
        let until = until(raw, &at, report);
        for field in [RowField::Note, RowField::Author] {
            if raw
                .get(field)
                .is_some_and(|text| text.len() > MAX_TEXT_BYTES)
            {
                let message = format!("`{}` is longer than {MAX_TEXT_BYTES} bytes", field.name());
                report.add(PolicyCode::InvalidAssignment, Some(at(field)), message);
                return;
            }
        }
        let (Some(found), Some(terms), Some(until)) = (key, terms, until) else {
            return;
        };
        if now.is_some_and(|now| until <= now) {
            let position = report.file_position(Some(at(RowField::Until)));
            self.ended.get_or_insert((position, 0)).1 += 1;
        }
        let row = self.rows.len() as u32;
        let place = Place {
            key: found.key,
            until,
            terms,
            row,
        };
        self.rows.push(BuiltRow {
            place,
            column: found.column,
            sha256: found.sha256,
        });
        self.notes.push_str(raw.get(RowField::Note).unwrap_or(""));
        let next = self.authors.0.len() as u32;
        let author = raw.get(RowField::Author);
        self.texts.push(RowText {
            line,
            file: report.file_position(None).file,
            note_end: self.notes.len() as u32,
            author: author.map_or(u32::MAX, |author| self.authors.number(author, next).0),
        });
    }

    fn key(
        &mut self,
        raw: &RawRow<'_>,
        at: &impl Fn(RowField) -> Position,
        report: &mut Report,
    ) -> Option<FoundKey> {
        match (raw.get(RowField::Value), raw.get(RowField::Sha256)) {
            (Some(value), None) => {
                let position = at(RowField::Value);
                self.first_value
                    .get_or_insert_with(|| report.file_position(Some(position)));
                Some(FoundKey {
                    key: RowKey::of_value(value.as_bytes()),
                    sha256: Some(RowKey::of_sha256(&Sha256Hash::of(value.as_bytes()))),
                    column: position.column,
                })
            }
            (None, Some(hex)) => {
                let position = at(RowField::Sha256);
                let Some(hash) = Sha256Hash::from_hex(hex) else {
                    let message = "`sha256` must be a SHA-256 in hex: 64 digits";
                    report.add(PolicyCode::InvalidHash, Some(position), message);
                    return None;
                };
                self.first_hash
                    .get_or_insert_with(|| report.file_position(Some(position)));
                Some(FoundKey {
                    key: RowKey::of_sha256(&hash),
                    sha256: None,
                    column: position.column,
                })
            }
            (Some(_), Some(_)) => {
                let message = "a row with both `value` and `sha256`";
                let help = "keep one of them; with `sha256` no value is in clear";
                let position = Some(at(RowField::Sha256));
                report.add_with_help(PolicyCode::InvalidAssignment, position, message, help);
                None
            }
            (None, None) => {
                let message = "a row without a value";
                let help = "write the client's value as `value`, or its SHA-256 as `sha256`";
                let position = Some(at(RowField::Value));
                report.add_with_help(PolicyCode::InvalidAssignment, position, message, help);
                None
            }
        }
    }

    fn terms(
        &mut self,
        raw: &RawRow<'_>,
        at: &impl Fn(RowField) -> Position,
        report: &mut Report,
    ) -> Option<u32> {
        let next = self.terms.len() as u32;
        let (field, (number, is_new), terms): (_, _, fn(Box<str>) -> RowTerms) =
            match (raw.get(RowField::Plan), raw.get(RowField::RateLimit)) {
                (Some(plan), None) => (
                    RowField::Plan,
                    self.plans.number(plan, next),
                    RowTerms::Plan,
                ),
                (None, Some(limit)) => {
                    let number = self.rate_limits.number(limit, next);
                    (RowField::RateLimit, number, RowTerms::RateLimit)
                }
                (Some(_), Some(_)) => {
                    let message = "a row with both `plan` and `rate_limit`";
                    let help = "keep one of them";
                    let position = Some(at(RowField::RateLimit));
                    report.add_with_help(PolicyCode::InvalidAssignment, position, message, help);
                    return None;
                }
                (None, None) => {
                    let message = "a row without a plan";
                    let help = "name a plan as `plan`, or write limits as `rate_limit`";
                    let position = Some(at(RowField::Plan));
                    report.add_with_help(PolicyCode::InvalidAssignment, position, message, help);
                    return None;
                }
            };
        if is_new {
            self.terms
                .push(terms(raw.get(field).unwrap_or_default().into()));
            self.terms_at.push(report.file_position(Some(at(field))));
        }
        Some(number)
    }

    /// Where each of the table's terms is first written.
    pub(super) fn take_terms_at(&mut self) -> Vec<FilePosition> {
        std::mem::take(&mut self.terms_at)
    }

    /// Where the first value in clear is.
    pub(super) fn first_value(&self) -> Option<FilePosition> {
        self.first_value
    }

    /// The table, after a check of the rows together.
    pub(super) fn finish(self, files: Vec<Arc<Path>>, report: &mut Report) -> AssignmentTable {
        if let Some((at, count)) = self.ended {
            let message = match count {
                1 => "the row has ended: its `until` is in the past".to_owned(),
                count => format!("{count} rows have ended: their `until` is in the past"),
            };
            report.in_file(at.file, |report| {
                report.add(PolicyCode::EndedAssignment, at.position, message);
            });
        }
        let free = self.rows.len() / 2 + 1;
        let mut places = vec![Place::EMPTY; self.rows.len() + free];
        for row in &self.rows {
            let mut at = row.place.key.place(places.len());
            while places[at].row != Place::FREE && places[at].key != row.place.key {
                at = (at + 1) % places.len();
            }
            if places[at].row == Place::FREE {
                places[at] = row.place;
            } else {
                let first = self.texts[places[at].row as usize];
                self.report_duplicate(row, first, report);
            }
        }
        if self.first_hash.is_some() {
            self.report_hashed_twice(&places, report);
        }
        let mut authors = vec![Box::default(); self.authors.0.len()];
        for (author, number) in self.authors.0 {
            authors[number as usize] = author;
        }
        AssignmentTable {
            places: places.into(),
            has_values: self.first_value.is_some(),
            has_hashes: self.first_hash.is_some(),
            terms: self.terms.into(),
            rows: self.texts.into(),
            notes: self.notes.into(),
            authors: authors.into(),
            files: files.into(),
        }
    }

    /// Reports values in clear whose hash is in another row.
    fn report_hashed_twice(&self, places: &[Place], report: &mut Report) {
        for row in &self.rows {
            let hashed = row.sha256.and_then(|key| find(places, key));
            if let Some(hashed) = hashed {
                self.report_duplicate(row, self.texts[hashed.row as usize], report);
            }
        }
    }

    fn report_duplicate(&self, row: &BuiltRow, first: RowText, report: &mut Report) {
        let text = self.texts[row.place.row as usize];
        let at = |text: RowText, column| FilePosition {
            position: Some(Position {
                line: text.line,
                column,
            }),
            file: text.file,
        };
        report.in_file(text.file, |report| {
            let first = report.describe(at(first, 1)).unwrap_or_default();
            let message = format!("a second row for one value, first {first}");
            let position = at(text, row.column).position;
            report.add(PolicyCode::DuplicateAssignment, position, message);
        });
    }
}

/// The end of a row; `None` if an error was reported.
fn until(
    raw: &RawRow<'_>,
    at: &impl Fn(RowField) -> Position,
    report: &mut Report,
) -> Option<Timestamp> {
    let Some(text) = raw.get(RowField::Until) else {
        return Some(NEVER);
    };
    let until = Timestamp::from_rfc3339(text);
    if until.is_none() {
        let message = "`until` must be a time in RFC 3339";
        let help = "write it as `2027-01-31T00:00:00Z`; leave it out for a row that does not end";
        let position = Some(at(RowField::Until));
        report.add_with_help(PolicyCode::InvalidAssignment, position, message, help);
    }
    until
}
