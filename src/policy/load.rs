//! Loading policies: files and folders to domains.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compile::{self, DomainFile};
use super::raw::{self, RawDomain};
use super::tree::Domain;
use super::{Policy, PolicyCode};
pub use crate::document::files::LoadError;
use crate::document::{self, Diagnostic, PathElement, Position, Report, Severity, quoted};

/// What came of a load.
#[derive(Debug)]
pub struct LoadedPolicy {
    /// The policy; none if there is an error among the diagnostics.
    pub policy: Option<Policy>,
    /// Everything found, by file and position.
    pub diagnostics: Vec<Diagnostic>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// What they hold, if that was asked for and they are text.
    pub texts: HashMap<PathBuf, String>,
}

/// How to load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Files of the same domain are one: the descriptors of the second stand behind those of the
    /// first, and so on. Otherwise a domain in two files is an error.
    pub merge_domains: bool,
    /// What the files hold is kept, so that diagnostics can show it.
    pub keep_texts: bool,
}

/// Loads files, and the policy files of folders (`*.yaml` and `*.yml`, not `*.test.yaml`, not recursive, by name).
///
/// # Errors
/// When a path cannot be read at all; everything else is a diagnostic.
pub fn load(paths: &[PathBuf], options: LoadOptions) -> Result<LoadedPolicy, LoadError> {
    let mut load = Load {
        options,
        ..Load::default()
    };
    let files = document::files::find(paths, |folder, files| load.select(folder, files))?;
    for file in files {
        load.read(&file)?;
    }
    Ok(load.finish())
}

/// The files that [`load`] would read, in its order.
///
/// # Errors
/// When a path cannot be read at all.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, LoadError> {
    document::files::find(paths, |folder, files| Load::default().select(folder, files))
}

/// Loads one domain from text; `file` is what diagnostics call it.
pub fn load_text(file: &Path, text: &str) -> LoadedPolicy {
    let mut load = Load::default();
    let mut report = Report::new(file);
    let text = document::files::decode(text.as_bytes(), &mut report);
    let raw = text.and_then(|text| raw::read(text, &mut report));
    load.add(file, raw, report);
    load.finish()
}

/// Files that are being put together.
#[derive(Default)]
struct Load {
    options: LoadOptions,
    /// Files whose domains are compiled when all are read, by the name of the domain.
    waiting: Vec<(Arc<str>, Vec<DomainFile>)>,
    domains: Vec<Domain>,
    /// Where each domain was first named.
    origins: HashMap<Arc<str>, (PathBuf, Option<Position>)>,
    diagnostics: Vec<Diagnostic>,
    files: Vec<PathBuf>,
    texts: HashMap<PathBuf, String>,
}

impl Load {
    /// The policy files among those of a folder.
    fn select(&mut self, folder: &Path, files: Vec<PathBuf>) -> Vec<PathBuf> {
        const HINT: &str = "a policy file is named `*.yaml` or `*.yml`";
        let mut policies = Vec::new();
        for path in files {
            match FileKind::of(&path) {
                FileKind::Test => {}
                FileKind::Policy => policies.push(path),
                FileKind::Other => {
                    self.warn(&path, PolicyCode::SkippedFile, "the file is skipped", HINT);
                }
            }
        }
        if policies.is_empty() {
            let message = "the folder has no policy file";
            self.warn(folder, PolicyCode::EmptyFolder, message, HINT);
        }
        policies
    }

    fn read(&mut self, path: &Path) -> Result<(), LoadError> {
        let bytes = document::files::read(path)?;
        let mut report = Report::new(path);
        let text = document::files::decode(&bytes, &mut report);
        let raw = text.and_then(|text| raw::read(text, &mut report));
        if let Some(text) = text.filter(|_| self.options.keep_texts) {
            self.texts.insert(path.to_owned(), text.to_owned());
        }
        // Free the file before compiling.
        drop(bytes);
        self.add(path, raw, report);
        Ok(())
    }

    /// Adds what a file says, if it could be read at all.
    fn add(&mut self, path: &Path, raw: Option<RawDomain>, mut report: Report) {
        self.files.push(path.to_owned());
        if let Some(raw) = raw {
            let name = raw.name.given().cloned();
            let position = name.as_ref().and_then(|name| name.position);
            let file = report.file().clone();
            let part = DomainFile { file, raw };
            if let Some(name) = name.filter(|_| self.options.merge_domains) {
                self.wait(&name.value, part);
            } else if let Some(domain) = compile::compile(vec![part], &mut report) {
                self.add_domain(domain, (path, position), &mut report);
            }
        }
        self.diagnostics.extend(report.into_diagnostics());
    }

    /// Keeps a part until all of its domain are there.
    fn wait(&mut self, name: &str, part: DomainFile) {
        match self.waiting.iter_mut().find(|(own, _)| **own == *name) {
            Some((_, parts)) => parts.push(part),
            None => self.waiting.push((name.into(), vec![part])),
        }
    }

    fn compile_waiting(&mut self) {
        for (_, parts) in std::mem::take(&mut self.waiting) {
            let files = parts.iter().map(|part| part.file.clone()).collect();
            let mut report = Report::of_files(files);
            self.domains.extend(compile::compile(parts, &mut report));
            self.diagnostics.extend(report.into_diagnostics());
        }
    }

    fn add_domain(
        &mut self,
        domain: Domain,
        (path, position): (&Path, Option<Position>),
        report: &mut Report,
    ) {
        if let Some((first, first_position)) = self.origins.get(&domain.name) {
            let line =
                first_position.map_or(String::new(), |position| format!(":{}", position.line));
            let (name, first) = (quoted(&domain.name), first.display());
            let message = format!("the domain {name} is already in {first}{line}");
            let hint =
                "put the descriptors together, or merge files of one domain with `--merge-domains`";
            report.within(PathElement::Key("domain"), |report| {
                report.add_with_hint(PolicyCode::DuplicateDomain, position, message, hint);
            });
            return;
        }
        self.origins
            .insert(domain.name.clone(), (path.to_owned(), position));
        self.domains.push(domain);
    }

    fn warn(&mut self, path: &Path, code: PolicyCode, message: &str, hint: &str) {
        let mut report = Report::new(path);
        report.add_with_hint(code, None, message, hint);
        self.diagnostics.extend(report.into_diagnostics());
    }

    fn finish(mut self) -> LoadedPolicy {
        self.compile_waiting();
        // Stable: what was found at one position stays in its order.
        self.diagnostics
            .sort_by(|a, b| (&a.file, a.position).cmp(&(&b.file, b.position)));
        let is_refused = self
            .diagnostics
            .iter()
            .any(|found| found.severity == Severity::Error);
        LoadedPolicy {
            policy: (!is_refused).then(|| Policy::new(self.domains)),
            diagnostics: self.diagnostics,
            files: self.files,
            texts: self.texts,
        }
    }
}

/// The kind of a file in a folder, by its name.
enum FileKind {
    Test,
    Policy,
    Other,
}

impl FileKind {
    fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match name
            .strip_suffix(".yaml")
            .or_else(|| name.strip_suffix(".yml"))
        {
            Some(stem) if stem.ends_with(".test") => Self::Test,
            Some(_) => Self::Policy,
            None => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests;
