//! What was found so far, and where in the tree we are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::policy::{Code, Diagnostic, Place};

/// Collects the diagnostics of one file, or of those that make one domain.
#[derive(Debug)]
pub(crate) struct Report {
    files: Vec<Arc<Path>>,
    /// The place in `files` of the one that is spoken of.
    file: u32,
    trail: Vec<Step>,
    diagnostics: Vec<Diagnostic>,
}

/// One step into the tree.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Key(&'static str),
    Index(usize),
}

/// A place and its file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    pub(crate) place: Option<Place>,
    pub(crate) file: u32,
}

/// More than anybody reads; a file of a million faults must not fill the memory.
const MAX_DIAGNOSTICS: usize = 10_000;

impl Report {
    pub(crate) fn new(file: &Path) -> Self {
        Self::of_files(vec![file.into()])
    }

    /// Of files that belong together; at first the first of them is spoken of.
    pub(crate) fn of_files(files: Vec<Arc<Path>>) -> Self {
        Self {
            files,
            file: 0,
            trail: Vec::new(),
            diagnostics: Vec::new(),
        }
    }

    /// The file that is spoken of.
    pub(crate) fn file(&self) -> &Arc<Path> {
        &self.files[self.file as usize]
    }

    /// From now on the file of that number is spoken of.
    pub(crate) fn turn_to(&mut self, file: u32) {
        self.file = file;
    }

    /// A place in the file that is spoken of.
    pub(crate) fn spot(&self, place: Option<Place>) -> Spot {
        let file = self.file;
        Spot { place, file }
    }

    /// Where that is, such as `on line 5`.
    pub(crate) fn words_for(&self, spot: Spot) -> Option<String> {
        let line = spot.place?.line;
        if spot.file == self.file {
            return Some(format!("on line {line}"));
        }
        let file = self.files[spot.file as usize].display();
        Some(format!("in {file}:{line}"))
    }

    /// What was found, by place.
    pub(crate) fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        self.diagnostics.sort_by_key(|found| found.place);
        self.diagnostics
    }

    /// Where we are, such as `descriptors[2].rate_limit`.
    pub(crate) fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.trail {
            match step {
                Step::Index(at) => path.push_str(&format!("[{at}]")),
                Step::Key(key) if path.is_empty() => path.push_str(key),
                Step::Key(key) => {
                    path.push('.');
                    path.push_str(key);
                }
            }
        }
        path
    }

    /// Does something one step further into the tree.
    pub(crate) fn within<T>(&mut self, step: Step, what: impl FnOnce(&mut Self) -> T) -> T {
        self.enter(step);
        let done = what(self);
        self.leave();
        done
    }

    /// Goes one step further into the tree.
    pub(crate) fn enter(&mut self, step: Step) {
        self.trail.push(step);
    }

    /// Goes back one step.
    pub(crate) fn leave(&mut self) {
        self.trail.pop();
    }

    /// Adds what was found.
    pub(crate) fn say(&mut self, code: Code, place: Option<Place>, message: impl Into<String>) {
        self.add(code, place, message.into(), None);
    }

    /// Adds what was found and a way out.
    pub(crate) fn hint(
        &mut self,
        code: Code,
        place: Option<Place>,
        (message, hint): (impl Into<String>, impl Into<String>),
    ) {
        self.add(code, place, message.into(), Some(hint.into()));
    }

    fn add(&mut self, code: Code, place: Option<Place>, message: String, hint: Option<String>) {
        let severity = code.severity();
        if self.diagnostics.len() >= MAX_DIAGNOSTICS {
            let last = self.diagnostics.pop();
            // One error always stays: it is what refuses the load.
            if let Some(last) = last.filter(|last| last.severity > severity) {
                self.diagnostics.push(last);
                return;
            }
        }
        self.diagnostics.push(Diagnostic {
            severity,
            code,
            file: PathBuf::from(&**self.file()),
            place,
            path: self.path(),
            message,
            hint,
        });
    }
}

/// Someone else's text in a message: short, and without control characters.
pub(crate) fn quoted(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    let mut short: String = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(MAX_CHARS)
        .collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        short.push('…');
    }
    format!("`{short}`")
}

/// "did you mean …?", if one of `known` is close to `text`.
pub(crate) fn did_you_mean<'a>(
    text: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let near = known
        .into_iter()
        .filter_map(|name| Some((distance(text, name)?, name)));
    near.min()
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

/// Whether one may be meant by the other.
pub(crate) fn is_near(text: &str, name: &str) -> bool {
    distance(text, name).is_some()
}

/// How far `text` is from `name`; none if too far.
fn distance(text: &str, name: &str) -> Option<usize> {
    const MAX_LEN: usize = 40;
    if text.len() > MAX_LEN {
        return None;
    }
    let allowed = (text.chars().count() / 3).min(3);
    Some(strsim::damerau_levenshtein(text, name)).filter(|distance| *distance <= allowed)
}
