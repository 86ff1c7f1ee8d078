//! What a state folder holds, for `weir state inspect`. Nothing in it identifies a client.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::table::CounterTable;
use super::{StateError, StateFolder};
use crate::clock::Timestamp;
use crate::limit::Algorithm;
use crate::store::CounterRecord;

/// What a state folder holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateInspection {
    /// The folder.
    pub path: PathBuf,
    /// The version of weir that began to write it; `None` if nothing says so.
    pub version: Option<String>,
    /// The format of its counters; `None` if nothing says so.
    pub format: Option<u32>,
    /// Bytes of all its files.
    pub bytes: u64,
    /// Counters that count something now.
    pub counters: u64,
    /// Of these, the ones that are over a limit until later, or hold leases.
    pub pinned: u64,
    /// Counters whose windows have ended, which will be removed.
    pub ended: u64,
    /// Records that cannot be read.
    pub damaged: u64,
    /// Seconds since the oldest record of a counter that counts something was written; `None` if there is none.
    pub oldest_age_secs: Option<u64>,
    /// Seconds since the newest one was written.
    pub newest_age_secs: Option<u64>,
    /// Seconds until the last counter ends.
    pub ends_in_secs: Option<u64>,
    /// States of the counters that count something, by algorithm.
    pub algorithms: Vec<AlgorithmCounters>,
    /// Bytes of the assignments of values to plans; `None` if there are none.
    pub assignments_bytes: Option<u64>,
    /// Files and folders that were moved aside, because they were damaged or are of another version or key.
    pub moved_aside: Vec<String>,
}

/// How many states an algorithm has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AlgorithmCounters {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Limits of counters that count by it.
    pub states: u64,
}

impl StateInspection {
    /// Looks at a state folder that no server uses.
    ///
    /// # Errors
    /// A server uses it, another folder, or one that cannot be read.
    pub fn of(path: &Path, now: Timestamp) -> Result<Self, StateError> {
        let (folder, manifest) = StateFolder::open_existing(path)?;
        let mut found = Self {
            path: path.to_owned(),
            version: manifest.as_ref().map(|manifest| manifest.version.clone()),
            format: manifest.as_ref().map(|manifest| manifest.format),
            bytes: 0,
            counters: 0,
            pinned: 0,
            ended: 0,
            damaged: 0,
            oldest_age_secs: None,
            newest_age_secs: None,
            ends_in_secs: None,
            algorithms: Vec::new(),
            assignments_bytes: fs::metadata(folder.assignments_path())
                .ok()
                .map(|metadata| metadata.len()),
            moved_aside: moved_aside(path)?,
        };
        if folder.counters_path().exists() {
            let mut states = BTreeMap::new();
            let table = CounterTable::open(&folder.counters_path())?;
            table.read_all(|_, record| match CounterRecord::decode(record) {
                Ok(record) => found.add(&record, now, &mut states),
                Err(_) => found.damaged += 1,
            })?;
            let counts = Algorithm::ALL.iter().filter_map(|algorithm| {
                Some(AlgorithmCounters {
                    algorithm: *algorithm,
                    states: *states.get(algorithm.as_str())?,
                })
            });
            found.algorithms = counts.collect();
        }
        found.bytes = bytes_of(path).map_err(StateError::io("list", path))?;
        Ok(found)
    }

    fn add(
        &mut self,
        record: &CounterRecord,
        now: Timestamp,
        states: &mut BTreeMap<&'static str, u64>,
    ) {
        if record.ends_at <= now {
            self.ended += 1;
            return;
        }
        self.counters += 1;
        let now_secs = now.secs_ceil();
        self.pinned += u64::from(u64::from(record.pinned_until_secs) > now_secs);
        let age = now_secs.saturating_sub(record.made_at_secs.into());
        let ends_in = record.ends_at.since(now).secs_ceil();
        self.oldest_age_secs = Some(self.oldest_age_secs.map_or(age, |oldest| oldest.max(age)));
        self.newest_age_secs = Some(self.newest_age_secs.map_or(age, |newest| newest.min(age)));
        self.ends_in_secs = self.ends_in_secs.max(Some(ends_in));
        for state in record.states.as_slice() {
            *states.entry(state.algorithm().as_str()).or_default() += 1;
        }
    }
}

fn moved_aside(path: &Path) -> Result<Vec<String>, StateError> {
    let entries = fs::read_dir(path).map_err(StateError::io("list", path))?;
    let names = entries.flatten().map(|entry| entry.file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.contains(".aside-")).collect();
    names.sort_unstable();
    Ok(names)
}

/// The bytes of all files in a folder and below.
fn bytes_of(folder: &Path) -> std::io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;

    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += match metadata.is_dir() {
            true => bytes_of(&entry.path())?,
            // Journals are reserved ahead; only what is used of them counts.
            false => metadata.blocks() * 512,
        };
    }
    Ok(bytes)
}
