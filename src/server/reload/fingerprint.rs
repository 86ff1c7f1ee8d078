//! Fingerprints of files: hashes that differ if the contents differ.

use std::fs::{self, Metadata};
use std::hash::{Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::policy;
use crate::regular_file::{self, OpenError};

/// How many more times contents are read before their unchanged metadata is trusted: a write that
/// closely follows a read may leave the file's times unchanged.
const REREADS: u8 = 2;

/// A 128-bit hash of the contents of all files, or of the errors on reading them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(u128);

/// Computes fingerprints, and reads only files that may have changed.
#[derive(Debug, Default)]
pub(super) struct Fingerprints {
    /// Whether every file of a folder counts, whatever its name is.
    any_name: bool,
    last: Option<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    metadata: Fingerprint,
    contents: Fingerprint,
    checksum: u32,
    rereads_left: u8,
}

impl Fingerprints {
    pub(super) fn new(any_name: bool) -> Self {
        Self {
            any_name,
            last: None,
        }
    }

    /// The fingerprint of the contents; the metadata are ignored.
    pub(super) fn fresh(&mut self, paths: &[PathBuf]) -> Fingerprint {
        self.last = None;
        self.now(paths)
    }

    /// The fingerprint of the contents; they are not read if the metadata have been the same for a while.
    pub(super) fn now(&mut self, paths: &[PathBuf]) -> Fingerprint {
        let metadata = fingerprint(paths, self.any_name, |file, hash| {
            // This follows symlinks: if one points to another file, the inode differs.
            let found = fs::metadata(file).map_err(|error| error.kind())?;
            identify(&found, hash);
            Ok(())
        });
        let known = self.last.filter(|last| last.metadata == metadata);
        if let Some(last) = known
            && last.rereads_left == 0
        {
            return last.contents;
        }
        let mut alone = SipHasher13::new();
        let contents = fingerprint(paths, self.any_name, |file, hash| {
            let mut opened = regular_file::open(file).map_err(|error| match error {
                OpenError::Irregular(_) => io::ErrorKind::InvalidInput,
                OpenError::Io(error) => error.kind(),
            })?;
            let mut hashed = Hashed {
                all: hash,
                alone: &mut alone,
            };
            let len = io::copy(&mut opened, &mut hashed).map_err(|error| error.kind())?;
            len.hash(hash);
            len.hash(&mut alone);
            Ok(())
        });
        let rereads_left = known.map_or(REREADS, |last| last.rereads_left - 1);
        self.last = Some(Last {
            metadata,
            contents,
            // 32 bits differ if files do, and say next to nothing of a secret value.
            checksum: alone.finish() as u32,
            rereads_left,
        });
        contents
    }

    /// A checksum of the contents that were read last, whatever the names of the files are.
    pub(super) fn checksum(&self) -> Option<u32> {
        self.last.map(|last| last.checksum)
    }
}

/// A writer that hashes what is written.
struct Hashed<'h> {
    all: &'h mut SipHasher13,
    alone: &'h mut SipHasher13,
}

impl io::Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.all.write(bytes);
        self.alone.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn identify(file: &Metadata, hash: &mut SipHasher13) {
    let identity = (file.dev(), file.ino(), file.size());
    let modified = (file.mtime(), file.mtime_nsec());
    // Programs cannot set this one.
    let changed = (file.ctime(), file.ctime_nsec());
    (identity, modified, changed).hash(hash);
}

/// Hashes the name of each file and what `add` adds for it.
fn fingerprint(
    paths: &[PathBuf],
    any_name: bool,
    mut add: impl FnMut(&PathBuf, &mut SipHasher13) -> Result<(), io::ErrorKind>,
) -> Fingerprint {
    let mut hash = SipHasher13::new();
    match policy::files(paths, any_name) {
        Ok(files) => {
            for file in files {
                file.hash(&mut hash);
                if let Err(kind) = add(&file, &mut hash) {
                    kind.hash(&mut hash);
                }
            }
        }
        Err(error) => {
            error.path.hash(&mut hash);
            error.source.kind().hash(&mut hash);
        }
    }
    Fingerprint(hash.finish128().as_u128())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    fn write(path: &Path, text: &str) -> std::time::SystemTime {
        fs::write(path, text).unwrap();
        fs::metadata(path).unwrap().modified().unwrap()
    }

    #[test]
    fn a_link_to_another_file_of_the_same_size_and_time_is_detected() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let modified = write(&at("one"), "aa");
        write(&at("two"), "bb");
        let two = fs::File::options().write(true).open(at("two")).unwrap();
        two.set_modified(modified).unwrap();
        symlink("one", at("t.yaml")).unwrap();

        let paths = [folder.path().to_owned()];
        let mut fingerprints = Fingerprints::default();
        let first = fingerprints.now(&paths);
        for _ in 0..4 {
            assert_eq!(fingerprints.now(&paths), first);
        }
        symlink("two", at("next")).unwrap();
        fs::rename(at("next"), at("t.yaml")).unwrap();
        assert_ne!(fingerprints.now(&paths), first);
    }

    #[test]
    fn a_write_that_leaves_the_metadata_unchanged_is_detected_at_first() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.yaml");
        let modified = write(&file, "aa");
        let paths = [file.clone()];
        let mut fingerprints = Fingerprints::default();
        let first = fingerprints.now(&paths);
        // As if the write had not moved the times.
        write(&file, "bb");
        let handle = fs::File::options().write(true).open(&file).unwrap();
        handle.set_modified(modified).unwrap();
        let metadata = fingerprint(&paths, false, |file, hash| {
            identify(&fs::metadata(file).unwrap(), hash);
            Ok(())
        });
        if let Some(last) = &mut fingerprints.last {
            last.metadata = metadata;
        }
        assert_ne!(fingerprints.now(&paths), first);
    }
}
