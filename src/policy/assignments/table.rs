//! A table of assignments: found by a hash of the client's value, in one place of memory.

use std::path::Path;
use std::sync::Arc;

use super::client_key::{ClientKey, RowKey};
use crate::clock::Timestamp;

/// The rows of a table.
#[derive(Debug, Default)]
pub(in crate::policy) struct AssignmentTable {
    /// Open addressing with half as many free places as rows: a row and what decides about it share a cache line.
    pub(super) places: Box<[Place]>,
    /// Whether there are rows with a value in clear, and rows with a hash.
    pub(super) has_values: bool,
    pub(super) has_hashes: bool,
    /// The distinct terms of the rows.
    pub(super) terms: Box<[RowTerms]>,
    pub(super) rows: Box<[RowText]>,
    /// The notes of all rows, one after the other.
    pub(super) notes: Box<str>,
    pub(super) authors: Box<[Box<str>]>,
    /// The files of the rows; empty for rows that were added.
    pub(super) files: Box<[Arc<Path>]>,
}

/// A place for a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) key: RowKey,
    /// The latest possible time if the row does not end.
    pub(super) until: Timestamp,
    /// The index of its terms.
    pub(super) terms: u32,
    /// Its index; [`Place::FREE`] if there is none.
    pub(super) row: u32,
}

/// What a decision does not need of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowText {
    pub(super) line: u32,
    pub(super) file: u32,
    /// The end of its note; the start is the end of the one before.
    pub(super) note_end: u32,
    /// The index of its author; `u32::MAX` if it has none.
    pub(super) author: u32,
}

/// The terms of a row as they are written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::policy) enum RowTerms {
    /// The name of a plan.
    Plan(Box<str>),
    /// Limits of its own.
    RateLimit(Box<str>),
}

impl Place {
    pub(super) const FREE: u32 = u32::MAX;

    pub(super) const EMPTY: Self = Self {
        key: RowKey::ZERO,
        until: NEVER,
        terms: 0,
        row: Self::FREE,
    };
}

/// The end of a row that does not end.
pub(super) const NEVER: Timestamp = Timestamp::from_micros(u64::MAX);

/// The place of a key; `None` if no row has it.
pub(super) fn find(places: &[Place], key: RowKey) -> Option<&Place> {
    if places.is_empty() {
        return None;
    }
    let (before, from) = places.split_at(key.place(places.len()));
    // There is always a free place.
    let taken = from.iter().chain(before);
    let mut taken = taken.take_while(|place| place.row != Place::FREE);
    taken.find(|place| place.key == key)
}

impl AssignmentTable {
    /// The row of a client, unless it has ended.
    pub(super) fn find(&self, client: &ClientKey<'_>, now: Timestamp) -> Option<&Place> {
        let in_force = |key: RowKey| find(&self.places, key).filter(|place| place.until > now);
        if self.has_values
            && let Some(place) = client.by_value().and_then(in_force)
        {
            return Some(place);
        }
        match self.has_hashes {
            true => in_force(client.by_sha256()),
            false => None,
        }
    }

    /// The note of a row; empty if it has none.
    pub(super) fn note(&self, row: u32) -> &str {
        let row = row as usize;
        let start = match row {
            0 => 0,
            row => self.rows[row - 1].note_end,
        };
        let end = self.rows[row].note_end;
        self.notes.get(start as usize..end as usize).unwrap_or("")
    }

    pub(super) fn author(&self, row: u32) -> Option<&str> {
        let author = self.rows.get(row as usize)?.author;
        self.authors.get(author as usize).map(|author| &**author)
    }

    /// The file and the line of a row; `None` if it was added.
    pub(super) fn place_in_file(&self, row: u32) -> Option<(&Path, u32)> {
        let row = self.rows.get(row as usize)?;
        Some((self.files.get(row.file as usize)?, row.line))
    }

    /// The number of rows.
    pub(in crate::policy) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bytes of its allocations.
    #[cfg(test)]
    pub(in crate::policy) fn heap_bytes(&self) -> usize {
        size_of_val::<[Place]>(&self.places)
            + size_of_val::<[RowText]>(&self.rows)
            + self.notes.len()
            + self
                .authors
                .iter()
                .map(|author| author.len() + size_of::<Box<str>>())
                .sum::<usize>()
    }
}
