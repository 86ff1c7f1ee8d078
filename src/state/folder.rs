//! The state folder: one process has it, and it has the key of the counters' hash.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::StateError;
use super::file::{PRIVATE, replace};
use super::manifest::Manifest;
use crate::clock::Timestamp;
use crate::store::HashKey;

/// The file that is locked while a process has the folder.
const LOCK: &str = "lock";
/// The file with the key of the hash, 32 hexadecimal digits.
pub(super) const HASH_KEY: &str = "hash.key";
/// The folder of the table of counters.
const COUNTERS: &str = "counters";
/// The file with the assignments of values to plans.
const ASSIGNMENTS: &str = "assignments.jsonl";

/// A folder that this process alone uses, until it is dropped.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    hash_key: HashKey,
    lock: File,
}

impl StateFolder {
    /// Takes a folder, and creates it and the key of the hash if there are none.
    ///
    /// Counters that another key identifies, or that another version wrote in a format that this one does not have, can
    /// no longer be found: they are moved aside, and the log says where to.
    ///
    /// # Errors
    /// Another process has the folder, or it cannot be created, read or written.
    pub fn open(path: &Path, now: Timestamp) -> Result<Self, StateError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(StateError::io("create the state folder", path))?;
        let lock = lock(path)?;
        let hash_key = match read_hash_key(&path.join(HASH_KEY))? {
            KeyFile::Key(key) => key,
            KeyFile::Missing => create_hash_key(path)?,
            KeyFile::Invalid => {
                let aside = move_aside(&path.join(HASH_KEY), now)?;
                tracing::warn!(
                    file = %path.join(HASH_KEY).display(),
                    moved_to = %aside.display(),
                    "hash key is damaged, using a new one; counters start again"
                );
                create_hash_key(path)?
            }
        };
        let folder = Self {
            path: path.to_owned(),
            hash_key,
            lock,
        };
        folder.check_manifest(now)?;
        Ok(folder)
    }

    /// Takes a folder that was used before, to look at it.
    pub(super) fn open_existing(path: &Path) -> Result<(Self, Option<Manifest>), StateError> {
        let missing = |missing| StateError::NoStateFolder {
            path: path.to_owned(),
            missing,
        };
        if !path.join(HASH_KEY).is_file() {
            return Err(missing(HASH_KEY));
        }
        let lock = lock(path)?;
        let KeyFile::Key(hash_key) = read_hash_key(&path.join(HASH_KEY))? else {
            return Err(missing("valid hash.key"));
        };
        let manifest = Manifest::read(path)?;
        let folder = Self {
            path: path.to_owned(),
            hash_key,
            lock,
        };
        Ok((folder, manifest))
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key of the counters' hash.
    pub fn hash_key(&self) -> HashKey {
        self.hash_key
    }

    /// The file for assignments of values to plans, which need not exist.
    pub(super) fn assignments_path(&self) -> PathBuf {
        self.path.join(ASSIGNMENTS)
    }

    pub(super) fn counters_path(&self) -> PathBuf {
        self.path.join(COUNTERS)
    }

    /// Moves the counters aside, in place of those that were moved aside before, and returns where to.
    pub(super) fn move_counters_aside(&self, now: Timestamp) -> Result<PathBuf, StateError> {
        move_aside(&self.counters_path(), now)
    }

    /// Whether the folder at its path is the one that was taken: a disk can go away, and another come.
    pub(super) fn is_present(&self) -> bool {
        let id = |metadata: Metadata| (metadata.dev(), metadata.ino());
        let there = fs::metadata(self.path.join(LOCK)).map(id);
        let taken = self.lock.metadata().map(id);
        there.is_ok_and(|there| taken.is_ok_and(|taken| taken == there))
    }

    /// Takes the folder at its path, if it is not the one that was taken.
    ///
    /// # Errors
    /// There is none, it has another key, or another process has it.
    pub(super) fn take_again(&mut self) -> Result<(), StateError> {
        if self.is_present() {
            return Ok(());
        }
        let path = self.path.join(HASH_KEY);
        match read_hash_key(&path)? {
            KeyFile::Key(key) if key == self.hash_key => {
                self.lock = lock(&self.path)?;
                Ok(())
            }
            KeyFile::Key(_) | KeyFile::Invalid | KeyFile::Missing => {
                let gone = io::Error::new(io::ErrorKind::NotFound, "the state folder is gone");
                Err(StateError::io("find the key of this process in", path)(
                    gone,
                ))
            }
        }
    }

    fn check_manifest(&self, now: Timestamp) -> Result<(), StateError> {
        let present = Manifest::current(self.hash_key);
        let found = Manifest::read(&self.path)?;
        let has_counters = self.counters_path().exists();
        let reason = match &found {
            None => "nothing says what they are",
            Some(found) if found.format != present.format => "they have another format",
            Some(found) if found.hash_key != present.hash_key => "they belong to another hash key",
            Some(_) => "",
        };
        if has_counters && !reason.is_empty() {
            let aside = self.move_counters_aside(now)?;
            tracing::warn!(
                reason,
                written_by = found.as_ref().map(|found| found.version.as_str()),
                moved_to = %aside.display(),
                "counters of the state folder cannot be used, starting with none"
            );
        }
        match found {
            Some(found) if found == present => Ok(()),
            // Only the version is new. A disk that is full or read-only does not keep weir from serving.
            Some(_) if reason.is_empty() => {
                let _ = present.write(&self.path);
                Ok(())
            }
            _ => present.write(&self.path),
        }
    }
}

fn lock(folder: &Path) -> Result<File, StateError> {
    let path = folder.join(LOCK);
    let failed = || StateError::io("lock the state folder with", &path);
    let existing = OpenOptions::new().read(true).open(&path);
    let mut file = match existing {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(PRIVATE)
            .open(&path)
            .map_err(failed())?,
        Err(error) => return Err(failed()(error)),
    };
    match file.try_lock() {
        Ok(()) => {
            // The id is for the message to others; without space it has none.
            let _ = fs::write(&path, format!("{}\n", std::process::id()));
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            let is_read = file.read_to_string(&mut process).is_ok();
            let process = process.trim();
            let is_id = is_read && !process.is_empty() && process.len() < 12;
            Err(StateError::InUse {
                path: folder.to_owned(),
                process: is_id.then(|| process.to_owned()),
            })
        }
        Err(TryLockError::Error(error)) => Err(failed()(error)),
    }
}

/// What the file of the key has.
enum KeyFile {
    Key(HashKey),
    Missing,
    Invalid,
}

fn read_hash_key(path: &Path) -> Result<KeyFile, StateError> {
    let read = |path: &Path| -> io::Result<Option<HashKey>> {
        let file = File::open(path)?;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            // A folder that cannot be written is reported when the counters are.
            let _ = fs::set_permissions(path, Permissions::from_mode(PRIVATE));
        }
        let mut bytes = Vec::new();
        file.take(64).read_to_end(&mut bytes)?;
        let text = String::from_utf8(bytes).unwrap_or_default();
        Ok(HashKey::from_hex(text.trim_end()))
    };
    match read(path) {
        Ok(Some(key)) => Ok(KeyFile::Key(key)),
        Ok(None) => Ok(KeyFile::Invalid),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(KeyFile::Missing),
        Err(error) => Err(StateError::io("read", path)(error)),
    }
}

fn create_hash_key(folder: &Path) -> Result<HashKey, StateError> {
    let key = HashKey::random()?;
    replace(folder, HASH_KEY, &format!("{}\n", key.to_hex()))?;
    Ok(key)
}

/// Renames a file or folder, and removes what was moved aside under its name before.
fn move_aside(path: &Path, now: Timestamp) -> Result<PathBuf, StateError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!("{name}.aside-");
    let folder = path.parent().unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).map_err(StateError::io("list", folder))?;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            // What cannot be removed now can be next time.
            let _ = match entry.path().is_dir() {
                true => fs::remove_dir_all(entry.path()),
                false => fs::remove_file(entry.path()),
            };
        }
    }
    let aside = folder.join(format!("{prefix}{}", now.secs_ceil()));
    fs::rename(path, &aside).map_err(StateError::io("move aside", path))?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_folder_keeps_its_key_and_hides_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let key = StateFolder::open(&path, NOW).unwrap().hash_key();
        assert_eq!(mode(&path.join(HASH_KEY)), 0o600);
        assert_eq!(mode(&path), 0o700);
        fs::set_permissions(path.join(HASH_KEY), Permissions::from_mode(0o644)).unwrap();
        let again = StateFolder::open(&path, NOW).unwrap();
        assert_eq!(again.hash_key(), key);
        assert_eq!(mode(&path.join(HASH_KEY)), 0o600);
        assert!(!format!("{again:?}").contains(&key.to_hex()));
    }

    #[test]
    fn a_folder_belongs_to_one_owner() {
        let parent = tempfile::tempdir().unwrap();
        let first = StateFolder::open(parent.path(), NOW).unwrap();
        let error = StateFolder::open(parent.path(), NOW)
            .unwrap_err()
            .to_string();
        let process = format!("(process {})", std::process::id());
        assert!(
            error.contains(&process) && error.contains("--state"),
            "{error}"
        );
        drop(first);
        StateFolder::open(parent.path(), NOW).unwrap();
    }

    #[test]
    fn counters_of_another_key_or_format_are_moved_aside() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path();
        let names = || {
            let entries = fs::read_dir(path).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut aside: Vec<_> = names.filter(|name| name.contains(".aside-")).collect();
            aside.sort();
            aside
        };
        let put_counters = || fs::create_dir(path.join(COUNTERS)).unwrap();
        let key = StateFolder::open(path, NOW).unwrap().hash_key();
        put_counters();
        drop(StateFolder::open(path, NOW).unwrap());
        assert!(names().is_empty());

        let manifest = path.join("state.json");
        let text = fs::read_to_string(&manifest).unwrap();
        fs::write(&manifest, text.replace("\"format\": 1", "\"format\": 99")).unwrap();
        drop(StateFolder::open(path, NOW).unwrap());
        assert_eq!(names(), ["counters.aside-1700000000"]);

        put_counters();
        fs::write(path.join(HASH_KEY), "nonsense").unwrap();
        let later = Timestamp::from_secs(1_700_000_009);
        assert_ne!(StateFolder::open(path, later).unwrap().hash_key(), key);
        assert_eq!(
            names(),
            ["counters.aside-1700000009", "hash.key.aside-1700000009"]
        );

        put_counters();
        fs::remove_file(&manifest).unwrap();
        drop(StateFolder::open(path, NOW).unwrap());
        assert!(!path.join(COUNTERS).exists());
    }

    #[test]
    fn a_folder_that_cannot_be_created_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        let error = StateFolder::open(&file.join("state"), NOW).unwrap_err();
        assert!(error.to_string().contains("file/state"), "{error}");
    }
}
