//! The findings of a load.
//!
//! A report knows the file and the path in the document that are being read or compiled, so that a
//! finding needs only a position. They change for the time of a closure only ([`Report::within`],
//! [`Report::in_file`]): no caller has to restore them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Diagnostic, DiagnosticCode, Position};

/// Collects the diagnostics of one file, or of the files that make up one domain.
#[derive(Debug)]
pub struct Report {
    files: Vec<Arc<Path>>,
    /// The index in `files` of the current one.
    file: u32,
    path: Vec<PathElement>,
    diagnostics: Vec<Diagnostic>,
}

/// One step of a path in a document.
#[derive(Clone, Copy, Debug)]
pub enum PathElement {
    /// A key of a mapping.
    Key(&'static str),
    /// An element of a list, from 0.
    Index(usize),
}

/// A position and its file.
#[derive(Clone, Copy, Debug)]
pub struct FilePosition {
    /// The position in the file.
    pub position: Option<Position>,
    /// The index of the file in the report.
    pub file: u32,
}

/// A file with a million faults must not fill the memory.
const MAX_DIAGNOSTICS: usize = 10_000;

impl Report {
    /// A report on one file.
    pub fn new(file: &Path) -> Self {
        Self::of_files(vec![file.into()])
    }

    /// A report on files that belong together; the first of them is current.
    pub fn of_files(files: Vec<Arc<Path>>) -> Self {
        Self {
            files,
            file: 0,
            path: Vec::new(),
            diagnostics: Vec::new(),
        }
    }

    /// The current file.
    pub fn file(&self) -> &Arc<Path> {
        &self.files[self.file as usize]
    }

    /// Runs `inside` with the file of that index as the current one.
    pub fn in_file<T>(&mut self, file: u32, inside: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.file, file);
        let result = inside(self);
        self.file = outer;
        result
    }

    /// A position in the current file.
    pub fn file_position(&self, position: Option<Position>) -> FilePosition {
        let file = self.file;
        FilePosition { position, file }
    }

    /// A position in words, such as `on line 5`, or `in FILE:5` for another file.
    pub fn describe(&self, at: FilePosition) -> Option<String> {
        let line = at.position?.line;
        if at.file == self.file {
            return Some(format!("on line {line}"));
        }
        let file = self.files[at.file as usize].display();
        Some(format!("in {file}:{line}"))
    }

    /// The findings, sorted by position.
    pub fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        self.diagnostics.sort_by_key(|found| found.position);
        self.diagnostics
    }

    /// The current path, such as `descriptors[2].rate_limit`.
    pub fn path(&self) -> String {
        let mut path = String::new();
        for element in &self.path {
            match element {
                PathElement::Index(at) => path.push_str(&format!("[{at}]")),
                PathElement::Key(key) if path.is_empty() => path.push_str(key),
                PathElement::Key(key) => {
                    path.push('.');
                    path.push_str(key);
                }
            }
        }
        path
    }

    /// Runs `inside` with the path extended by one element.
    pub fn within<T>(&mut self, element: PathElement, inside: impl FnOnce(&mut Self) -> T) -> T {
        self.within_all(&[element], inside)
    }

    /// Runs `inside` with the path extended by some elements.
    pub fn within_all<T>(
        &mut self,
        elements: &[PathElement],
        inside: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let outer = self.path.len();
        self.path.extend_from_slice(elements);
        let result = inside(self);
        self.path.truncate(outer);
        result
    }

    /// Adds a finding, with the general help of its code.
    pub fn add(
        &mut self,
        code: impl Into<DiagnosticCode>,
        position: Option<Position>,
        message: impl Into<String>,
    ) {
        let code = code.into();
        self.push(code, position, message.into(), code.help().to_owned());
    }

    /// Adds a finding and how to correct it.
    pub fn add_with_help(
        &mut self,
        code: impl Into<DiagnosticCode>,
        position: Option<Position>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(code.into(), position, message.into(), help.into());
    }

    fn push(
        &mut self,
        code: DiagnosticCode,
        position: Option<Position>,
        message: String,
        help: String,
    ) {
        let severity = code.severity();
        if self.diagnostics.len() >= MAX_DIAGNOSTICS {
            let last = self.diagnostics.pop();
            // Keep at least one error: it is what rejects the file.
            if let Some(last) = last.filter(|last| last.severity > severity) {
                self.diagnostics.push(last);
                return;
            }
        }
        self.diagnostics.push(Diagnostic {
            severity,
            code,
            file: PathBuf::from(&**self.file()),
            position,
            path: self.path(),
            message,
            help,
        });
    }
}
