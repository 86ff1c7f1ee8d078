//! Limits on memory, time and frames: of one connection, and of all of them together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::hpack::MAX_KEPT_BYTES;

/// Bytes of DATA that a stream may send before the server knows how long its message is: the default of
/// SETTINGS_INITIAL_WINDOW_SIZE. More is granted when the message is longer.
pub(super) const STREAM_WINDOW: i64 = 65_535;

/// How much a stream's window grows at once for a long message.
pub(super) const WINDOW_STEP: i64 = 262_144;

/// Bytes of DATA that may be on their way on a connection. What arrives is taken off at once, whatever
/// becomes of its stream, so that no stream can hold up another.
pub(super) const CONNECTION_WINDOW: i64 = 1024 * 1024;

/// The largest window that RFC 9113 allows.
pub(super) const MAX_WINDOW: i64 = 0x7fff_ffff;

/// Bytes of header fields that are kept for a call of another service than the rate-limit service.
pub(super) const MAX_EXCHANGE_HEAD_BYTES: usize = 2 * MAX_KEPT_BYTES;

/// Limits of the HTTP/2 layer. The defaults are right for Envoy; tests use smaller ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http2Limits {
    /// Calls of a connection that may be open at once. Envoy opens up to 1,024 by default, and opens
    /// them before it has seen this setting.
    pub max_streams: usize,
    /// The longest message, compressed or not: gRPC's usual limit.
    pub max_message_bytes: usize,
    /// The longest list of header fields, as RFC 7541 counts. Envoy can be configured to take 8,192 KiB
    /// from its client (`max_request_headers_kb`), and tracers forward what they took.
    pub max_header_list_bytes: usize,
    /// The longest encoded header block; one that is longer ends the connection, since it may have no end.
    pub max_header_block_bytes: usize,
    /// Bytes that wait for the socket before the server stops reading from it.
    pub max_unsent_bytes: usize,
    /// Bytes of answers that wait for the client's flow-control windows; beyond it calls are reset.
    pub max_blocked_bytes: usize,
    /// Frames that bring no call, such as PING or RST_STREAM, that may come at once. Envoy gives up
    /// each call that takes longer than its timeout, 20 ms by default, so a stall of a second of a busy
    /// server brings tens of thousands.
    pub frame_allowance: u32,
    /// How many of these frames are forgiven in a second …
    pub frames_per_second: u32,
    /// … and with each call that is answered: a client may measure its bandwidth with PINGs, and
    /// updates windows for each answer.
    pub frames_per_call: u32,
    /// How long the client may take to send the preface and its SETTINGS.
    pub preface_timeout: Duration,
    /// How long a call may take to arrive.
    pub call_timeout: Duration,
    /// How long an answer may wait for the client to read it.
    pub write_timeout: Duration,
    /// A connection that was silent for this long is sent a PING …
    pub ping_interval: Duration,
    /// … and closed when nothing comes back for this long.
    pub ping_timeout: Duration,
}

impl Default for Http2Limits {
    fn default() -> Self {
        Self {
            max_streams: 4_000,
            max_message_bytes: 4 * 1024 * 1024,
            max_header_list_bytes: 10 * 1024 * 1024,
            max_header_block_bytes: 20 * 1024 * 1024,
            max_unsent_bytes: 256 * 1024,
            max_blocked_bytes: 1024 * 1024,
            frame_allowance: 50_000,
            frames_per_second: 5_000,
            frames_per_call: 8,
            preface_timeout: Duration::from_secs(20),
            call_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            ping_interval: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(20),
        }
    }
}

/// Bytes that unfinished messages of all connections may have, and how many they have.
///
/// A message that arrives whole in one frame never needs it.
#[derive(Debug)]
pub struct ByteBudget {
    total: usize,
    used: AtomicUsize,
}

/// The largest part of the budget that one connection may use, as a divisor.
const CONNECTION_SHARE: usize = 4;

impl ByteBudget {
    /// A budget of `total` bytes.
    pub fn new(total: usize) -> Arc<Self> {
        Arc::new(Self {
            total,
            used: AtomicUsize::new(0),
        })
    }

    /// Bytes in use now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// A connection's part of the budget.
    pub(super) fn share(self: &Arc<Self>) -> BudgetShare {
        BudgetShare {
            budget: Arc::clone(self),
            used: 0,
        }
    }
}

/// What one connection has taken of the budget; given back when it is dropped.
#[derive(Debug)]
pub(super) struct BudgetShare {
    budget: Arc<ByteBudget>,
    used: usize,
}

impl BudgetShare {
    /// Takes bytes; false when there are not enough left.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let budget = &self.budget;
        if self.used + bytes > budget.total / CONNECTION_SHARE {
            return false;
        }
        let used = budget.used.fetch_add(bytes, Ordering::Relaxed);
        if used + bytes > budget.total {
            budget.used.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.used += bytes;
        true
    }

    /// Gives back bytes that were taken.
    pub(super) fn give_back(&mut self, bytes: usize) {
        self.used -= bytes;
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for BudgetShare {
    fn drop(&mut self) {
        self.give_back(self.used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_gets_a_quarter_of_the_budget_and_all_get_all_of_it() {
        let budget = ByteBudget::new(400);
        let mut shares: Vec<_> = (0..5).map(|_| budget.share()).collect();
        assert!(shares[0].take(100) && !shares[0].take(1));
        for share in &mut shares[1..4] {
            assert!(share.take(100));
        }
        assert!(!shares[4].take(1));
        shares[0].give_back(40);
        assert!(shares[4].take(40));
        assert_eq!(budget.used(), 400);
        drop(shares);
        assert_eq!(budget.used(), 0);
    }
}
