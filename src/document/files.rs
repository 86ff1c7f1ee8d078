//! Files and folders: the only file I/O of policies and scenarios.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{DocumentCode, Position, Report};

/// A path that cannot be read.
#[derive(Debug)]
pub struct LoadError {
    /// The path as it was given, or found in a folder.
    pub path: PathBuf,
    /// The reason.
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

/// The largest file in bytes; a policy with a million rules is smaller.
const MAX_FILE_BYTES: usize = 256 << 20;

/// The files among `paths` in their order, and for each folder those that `select` chooses from its files.
///
/// `select` is given the folder and its files, sorted by name and without hidden ones; subfolders are not searched.
/// A file that is found twice is listed once.
///
/// # Errors
/// If a path does not exist or a folder cannot be listed.
pub fn find(
    paths: &[PathBuf],
    mut select: impl FnMut(&Path, Vec<PathBuf>) -> Vec<PathBuf>,
) -> Result<Vec<PathBuf>, LoadError> {
    let mut files = Vec::new();
    for path in paths {
        let metadata = std::fs::metadata(path).map_err(|source| error(path, source))?;
        if metadata.is_dir() {
            files.extend(select(path, list(path)?));
        } else {
            files.push(path.clone());
        }
    }
    let mut seen = HashSet::new();
    files.retain(|file| seen.insert(file.clone()));
    Ok(files)
}

/// Reads a whole file.
///
/// # Errors
/// If it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    std::fs::read(path).map_err(|source| error(path, source))
}

/// The text of a file, without a byte order mark; `None` and a finding if it is too large or not valid UTF-8.
pub fn decode<'t>(bytes: &'t [u8], report: &mut Report) -> Option<&'t str> {
    if bytes.len() > MAX_FILE_BYTES {
        let message = format!("the file is larger than {} MiB", MAX_FILE_BYTES >> 20);
        report.add(DocumentCode::TooLarge, None, message);
        return None;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(fault) => {
            let position = position_after(&bytes[..fault.valid_up_to()]);
            let message = "the file is not valid UTF-8";
            report.add(DocumentCode::NotUtf8, Some(position), message);
            None
        }
    }
}

/// The files of a folder that are not hidden, by name.
fn list(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|source| error(folder, source))? {
        let entry = entry.map_err(|source| error(folder, source))?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !is_hidden && !entry.path().is_dir() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn error(path: &Path, source: std::io::Error) -> LoadError {
    LoadError {
        path: path.to_owned(),
        source,
    }
}

/// The position that follows `text`.
fn position_after(text: &[u8]) -> Position {
    let text = String::from_utf8_lossy(text);
    let line = text.rsplit('\n').next().unwrap_or_default();
    Position {
        line: text.matches('\n').count() as u32 + 1,
        column: line.chars().count() as u32 + 1,
    }
}
