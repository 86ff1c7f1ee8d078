//! The files of tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::csv_rows;
use crate::document::{PathElement, Report, Spanned, Text, did_you_mean, quoted};
use crate::policy::PolicyCode;

/// The ends of the names of files; what is in front of them is the name of the table.
const SUFFIXES: [&str; 2] = [".assignments.csv", ".assignments.jsonl"];

/// The files of tables that are next to policies, by folder and name.
#[derive(Debug, Default)]
pub(in crate::policy) struct TableFiles(BTreeMap<TableKey, FoundTable>);

/// The folder and the name of a table.
pub(super) type TableKey = (PathBuf, String);

#[derive(Debug, Default)]
struct FoundTable {
    files: Vec<Arc<Path>>,
    is_used: bool,
    /// It was found next to a file that was named alone, so it may belong to another policy of that folder.
    is_neighbor: bool,
}

impl TableFiles {
    /// The name of the table that a file is of; `None` if it is another kind of file.
    pub(in crate::policy) fn table_name(path: &Path) -> Option<&str> {
        let name = path.file_name()?.to_str()?;
        let mut names = SUFFIXES
            .iter()
            .filter_map(|suffix| name.strip_suffix(suffix));
        names.next().filter(|name| !name.is_empty())
    }

    /// Adds a file, if it is of a table.
    pub(in crate::policy) fn add(&mut self, path: &Path) {
        if let Some(name) = Self::table_name(path) {
            let found = self.0.entry(key(path.parent(), name)).or_default();
            if !found.files.iter().any(|file| **file == *path) {
                found.files.push(path.into());
            }
        }
    }

    /// Adds the file of a table that is next to a policy whose folder is not loaded.
    pub(in crate::policy) fn add_neighbor(&mut self, path: &Path) {
        if let Some(name) = Self::table_name(path) {
            self.add(path);
            let found = self.0.entry(key(path.parent(), name)).or_default();
            found.is_neighbor = true;
        }
    }

    /// Reports the name of a table that has no file next to the policy.
    pub(in crate::policy) fn check(&self, name: &Spanned<Text>, report: &mut Report) {
        let folder = report.file().parent().unwrap_or(Path::new("")).to_owned();
        if self
            .0
            .contains_key(&(folder.clone(), name.value.to_string()))
        {
            return;
        }
        let known = self.0.keys().filter(|(of, _)| *of == folder);
        let help = did_you_mean(&name.value, known.map(|(_, name)| &**name));
        let help = help.unwrap_or_else(|| {
            let header = csv_rows::HEADER;
            format!(
                "create `{}{}` next to this file, with the line `{header}`, and rows below it if there are any",
                name.value, SUFFIXES[0]
            )
        });
        let message = format!("the table {} has no file", quoted(&name.value));
        report.within(PathElement::Key("assignments"), |report| {
            report.add_with_help(PolicyCode::UnknownTable, name.position, message, help);
        });
    }

    /// The files of a table, which is used.
    pub(super) fn take(&mut self, key: &TableKey) -> Option<&[Arc<Path>]> {
        let found = self.0.get_mut(key)?;
        found.is_used = true;
        Some(&found.files)
    }

    /// The files of the tables that were not taken, but should have been.
    pub(super) fn unused(&self) -> impl Iterator<Item = &Path> {
        let tables = self.0.values();
        let unused = tables.filter(|table| !table.is_used && !table.is_neighbor);
        unused.flat_map(|table| table.files.iter().map(|file| &**file))
    }
}

/// The key of a table in the folder of a policy.
pub(super) fn key(folder: Option<&Path>, name: &str) -> TableKey {
    (folder.unwrap_or(Path::new("")).to_owned(), name.to_owned())
}
