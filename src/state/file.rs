//! Small files of the state folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::StateError;

/// The mode of files: only their owner can read and write them.
pub(super) const PRIVATE: u32 = 0o600;

/// Writes a file as a whole: after a power cut it has the old content or the new.
pub(super) fn replace(folder: &Path, name: &str, content: &str) -> Result<(), StateError> {
    let path = folder.join(name);
    let new = folder.join(format!("{name}.new"));
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(PRIVATE)
            .open(&new)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(StateError::io("write", &path))
}
