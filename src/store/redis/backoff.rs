//! Delays between attempts to reach Redis.

use std::time::Duration;

use crate::backoff::Backoff;

const FIRST: Duration = Duration::from_millis(20);
/// The longest delay, without its jitter.
pub(super) const LONGEST: Duration = Duration::from_secs(1);

/// Delays of 20 ms to 1 s.
pub(super) const fn reconnect_backoff() -> Backoff {
    Backoff::new(FIRST, LONGEST)
}
