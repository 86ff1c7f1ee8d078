//! Decides when a line may be logged again, for lines that callers can cause.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::clock::Timestamp;

/// Subjects that are known to have been logged.
const MAX_SUBJECTS: usize = 64;

/// When each subject was logged last, in microseconds, for all threads.
#[derive(Debug)]
pub(super) struct SparseLog {
    /// The shortest time between two lines of one subject.
    interval_micros: u64,
    logged: Mutex<HashMap<u64, u64>>,
}

impl SparseLog {
    /// One line per interval and subject.
    pub(super) fn new(interval_secs: u64) -> Self {
        Self {
            interval_micros: interval_secs * 1_000_000,
            logged: Mutex::default(),
        }
    }

    /// Whether a line about the subject is due. If it is, the next one is due an interval later.
    pub(super) fn is_due(&self, subject: u64, now: Timestamp) -> bool {
        // Another thread holds the lock: rather than wait for it, this line is left out.
        let Some(mut logged) = self.logged.try_lock() else {
            return false;
        };
        let is_recent = |at: u64| now.micros().abs_diff(at) < self.interval_micros;
        if logged.get(&subject).is_some_and(|at| is_recent(*at)) {
            return false;
        }
        if logged.len() >= MAX_SUBJECTS && !logged.contains_key(&subject) {
            logged.retain(|_, at| is_recent(*at));
            if logged.len() >= MAX_SUBJECTS {
                return false;
            }
        }
        logged.insert(subject, now.micros());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subject_has_a_line_per_interval_and_subjects_are_bounded() {
        let log = SparseLog::new(60);
        let at = |secs: u64| Timestamp::from_secs(1_700_000_000 + secs);
        assert!(log.is_due(1, at(0)));
        assert!(log.is_due(2, at(0)));
        assert!(!log.is_due(1, at(59)));
        assert!(log.is_due(1, at(60)));
        let due = |secs: u64| {
            let subjects = 100..1_100;
            subjects.filter(|n| log.is_due(*n, at(secs))).count()
        };
        assert_eq!(due(60), MAX_SUBJECTS - 1);
        assert_eq!(due(119), 0);
        assert_eq!(due(120), MAX_SUBJECTS);
    }
}
