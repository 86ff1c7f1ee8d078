//! Reading tables, for the domains that name them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::builder::TableBuilder;
use super::files::{TableFiles, TableKey, key};
use super::join::join;
use super::row::RowFault;
use super::table::AssignmentTable;
use super::{csv_rows, json_rows};
use crate::clock::Timestamp;
use crate::document::files::{self, LoadError};
use crate::document::{Diagnostic, FilePosition, Report};
use crate::policy::PolicyCode;
use crate::policy::tree::Domain;

/// A table that was read.
struct ReadTable {
    table: Arc<AssignmentTable>,
    /// Where each of its terms is first written.
    terms_at: Vec<FilePosition>,
    first_value: Option<FilePosition>,
    report: Report,
}

/// Reads the tables of these domains, and returns what is wrong with them.
///
/// # Errors
/// If a file cannot be read.
pub(in crate::policy) fn assign(
    files: &mut TableFiles,
    domains: &mut [Domain],
    now: Option<Timestamp>,
) -> Result<Vec<Diagnostic>, LoadError> {
    let mut read: BTreeMap<TableKey, ReadTable> = BTreeMap::new();
    for domain in domains {
        let used = domain.tables.iter();
        let keys: Vec<TableKey> = used
            .map(|used| key(used.file.parent(), &used.name))
            .collect();
        for key in &keys {
            if !read.contains_key(key)
                && let Some(paths) = files.take(key)
            {
                read.insert(key.clone(), read_table(paths, now)?);
            }
        }
        let tables = keys
            .iter()
            .map(|key| Some(Arc::clone(&read.get(key)?.table)));
        let (assigned, faults) = join(domain, tables.collect());
        for (table, terms, fault) in faults {
            if let Some(read) = read.get_mut(&keys[table]) {
                read.report_terms(terms, fault);
            }
        }
        for (used, key) in domain.tables.iter().zip(&keys) {
            if let Some(read) = read.get_mut(key).filter(|_| used.is_secret) {
                read.warn_of_values();
            }
        }
        domain.assigned = assigned;
    }
    let read = read.into_values();
    let mut found: Vec<_> = read
        .flat_map(|read| read.report.into_diagnostics())
        .collect();
    for file in files.unused() {
        let mut report = Report::new(file);
        report.add(
            PolicyCode::UnusedTable,
            None,
            "no descriptor has this table",
        );
        found.extend(report.into_diagnostics());
    }
    Ok(found)
}

fn read_table(paths: &[Arc<Path>], now: Option<Timestamp>) -> Result<ReadTable, LoadError> {
    let mut report = Report::of_files(paths.to_vec());
    let mut builder = TableBuilder::default();
    for (file, path) in paths.iter().enumerate() {
        let read = report.in_file(file as u32, |report| files::read(path, report));
        let Some(bytes) = read? else {
            continue;
        };
        report.in_file(file as u32, |report| {
            let Some(text) = files::decode(&bytes, report) else {
                return;
            };
            let is_csv = path.extension().is_some_and(|extension| extension == "csv");
            match is_csv {
                true => csv_rows::read(text, now, &mut builder, report),
                false => json_rows::read(text, now, &mut builder, report),
            }
        });
    }
    let terms_at = builder.take_terms_at();
    let first_value = builder.first_value();
    let table = builder.finish(paths.to_vec(), &mut report);
    Ok(ReadTable {
        table: Arc::new(table),
        terms_at,
        first_value,
        report,
    })
}

impl ReadTable {
    fn report_terms(&mut self, terms: usize, fault: RowFault) {
        let Some(at) = self.terms_at.get(terms).copied() else {
            return;
        };
        self.report.in_file(at.file, |report| {
            let RowFault { message, help } = fault;
            report.add_with_help(PolicyCode::InvalidAssignment, at.position, message, help);
        });
    }

    /// Warns of values of a secret key that are in clear, once.
    fn warn_of_values(&mut self) {
        if let Some(at) = self.first_value.take() {
            self.report.in_file(at.file, |report| {
                let message = "values of a secret key are in clear";
                report.add(PolicyCode::SecretInTable, at.position, message);
            });
        }
    }
}
