//! Where policies come from: files and folders.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::policy::compile::DomainFile;
use crate::policy::report::{Report, Step, quoted};
use crate::policy::schema::RawDomain;
use crate::policy::tree::Domain;
use crate::policy::{Code, Diagnostic, Place, Policy, Severity, compile, schema};

/// What came of a load.
#[derive(Debug)]
pub struct Loaded {
    /// The policy; none if there is an error among the diagnostics.
    pub policy: Option<Policy>,
    /// Everything found, by file and place.
    pub diagnostics: Vec<Diagnostic>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// What they hold, if that was asked for and they are text.
    pub texts: HashMap<PathBuf, String>,
}

/// A path that could not be read.
#[derive(Debug)]
pub struct LoadError {
    /// The path as it was given, or found in a folder.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot read {}", self.path.display())
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
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

/// The largest file in bytes; a policy of a million rules is smaller.
const MAX_FILE_BYTES: usize = 256 << 20;

/// Loads files, and the policy files of folders (`*.yaml` and `*.yml`, not `*.test.yaml`, not recursive, by name).
///
/// # Errors
/// When a path cannot be read at all; everything else is a diagnostic.
pub fn load(paths: &[PathBuf], options: LoadOptions) -> Result<Loaded, LoadError> {
    let mut load = Load {
        options,
        ..Load::default()
    };
    for path in paths {
        if metadata(path)?.is_dir() {
            for file in load.files_of(path)? {
                load.read(&file)?;
            }
        } else {
            load.read(path)?;
        }
    }
    Ok(load.finish())
}

/// The files that [`load`] would read, in its order.
///
/// # Errors
/// When a path cannot be read at all.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, LoadError> {
    let mut load = Load::default();
    for path in paths {
        if metadata(path)?.is_dir() {
            let inside = load.files_of(path)?;
            load.files.extend(inside);
        } else {
            load.files.push(path.clone());
        }
    }
    Ok(load.files)
}

/// Loads one domain from text; `file` is what diagnostics call it.
pub fn load_text(file: &Path, text: &str) -> Loaded {
    let mut load = Load::default();
    let mut report = Report::new(file);
    let text = text_of(text.as_bytes(), &mut report);
    let raw = text.and_then(|text| schema::read(text, &mut report));
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
    origins: HashMap<Arc<str>, (PathBuf, Option<Place>)>,
    diagnostics: Vec<Diagnostic>,
    files: Vec<PathBuf>,
    texts: HashMap<PathBuf, String>,
}

impl Load {
    /// The policy files of a folder, by name.
    fn files_of(&mut self, folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
        let error = |source| LoadError {
            path: folder.to_owned(),
            source,
        };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(error)? {
            files.push(entry.map_err(error)?.path());
        }
        files.sort();
        let mut policies = Vec::new();
        for path in files {
            match kind_of(&path) {
                Kind::Hidden | Kind::Test => {}
                Kind::Policy if metadata(&path)?.is_dir() => {}
                Kind::Policy => policies.push(path),
                Kind::Other if metadata(&path)?.is_dir() => {}
                Kind::Other => {
                    let hint = "a policy file is named `*.yaml` or `*.yml`";
                    self.say(&path, Code::SkippedFile, ("the file is passed over", hint));
                }
            }
        }
        if policies.is_empty() {
            let hint = "a policy file is named `*.yaml` or `*.yml`";
            self.say(
                folder,
                Code::EmptyFolder,
                ("the folder has no policy file", hint),
            );
        }
        Ok(policies)
    }

    fn read(&mut self, path: &Path) -> Result<(), LoadError> {
        // A file that is named, and in a named folder too, is still one file.
        if self.files.iter().any(|file| file == path) {
            return Ok(());
        }
        let bytes = std::fs::read(path).map_err(|source| LoadError {
            path: path.to_owned(),
            source,
        })?;
        let mut report = Report::new(path);
        let text = text_of(&bytes, &mut report);
        let raw = text.and_then(|text| schema::read(text, &mut report));
        if let Some(text) = text.filter(|_| self.options.keep_texts) {
            self.texts.insert(path.to_owned(), text.to_owned());
        }
        // From here on it would be there for nothing.
        drop(bytes);
        self.add(path, raw, report);
        Ok(())
    }

    /// Adds what a file says, if it could be read at all.
    fn add(&mut self, path: &Path, raw: Option<RawDomain>, mut report: Report) {
        self.files.push(path.to_owned());
        if let Some(raw) = raw {
            let name = raw.name.given().cloned();
            let place = name.as_ref().and_then(|name| name.place);
            let file = report.file().clone();
            let part = DomainFile { file, raw };
            if let Some(name) = name.filter(|_| self.options.merge_domains) {
                self.wait(&name.value, part);
            } else if let Some(domain) = compile::compile(vec![part], &mut report) {
                self.add_domain(domain, (path, place), &mut report);
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
        (path, place): (&Path, Option<Place>),
        report: &mut Report,
    ) {
        if let Some((first, first_place)) = self.origins.get(&domain.name) {
            let line = first_place.map_or(String::new(), |place| format!(":{}", place.line));
            let (name, first) = (quoted(&domain.name), first.display());
            let message = format!("the domain {name} is already in {first}{line}");
            let hint =
                "put the descriptors together, or merge files of one domain with `--merge-domains`";
            report.within(Step::Key("domain"), |report| {
                report.hint(Code::DuplicateDomain, place, (message, hint));
            });
            return;
        }
        self.origins
            .insert(domain.name.clone(), (path.to_owned(), place));
        self.domains.push(domain);
    }

    fn say(&mut self, path: &Path, code: Code, message_and_hint: (&str, &str)) {
        let mut report = Report::new(path);
        report.hint(code, None, message_and_hint);
        self.diagnostics.extend(report.into_diagnostics());
    }

    fn finish(mut self) -> Loaded {
        self.compile_waiting();
        // Stable: what was found at one place stays in its order.
        self.diagnostics
            .sort_by(|a, b| (&a.file, a.place).cmp(&(&b.file, b.place)));
        let is_refused = self
            .diagnostics
            .iter()
            .any(|found| found.severity == Severity::Error);
        Loaded {
            policy: (!is_refused).then(|| Policy::new(self.domains)),
            diagnostics: self.diagnostics,
            files: self.files,
            texts: self.texts,
        }
    }
}

/// What the name of a file in a folder says of it.
enum Kind {
    Hidden,
    Test,
    Policy,
    Other,
}

fn kind_of(path: &Path) -> Kind {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with('.') {
        return Kind::Hidden;
    }
    match name
        .strip_suffix(".yaml")
        .or_else(|| name.strip_suffix(".yml"))
    {
        Some(stem) if stem.ends_with(".test") => Kind::Test,
        Some(_) => Kind::Policy,
        None => Kind::Other,
    }
}

fn metadata(path: &Path) -> Result<std::fs::Metadata, LoadError> {
    std::fs::metadata(path).map_err(|source| LoadError {
        path: path.to_owned(),
        source,
    })
}

/// The text of a file, which must be UTF-8 and not too large.
pub(crate) fn text_of<'t>(bytes: &'t [u8], report: &mut Report) -> Option<&'t str> {
    if bytes.len() > MAX_FILE_BYTES {
        let message = format!("the file is larger than {} MiB", MAX_FILE_BYTES >> 20);
        report.say(Code::TooLarge, None, message);
        return None;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(fault) => {
            let place = place_after(&bytes[..fault.valid_up_to()]);
            report.say(Code::NotUtf8, Some(place), "the file is no text in UTF-8");
            None
        }
    }
}

/// The place that follows text.
fn place_after(before: &[u8]) -> Place {
    let text = String::from_utf8_lossy(before);
    let line = text.rsplit('\n').next().unwrap_or_default();
    Place {
        line: text.matches('\n').count() as u32 + 1,
        column: line.chars().count() as u32 + 1,
    }
}

#[cfg(test)]
mod tests;
