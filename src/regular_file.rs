//! Regular files of bounded size: what a path names is read only if reading it ends.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// The largest file in bytes; a policy with a million rules is smaller.
pub(crate) const MAX_FILE_BYTES: usize = 256 << 20;

/// Why a file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// Reading it might never end.
    #[error("{0} is not a regular file")]
    Irregular(&'static str),
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Opens a regular file without waiting for anything, and reads at most one byte more than a file may have.
///
/// # Errors
/// If it is not a regular file, or cannot be opened.
pub(crate) fn open(path: &Path) -> Result<io::Take<File>, OpenError> {
    // Opening a device can have effects, and opening a pipe waits for its writer.
    check_regular(&fs::metadata(path)?)?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    // It may be another file by now.
    check_regular(&file.metadata()?)?;
    Ok(file.take(MAX_FILE_BYTES as u64 + 1))
}

/// Reads a whole file.
///
/// # Errors
/// If it is not a regular file, or cannot be read.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, OpenError> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn check_regular(metadata: &Metadata) -> Result<(), OpenError> {
    let kind = metadata.file_type();
    let found = match kind {
        _ if kind.is_file() => return Ok(()),
        _ if kind.is_dir() => "a folder",
        _ if kind.is_fifo() => "a pipe",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Err(OpenError::Irregular(found))
}
