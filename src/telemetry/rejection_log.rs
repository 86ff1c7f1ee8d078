//! Log lines for calls and connections that were rejected, one a minute for each reason.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Timestamp;
use crate::server::http2::Rejection;

/// The shortest time between two lines of one reason.
const INTERVAL_MICROS: u64 = 60_000_000;

/// What all threads have logged.
#[derive(Debug, Default)]
pub(super) struct RejectionLog([LoggedReason; Rejection::ALL.len()]);

#[derive(Debug, Default)]
struct LoggedReason {
    /// When the next line may be written, in microseconds.
    next: AtomicU64,
    /// Rejections since the last line.
    count: AtomicU64,
}

impl RejectionLog {
    /// Counts a rejection, and logs how many there were if it is time to.
    pub(super) fn log(&self, reason: Rejection, now: Timestamp) {
        if let Some(rejected) = self.take_due(reason, now) {
            tracing::warn!(
                reason = reason.as_str(),
                rejected,
                "rejected on the gRPC port: {}",
                reason.advice()
            );
        }
    }

    /// Rejections since the last line, this one included; `None` if there was a line within a minute.
    fn take_due(&self, reason: Rejection, now: Timestamp) -> Option<u64> {
        let LoggedReason { next, count } = self.0.get(reason as usize)?;
        count.fetch_add(1, Ordering::Relaxed);
        let due = next.load(Ordering::Relaxed);
        // A clock that was set back far does not silence the log.
        if now.micros() < due && due - now.micros() <= INTERVAL_MICROS {
            return None;
        }
        let after = now.micros() + INTERVAL_MICROS;
        next.compare_exchange(due, after, Ordering::Relaxed, Ordering::Relaxed)
            .ok()?;
        Some(count.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_line_a_minute() {
        let log = RejectionLog::default();
        let at = |secs: u64| Timestamp::from_secs(1_700_000_000 + secs);
        let (http1, tls) = (Rejection::Http1, Rejection::Tls);
        assert_eq!(log.take_due(http1, at(0)), Some(1));
        assert_eq!(log.take_due(tls, at(0)), Some(1));
        for secs in [0u64, 1, 59] {
            assert_eq!(log.take_due(http1, at(secs)), None);
        }
        assert_eq!(log.take_due(http1, at(60)), Some(4));
        assert_eq!(log.take_due(http1, at(61)), None);
        // The clock is set back by an hour.
        let earlier = Timestamp::from_secs(1_700_000_000 - 3_600);
        assert_eq!(log.take_due(http1, earlier), Some(2));
    }
}
