//! Log lines for refused requests, at a bounded rate.

use std::sync::atomic::{AtomicU64, Ordering};

use super::heavy_hitters::client_label::ClientLabel;
use crate::engine::DescriptorResult;
use crate::request::Descriptor;

/// Logs refused descriptors of all threads, at most a set number per second.
#[derive(Debug, Default)]
pub(super) struct RefusedLog {
    /// Lines per second; 0 disables the log.
    per_second: AtomicU64,
    second: AtomicU64,
    logged_in_second: AtomicU64,
    /// Not logged since the last line.
    suppressed: AtomicU64,
}

impl RefusedLog {
    /// Sets the maximum number of lines per second; 0 disables the log.
    pub(super) fn set_rate(&self, per_second: u64) {
        self.per_second.store(per_second, Ordering::Relaxed);
    }

    /// Logs a refused descriptor, unless the second's lines are used up. Hidden values are masked.
    pub(super) fn log(
        &self,
        result: &DescriptorResult<'_>,
        descriptor: &Descriptor,
        hash: impl FnOnce() -> u64,
    ) {
        let rate = self.per_second.load(Ordering::Relaxed);
        if rate == 0 {
            return;
        }
        let second = result.now.micros() / 1_000_000;
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.logged_in_second.store(0, Ordering::Relaxed);
        }
        if self.logged_in_second.fetch_add(1, Ordering::Relaxed) >= rate {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let ClientLabel { client, rule } = ClientLabel::new(result, descriptor, hash());
        tracing::info!(
            target: "weir::refused",
            domain = result.domain.map(|domain| &*domain.name),
            client = &*client,
            rule = &*rule,
            limit = result.status.limit.as_ref().and_then(|limit| limit.name.as_deref()),
            reset_secs = result.status.reset_after_secs,
            suppressed = self.suppressed.swap(0, Ordering::Relaxed),
            "request rate limited"
        );
    }
}
