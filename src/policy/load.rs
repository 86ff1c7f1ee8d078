//! Loading policies: files and folders to domains.

mod texts;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::assignments::{self, TableFiles};
use super::compile::{self, DomainFile};
use super::raw::{self, RawDomain};
use super::tree::Domain;
use super::{DomainDefaults, Policy, PolicyCode};
use crate::clock::Timestamp;
pub use crate::document::files::LoadError;
use crate::document::{self, Diagnostic, PathElement, Position, Report, Severity, Text, quoted};
pub use texts::{LoadedTexts, load_texts};

/// A loaded policy and its diagnostics.
#[derive(Debug)]
pub struct LoadedPolicy {
    /// The policy; `None` if a diagnostic is an error.
    pub policy: Option<Policy>,
    /// All findings, sorted by file and position.
    pub diagnostics: Vec<Diagnostic>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// The texts of the files, with [`LoadOptions::keep_texts`] and if they are valid UTF-8.
    pub texts: HashMap<PathBuf, String>,
}

/// Options of [`load`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Whether files of the same domain are merged: the descriptors of the second follow those of the first, and so
    /// on. Otherwise a domain in two files is an error.
    pub merge_domains: bool,
    /// Whether the texts of files are kept, so that diagnostics can show them.
    pub keep_texts: bool,
    /// Whether every file of a folder is a policy, whatever its name is.
    pub any_name: bool,
    /// What applies to all domains.
    pub defaults: DomainDefaults,
    /// The time, to warn of assignments that have ended; `None` not to.
    pub now: Option<Timestamp>,
}

/// Loads files, and the policy files in folders and below (`*.yaml` and `*.yml`, not `*.test.yaml`, by path).
///
/// The files of tables (`*.assignments.csv` and `*.assignments.jsonl`) are those in the folders of policies.
///
/// # Errors
/// When a path cannot be read; any other fault is a diagnostic.
pub fn load(paths: &[PathBuf], options: LoadOptions) -> Result<LoadedPolicy, LoadError> {
    let mut load = Load {
        options,
        ..Load::default()
    };
    let files = load.find(paths)?;
    for file in &files {
        load.tables.add(file);
    }
    for file in files {
        if TableFiles::table_name(&file).is_none() {
            load.read(&file)?;
        }
    }
    load.compile_deferred();
    let found = assignments::assign(&mut load.tables, &mut load.domains, load.options.now)?;
    load.diagnostics.extend(found);
    Ok(load.finish())
}

/// The files that [`load`] would read, in its order, with those of tables; with `any_name` those of
/// [`LoadOptions::any_name`].
///
/// # Errors
/// When a path cannot be read.
pub fn files(paths: &[PathBuf], any_name: bool) -> Result<Vec<PathBuf>, LoadError> {
    let mut load = Load::default();
    load.options.any_name = any_name;
    load.find(paths)
}

/// Loads one domain from text; `file` is its name in diagnostics.
///
/// ```
/// use std::path::Path;
/// use weir::policy;
///
/// let text = "domain: shop
/// descriptors:
///   - {key: api_key, rate_limit: {unit: minute, requests_per_unit: 600}}
/// ";
/// let loaded = policy::load_text(Path::new("shop.yaml"), text);
/// assert!(loaded.diagnostics.is_empty());
/// let policy = loaded.policy.expect("a policy without errors");
/// assert_eq!((policy.domain_count(), policy.rule_count()), (1, 1));
/// ```
pub fn load_text(file: &Path, text: &str) -> LoadedPolicy {
    let mut load = Load::default();
    let mut report = Report::new(file);
    let text = document::files::decode(text.as_bytes(), &mut report);
    let raw = text.and_then(|text| raw::read(text, &mut report));
    load.add(file, raw, report);
    load.finish()
}

/// Warnings about what a domain lacks as a whole.
const CONSEQUENCES: [PolicyCode; 5] = [
    PolicyCode::UnusedPlan,
    PolicyCode::NoLimit,
    PolicyCode::MissingCatchAll,
    PolicyCode::UnreachableLimit,
    PolicyCode::EmptyOperator,
];

fn is_error(found: &Diagnostic) -> bool {
    found.severity == Severity::Error
}

/// The state of a load.
#[derive(Default)]
struct Load {
    options: LoadOptions,
    /// With `merge_domains`, the files of each domain, which are compiled when all are read.
    deferred: Vec<Vec<DomainFile>>,
    /// The index in `deferred` of each domain.
    deferred_at: HashMap<Text, usize>,
    domains: Vec<Domain>,
    /// The file and position that first named each domain.
    origins: HashMap<Arc<str>, (PathBuf, Option<Position>)>,
    diagnostics: Vec<Diagnostic>,
    files: Vec<PathBuf>,
    texts: HashMap<PathBuf, String>,
    tables: TableFiles,
}

impl Load {
    /// The files of policies, and of the tables next to them.
    fn find(&mut self, paths: &[PathBuf]) -> Result<Vec<PathBuf>, LoadError> {
        let mut files = match self.options.any_name {
            true => document::files::find(paths, |_, files| files)?,
            false => document::files::find(paths, |folder, files| self.select(folder, files))?,
        };
        // The files of a folder are listed already. Many paths may be files of one folder, which is listed once.
        let mut known: HashSet<PathBuf> = files.iter().cloned().collect();
        let single = paths.iter().filter(|path| known.contains(*path));
        let mut folders = HashSet::new();
        let single: Vec<&PathBuf> = single
            .filter(|path| folders.insert(path.parent()))
            .collect();
        let beside = single
            .into_iter()
            .flat_map(|path| document::files::beside(path))
            .filter(|path| TableFiles::table_name(path).is_some());
        for path in beside {
            if known.insert(path.clone()) {
                self.tables.add_neighbor(&path);
                files.push(path);
            }
        }
        Ok(files)
    }

    /// The files of policies and tables among those of a folder.
    fn select(&mut self, folder: &Path, files: Vec<PathBuf>) -> Vec<PathBuf> {
        const HELP: &str = "a policy file is named `*.yaml` or `*.yml`";
        let mut policies = Vec::new();
        let mut tables = Vec::new();
        let mut skipped = Vec::new();
        for path in files {
            match FileKind::of(&path) {
                FileKind::Test => {}
                FileKind::Policy => policies.push(path),
                FileKind::Table => tables.push(path),
                FileKind::Other => skipped.push(path),
            }
        }
        match skipped.as_slice() {
            [] => {}
            [path] => self.warn(path, PolicyCode::SkippedFile, "the file is skipped", HELP),
            [first, more @ ..] => {
                let others = match more.len() {
                    1 => "another file".to_owned(),
                    many => format!("{many} other files"),
                };
                let message = format!("this file and {others} of the folder are skipped");
                self.warn(first, PolicyCode::SkippedFile, &message, HELP);
            }
        }
        if policies.is_empty() {
            let message = "the folder has no policy file";
            self.warn(folder, PolicyCode::EmptyFolder, message, HELP);
        }
        policies.extend(tables);
        policies
    }

    fn read(&mut self, path: &Path) -> Result<(), LoadError> {
        let mut report = Report::new(path);
        let bytes = document::files::read(path, &mut report)?;
        let text = bytes
            .as_deref()
            .and_then(|bytes| document::files::decode(bytes, &mut report));
        let raw = text.and_then(|text| raw::read(text, &mut report));
        if let Some(text) = text.filter(|_| self.options.keep_texts) {
            self.texts.insert(path.to_owned(), text.to_owned());
        }
        // Free the file before compiling.
        drop(bytes);
        self.add(path, raw, report);
        Ok(())
    }

    /// Adds the content of a file, unless it could not be parsed.
    fn add(&mut self, path: &Path, raw: Option<RawDomain>, mut report: Report) {
        self.files.push(path.to_owned());
        if let Some(raw) = raw {
            let name = raw.name.given().cloned();
            let position = name.as_ref().and_then(|name| name.position);
            let file = report.file().clone();
            let part = DomainFile { file, raw };
            if let Some(name) = name.filter(|_| self.options.merge_domains) {
                self.defer(name.value, part);
            } else if let Some(domain) = compile::compile(
                vec![part],
                &self.tables,
                &self.options.defaults,
                &mut report,
            ) {
                self.add_domain(domain, position, &mut report);
            }
        }
        self.extend(report);
    }

    /// Adds what a report found. Where there is an error, some warnings would only be consequences of it.
    fn extend(&mut self, report: Report) {
        let mut found = report.into_diagnostics();
        if found.iter().any(|found| found.severity == Severity::Error) {
            found.retain(|found| !CONSEQUENCES.iter().any(|code| found.code == *code));
        }
        self.diagnostics.extend(found);
    }

    /// Keeps a file until all files of its domain are read.
    fn defer(&mut self, name: Text, part: DomainFile) {
        let at = *self.deferred_at.entry(name).or_insert(self.deferred.len());
        if at == self.deferred.len() {
            self.deferred.push(Vec::new());
        }
        self.deferred[at].push(part);
    }

    fn compile_deferred(&mut self) {
        for parts in std::mem::take(&mut self.deferred) {
            self.merge(parts);
        }
    }

    /// Compiles the files of one domain.
    fn merge(&mut self, parts: Vec<DomainFile>) {
        let files = parts.iter().map(|part| part.file.clone()).collect();
        let mut report = Report::of_files(files);
        let domain = compile::compile(parts, &self.tables, &self.options.defaults, &mut report);
        self.domains.extend(domain);
        self.extend(report);
    }

    fn add_domain(&mut self, domain: Domain, position: Option<Position>, report: &mut Report) {
        if let Some((first, first_position)) = self.origins.get(&domain.name) {
            let line =
                first_position.map_or(String::new(), |position| format!(":{}", position.line));
            let (name, first) = (quoted(&domain.name), first.display());
            let message = format!("the domain {name} is already in {first}{line}");
            let help = "put the descriptors into one file, or merge files of one domain with `--merge-domains`";
            report.within(PathElement::Key("domain"), |report| {
                report.add_with_help(PolicyCode::DuplicateDomain, position, message, help);
            });
            return;
        }
        self.origins
            .insert(domain.name.clone(), (report.file().to_path_buf(), position));
        self.domains.push(domain);
    }

    fn warn(&mut self, path: &Path, code: PolicyCode, message: &str, help: &str) {
        let mut report = Report::new(path);
        report.add_with_help(code, None, message, help);
        self.diagnostics.extend(report.into_diagnostics());
    }

    fn finish(mut self) -> LoadedPolicy {
        self.compile_deferred();
        // Stable: findings at one position stay in order.
        self.diagnostics
            .sort_by(|a, b| (&a.file, a.position).cmp(&(&b.file, b.position)));
        let is_rejected = self.diagnostics.iter().any(is_error);
        LoadedPolicy {
            policy: (!is_rejected).then(|| Policy::new(self.domains)),
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
    Table,
    Other,
}

impl FileKind {
    fn of(path: &Path) -> Self {
        if TableFiles::table_name(path).is_some() {
            return Self::Table;
        }
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
