//! The program as a user to whom limits and permissions apply, which they do not to root.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
use weir_harness::program;

const WEIR: &str = env!("CARGO_BIN_EXE_weir");

/// A user without rights, with a folder that it can read.
pub(crate) struct Unprivileged {
    folder: TempDir,
    program: PathBuf,
    /// Of root alone: what changes the user, and to which.
    change: Option<(&'static Path, u32)>,
}

impl Unprivileged {
    /// None if the test is to be skipped.
    pub(crate) fn new() -> Option<Self> {
        // Limits on threads count those of all processes of a user.
        static USERS: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::tempdir().unwrap();
        allow(folder.path(), 0o755);
        if fs::metadata("/proc/self").unwrap().uid() != 0 {
            return Some(Self {
                folder,
                program: WEIR.into(),
                change: None,
            });
        }
        let setpriv = program::SETPRIV.or_skip()?;
        let number = process::id() * 8 + USERS.fetch_add(1, Ordering::Relaxed);
        // Others may not enter the folder of the program.
        let program = folder.path().join("weir");
        if fs::hard_link(WEIR, &program).is_err() {
            fs::copy(WEIR, &program).unwrap();
        }
        Some(Self {
            folder,
            program,
            change: Some((setpriv, 61_184 + number % 4_096)),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether the user has no other processes.
    pub(crate) fn is_alone(&self) -> bool {
        self.change.is_some()
    }

    /// Runs the program, as the last argument of `wrapper` if there is one.
    pub(crate) fn weir(&self, wrapper: &[&str]) -> Command {
        let mut words: Vec<String> = Vec::new();
        if let Some((setpriv, user)) = self.change {
            words.extend([
                setpriv.display().to_string(),
                format!("--reuid={user}"),
                "--clear-groups".to_owned(),
            ]);
        }
        words.extend(wrapper.iter().map(|word| (*word).to_owned()));
        words.push(self.program.display().to_string());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env("WEIR_HTTP", "127.0.0.1:0");
        command
    }

    /// Takes the right to write from a folder and everything in it, and gives the right to read.
    pub(crate) fn make_read_only(folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => Self::make_read_only(&path),
                false => allow(&path, 0o444),
            }
        }
        allow(folder, 0o555);
    }
}

/// Gives back the right to delete it.
impl Drop for Unprivileged {
    fn drop(&mut self) {
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            allow(&folder, 0o755);
            let entries = fs::read_dir(&folder).unwrap();
            let paths = entries.map(|entry| entry.unwrap().path());
            folders.extend(paths.filter(|path| path.is_dir()));
        }
    }
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
