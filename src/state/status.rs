//! How the writing of the state goes: written by its thread, read by metrics, health checks, the page and the log.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::StateError;
use crate::clock::Stopwatch;

/// Counters that have not been written for this long are reported.
const MAX_LAG: Duration = Duration::from_secs(10);

/// The numbers of a state writer. All are of this process.
#[derive(Debug)]
pub struct StateStatus {
    since_start: Stopwatch,
    /// When the last pass that reached the disk began, in microseconds of `since_start`.
    synced_micros: AtomicU64,
    written: AtomicU64,
    restored: AtomicU64,
    failures: AtomicU64,
    disk_bytes: AtomicU64,
    is_ended: AtomicBool,
    error: Mutex<Option<String>>,
}

/// Why counters are not written to the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateProblem {
    /// The last attempt failed.
    Failed(String),
    /// The disk has not answered for this long.
    Slow(Duration),
}

impl fmt::Display for StateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(reason) => f.write_str(reason),
            Self::Slow(lag) => write!(f, "the disk has not answered for {} s", lag.as_secs()),
        }
    }
}

impl Default for StateStatus {
    fn default() -> Self {
        Self {
            since_start: Stopwatch::start(),
            synced_micros: AtomicU64::new(0),
            written: AtomicU64::new(0),
            restored: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            disk_bytes: AtomicU64::new(0),
            is_ended: AtomicBool::new(false),
            error: Mutex::new(None),
        }
    }
}

impl StateStatus {
    /// Why counters are not written to the disk; `None` if they are.
    pub fn problem(&self) -> Option<StateProblem> {
        if let Some(reason) = &*self.error.lock() {
            return Some(StateProblem::Failed(reason.clone()));
        }
        let lag = self.lag();
        let is_slow = lag > MAX_LAG && !self.is_ended.load(Ordering::Relaxed);
        is_slow.then_some(StateProblem::Slow(lag))
    }

    /// Changes that are older than this are on the disk.
    pub fn lag(&self) -> Duration {
        let synced = Duration::from_micros(self.synced_micros.load(Ordering::Relaxed));
        self.since_start.elapsed().saturating_sub(synced)
    }

    /// Records of counters that were written.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Counters that were restored.
    pub fn restored(&self) -> u64 {
        self.restored.load(Ordering::Relaxed)
    }

    /// Attempts to write that failed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Bytes of the table's files.
    pub fn disk_bytes(&self) -> u64 {
        self.disk_bytes.load(Ordering::Relaxed)
    }

    /// The time of this status, for [`StateStatus::synced`].
    pub(super) fn elapsed(&self) -> Duration {
        self.since_start.elapsed()
    }

    /// Everything that had changed at `began` is on the disk.
    pub(super) fn synced(&self, began: Duration, written: u64, disk_bytes: u64) {
        let micros = u64::try_from(began.as_micros()).unwrap_or(u64::MAX);
        self.synced_micros.store(micros, Ordering::Relaxed);
        self.written.fetch_add(written, Ordering::Relaxed);
        self.disk_bytes.store(disk_bytes, Ordering::Relaxed);
        *self.error.lock() = None;
    }

    pub(super) fn failed(&self, error: &StateError) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self.error.lock() = Some(error.to_string());
    }

    pub(super) fn add_restored(&self, counters: u64) {
        self.restored.fetch_add(counters, Ordering::Relaxed);
    }

    pub(super) fn ended(&self) {
        self.is_ended.store(true, Ordering::Relaxed);
    }
}
