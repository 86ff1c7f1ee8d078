//! Tables joined with the rules that they change.

use std::path::Path;
use std::sync::Arc;

use super::client_key::ClientKey;
use super::table::{AssignmentTable, NEVER, Place};
use crate::clock::Timestamp;
use crate::policy::Terms;
use crate::policy::rule::AssignedBy;

/// The tables of a domain, and the terms of their rows for each rule.
#[derive(Debug, Default)]
pub(in crate::policy) struct Assigned {
    /// In the order of the domain's tables.
    tables: Box<[Option<Arc<AssignmentTable>>]>,
    /// For each rule with a table, its terms by their number in the table.
    terms: Box<[TermsByNumber]>,
}

/// The terms of a table for one rule; `None` for those that are not valid.
type TermsByNumber = Box<[Option<Arc<Terms>>]>;

/// The row of a client.
#[derive(Clone, Copy, Debug)]
pub struct Assignment<'p> {
    /// What the client has in place of what its rule says.
    pub terms: &'p Terms,
    table: &'p AssignmentTable,
    place: &'p Place,
}

/// Where a row comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignmentOrigin<'p> {
    /// A file, and the line of the row.
    File(&'p Path, u32),
    /// It was added while weir served.
    Added,
}

impl<'p> Assignment<'p> {
    /// When it ends; `None` if it does not.
    pub fn until(&self) -> Option<Timestamp> {
        Some(self.place.until).filter(|until| *until != NEVER)
    }

    /// The note of the row; empty if it has none.
    pub fn note(&self) -> &'p str {
        self.table.note(self.place.row)
    }

    /// Who wrote the row.
    pub fn author(&self) -> Option<&'p str> {
        self.table.author(self.place.row)
    }

    /// Where the row comes from.
    pub fn origin(&self) -> AssignmentOrigin<'p> {
        match self.table.place_in_file(self.place.row) {
            Some((file, line)) => AssignmentOrigin::File(file, line),
            None => AssignmentOrigin::Added,
        }
    }
}

impl Assigned {
    /// Tables in the order of the domain's, and their terms for each rule with a table, by number.
    pub(super) fn new(
        tables: Vec<Option<Arc<AssignmentTable>>>,
        terms: Vec<TermsByNumber>,
    ) -> Self {
        Self {
            tables: tables.into(),
            terms: terms.into(),
        }
    }

    /// The row of a client that is in force at `now`.
    pub(in crate::policy) fn find(
        &self,
        by: AssignedBy,
        client: &ClientKey<'_>,
        now: Timestamp,
    ) -> Option<Assignment<'_>> {
        let table = self.tables.get(by.table as usize)?.as_deref()?;
        let place = table.find(client, now)?;
        let terms = self.terms.get(by.slot as usize)?;
        let terms = terms.get(place.terms as usize)?.as_deref()?;
        Some(Assignment {
            terms,
            table,
            place,
        })
    }

    /// Bytes of the tables' allocations.
    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        let tables = self.tables.iter().flatten();
        tables.map(|table| table.heap_bytes()).sum()
    }

    /// The number of rows of each table.
    pub(in crate::policy) fn row_counts(&self) -> impl Iterator<Item = usize> {
        let tables = self.tables.iter();
        tables.map(|table| table.as_ref().map_or(0, |table| table.len()))
    }
}
