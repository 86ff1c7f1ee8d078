//! Loads of the policies: the last one, how many there were, and a check of the files that is running.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::Metrics;
use crate::clock::Timestamp;

/// Statistics of policy loads.
#[derive(Debug, Default)]
pub(super) struct ReloadStats {
    pub(super) generation: AtomicU64,
    pub(super) successes: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) loaded_at_secs: AtomicU64,
    /// The checksum of the files of the policy in force.
    hash: Mutex<Option<String>>,
    /// When the running check of the files began, in microseconds; 0 if none is running.
    check_began_micros: AtomicU64,
    last: Mutex<Option<PolicyLoad>>,
}

/// The result of loading the policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PolicyLoad {
    /// The number of the policy in force afterwards; the first is 1.
    pub generation: u64,
    /// When it was loaded.
    #[serde(rename = "at_micros")]
    pub at: Timestamp,
    /// A checksum of the loaded files; `None` if they were rejected.
    #[serde(default)]
    pub hash: Option<String>,
    /// Why the loaded policy was rejected; `None` if it is in force.
    pub error: Option<String>,
    /// The diagnostics of the files, as logged.
    pub diagnostics: Vec<String>,
}

impl Metrics {
    /// Records that the policies were loaded.
    pub fn loaded(&self, load: PolicyLoad) {
        let reloads = &self.reloads;
        if load.hash.is_some() {
            reloads.hash.lock().clone_from(&load.hash);
        }
        reloads.generation.store(load.generation, Ordering::Relaxed);
        match load.error {
            Some(_) => reloads.failures.fetch_add(1, Ordering::Relaxed),
            None => {
                let at_secs = load.at.micros() / 1_000_000;
                reloads.loaded_at_secs.store(at_secs, Ordering::Relaxed);
                reloads.successes.fetch_add(1, Ordering::Relaxed)
            }
        };
        *reloads.last.lock() = Some(load);
    }

    /// The checksum of the files of the policy in force; `None` if it comes from no files.
    pub fn policy_hash(&self) -> Option<String> {
        self.reloads.hash.lock().clone()
    }

    /// Records that a check of the policy files, or a load, has begun.
    pub fn policy_check_began(&self, now: Timestamp) {
        let began = &self.reloads.check_began_micros;
        began.store(now.micros().max(1), Ordering::Relaxed);
    }

    /// Records that the check has ended.
    pub fn policy_check_ended(&self) {
        self.reloads.check_began_micros.store(0, Ordering::Relaxed);
    }

    /// Seconds that the running check of the policy files has taken so far; 0 if none is running.
    pub fn policy_check_secs(&self, now: Timestamp) -> u64 {
        match self.reloads.check_began_micros.load(Ordering::Relaxed) {
            0 => 0,
            began => now.micros().saturating_sub(began) / 1_000_000,
        }
    }

    /// The last load of the policies.
    pub fn last_load(&self) -> Option<PolicyLoad> {
        self.reloads.last.lock().clone()
    }

    /// The number of the policy in force; the first is 1.
    pub fn generation(&self) -> u64 {
        self.reloads.generation.load(Ordering::Relaxed)
    }
}
