//! Files and folders: the only file I/O of policies and scenarios.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{DocumentCode, Position, Report};
use crate::regular_file::{self, MAX_FILE_BYTES, OpenError};

/// A path that cannot be read.
#[derive(Debug)]
pub struct LoadError {
    /// The path as it was given, or found in a folder.
    pub path: PathBuf,
    /// The reason.
    pub source: io::Error,
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

/// The most files and folders below one folder, including those that are not read.
const MAX_ENTRIES: usize = if cfg!(test) { 100 } else { 1_000_000 };

/// The files among `paths` in their order, and for each folder those that `select` chooses from its files.
///
/// `select` is given the folder and the files in it and below, sorted by path, without hidden ones and those in hidden
/// folders. Links to folders are followed, and each folder is read once. A file that is found twice is listed once.
///
/// # Errors
/// If a path does not exist, or a folder cannot be listed or is too large.
pub fn find(
    paths: &[PathBuf],
    mut select: impl FnMut(&Path, Vec<PathBuf>) -> Vec<PathBuf>,
) -> Result<Vec<PathBuf>, LoadError> {
    let mut files = Vec::new();
    for path in paths {
        let metadata = fs::metadata(path).map_err(|source| error(path, source))?;
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

/// The files in the folder of `path` that are not hidden, by path; none if it cannot be listed.
pub fn beside(path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let listed = match folder.as_os_str().is_empty() {
        true => fs::read_dir("."),
        false => fs::read_dir(folder),
    };
    let entries = listed.into_iter().flatten().take(MAX_ENTRIES).flatten();
    let names = entries.map(|entry| entry.file_name());
    let visible = names.filter(|name| !name.as_encoded_bytes().starts_with(b"."));
    let mut files: Vec<PathBuf> = visible.map(|name| folder.join(name)).collect();
    files.sort();
    files
}

/// Reads a whole file; `None` and a finding if it is not a regular file.
///
/// # Errors
/// If it cannot be read.
pub fn read(path: &Path, report: &mut Report) -> Result<Option<Vec<u8>>, LoadError> {
    match regular_file::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(OpenError::Io(source)) => Err(error(path, source)),
        Err(irregular @ OpenError::Irregular(_)) => {
            report.add(DocumentCode::NotAFile, None, irregular.to_string());
            Ok(None)
        }
    }
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
            let position = Position::after(&String::from_utf8_lossy(&bytes[..fault.valid_up_to()]));
            let message = "the file is not valid UTF-8";
            report.add(DocumentCode::NotUtf8, Some(position), message);
            None
        }
    }
}

/// The files in a folder and below that are not hidden, by path.
fn list(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    // A link may lead to a folder above.
    let mut seen = HashSet::new();
    let mut entries = 0;
    while let Some(at) = folders.pop() {
        let failed = |source| error(&at, source);
        let metadata = fs::metadata(&at).map_err(failed)?;
        if !seen.insert((metadata.dev(), metadata.ino())) {
            continue;
        }
        for entry in fs::read_dir(&at).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            entries += 1;
            if entries > MAX_ENTRIES {
                let message = format!("there are more than {MAX_ENTRIES} files below it");
                return Err(error(folder, io::Error::other(message)));
            }
            let path = entry.path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files.sort();
    Ok(files)
}

fn error(path: &Path, source: io::Error) -> LoadError {
    LoadError {
        path: path.to_owned(),
        source,
    }
}
