//! The file that assignments are kept in: JSON Lines, replaced as a whole by each change.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::policy::AddedAssignment;

/// Its name in the folder of `--state`.
const NAME: &str = "assignments.jsonl";

/// The file of one instance.
#[derive(Debug)]
pub struct AssignmentFile {
    folder: PathBuf,
}

impl AssignmentFile {
    /// The file in a folder that exists; it need not exist itself.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Its path.
    pub fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    /// The assignments that it has. Lines that cannot be read are left out, and the file is kept beside the next one.
    pub(super) fn read(&self) -> io::Result<Vec<AddedAssignment>> {
        let text = match fs::read_to_string(self.path()) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut rows = Vec::new();
        let mut first_damaged = None;
        for (index, line) in text.lines().enumerate() {
            match serde_json::from_str(line) {
                Ok(row) => rows.push(row),
                Err(_) => {
                    first_damaged.get_or_insert(index + 1);
                }
            }
        }
        if let Some(line) = first_damaged {
            let kept = self.folder.join(format!("{NAME}.damaged"));
            fs::copy(self.path(), &kept)?;
            tracing::error!(
                file = %self.path().display(),
                line,
                kept = %kept.display(),
                "assignments that cannot be read are left out"
            );
        }
        Ok(rows)
    }

    /// Replaces the file; when this returns, it is on the disk.
    pub(super) fn write<'r>(
        &self,
        rows: impl IntoIterator<Item = &'r AddedAssignment>,
    ) -> io::Result<()> {
        let mut text = String::new();
        for row in rows {
            text.push_str(&serde_json::to_string(row)?);
            text.push('\n');
        }
        let next = self.folder.join(format!("{NAME}.new"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&next)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&next, self.path())?;
        File::open(&self.folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::policy::{AssignmentFields, AssignmentId};

    fn row(value: &str) -> AddedAssignment {
        AddedAssignment {
            id: AssignmentId::of_value("d", "customers", value.as_bytes()),
            fields: AssignmentFields {
                plan: Some("scale".to_owned()),
                until: Some(Timestamp::from_secs(1_800_000_000)),
                note: Some("a \"note\"\nin two lines".to_owned()),
                ..AssignmentFields::default()
            },
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = AssignmentFile::new(folder.path());
        assert_eq!(file.read().unwrap(), []);
        for rows in [vec![row("a"), row("b")], vec![row("b")], vec![]] {
            file.write(&rows).unwrap();
            assert_eq!(AssignmentFile::new(folder.path()).read().unwrap(), rows);
        }
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1);
    }

    #[test]
    fn a_damaged_line_does_not_take_the_others_along() {
        let folder = tempfile::tempdir().unwrap();
        let file = AssignmentFile::new(folder.path());
        file.write(&[row("a"), row("b")]).unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        let damaged = text.replacen("scale", "sc\"ale", 1);
        fs::write(file.path(), &damaged).unwrap();
        assert_eq!(file.read().unwrap(), [row("b")]);
        let kept = folder.path().join("assignments.jsonl.damaged");
        assert_eq!(fs::read_to_string(kept).unwrap(), damaged);
    }
}
