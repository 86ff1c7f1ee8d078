//! HTTP requests that were rejected, by the status of their response.

use std::sync::atomic::{AtomicU64, Ordering};

/// The statuses that have a count of their own; any other counts as the first.
const STATUSES: [u16; 8] = [400, 401, 403, 404, 405, 408, 413, 431];

/// How many requests were rejected with each status.
#[derive(Debug, Default)]
pub(super) struct HttpRejections([AtomicU64; STATUSES.len()]);

impl HttpRejections {
    /// Counts a rejected request.
    pub(super) fn add(&self, status: u16) {
        let index = STATUSES.iter().position(|known| *known == status);
        self.0[index.unwrap_or_default()].fetch_add(1, Ordering::Relaxed);
    }

    /// Every status and its requests.
    pub(super) fn counts(&self) -> impl Iterator<Item = (u16, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        STATUSES.into_iter().zip(counts)
    }
}
