//! Log lines for calls and connections that were rejected, one a minute for each reason.

use std::sync::atomic::{AtomicU64, Ordering};

use super::server_port::ServerPort;
use crate::clock::Timestamp;
use crate::server::http2::Rejection;

/// The shortest time between two lines of one reason.
const INTERVAL_MICROS: u64 = 60_000_000;

/// One value for each reason to reject.
#[derive(Debug)]
pub(super) struct ByReason<T>([T; Rejection::ALL.len()]);

impl<T: Default> Default for ByReason<T> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| T::default()))
    }
}

impl<T> ByReason<T> {
    pub(super) fn get(&self, reason: Rejection) -> &T {
        &self.0[reason as usize]
    }
}

/// What all threads have logged about one port.
#[derive(Debug, Default)]
pub(super) struct RejectionLog(ByReason<LoggedReason>);

#[derive(Debug, Default)]
struct LoggedReason {
    /// When the next line may be written, in microseconds.
    next: AtomicU64,
    /// Rejections since the last line.
    count: AtomicU64,
}

impl RejectionLog {
    /// Counts a rejection, and logs how many there were if it is time to.
    pub(super) fn log(&self, port: ServerPort, reason: Rejection, now: Timestamp) {
        let Some(rejected) = self.take_due(reason, now) else {
            return;
        };
        let (reason, advice) = (reason.as_str(), reason.advice());
        match port {
            ServerPort::Grpc => {
                tracing::warn!(reason, rejected, "rejected on the gRPC port: {advice}");
            }
            ServerPort::Http => {
                tracing::warn!(reason, rejected, "rejected on the HTTP port: {advice}");
            }
        }
    }

    /// Rejections since the last line, this one included; `None` if there was a line within a minute.
    fn take_due(&self, reason: Rejection, now: Timestamp) -> Option<u64> {
        let LoggedReason { next, count } = self.0.get(reason);
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
