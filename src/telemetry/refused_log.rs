//! Refused decisions in the log, as many a second as somebody asked for.

use std::sync::atomic::{AtomicU64, Ordering};

use super::heavy_hitters::client_label;
use crate::engine::DescriptorResult;
use crate::request::Descriptor;

/// Says refusals in the log.
#[derive(Debug, Default)]
pub(super) struct RefusedLog {
    /// The most lines of a second; 0 is none.
    pub(super) per_second: AtomicU64,
    second: AtomicU64,
    said: AtomicU64,
    withheld: AtomicU64,
}

impl RefusedLog {
    /// Says it, unless enough was said in this second. Values of secret keys are hidden.
    pub(super) fn say(
        &self,
        met: &DescriptorResult<'_>,
        descriptor: &Descriptor,
        hash: impl FnOnce() -> u64,
    ) {
        let most = self.per_second.load(Ordering::Relaxed);
        if most == 0 {
            return;
        }
        let second = met.now.micros() / 1_000_000;
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.said.store(0, Ordering::Relaxed);
        }
        if self.said.fetch_add(1, Ordering::Relaxed) >= most {
            self.withheld.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let (who, rule) = client_label::label(met, descriptor, hash());
        tracing::info!(
            target: "weir::refused",
            domain = met.domain.map(|domain| &*domain.name),
            client = %who,
            %rule,
            limit = met.status.limit.as_ref().and_then(|limit| limit.name.as_deref()),
            reset_secs = met.status.reset_after_secs,
            suppressed = self.withheld.swap(0, Ordering::Relaxed),
            "request rate limited"
        );
    }
}
