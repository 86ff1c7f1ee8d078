//! Where decisions about a rule or a domain are counted.
//!
//! The only part of a policy that is set after loading, and only once: the metrics registry writes
//! it before the policy serves its first request.

use std::sync::OnceLock;

use smallvec::SmallVec;

/// Indices of the time series of a rule or a domain in the metrics registry.
///
/// They save the hot path a lookup by name.
#[derive(Debug, Default)]
pub struct MetricIds(OnceLock<SmallVec<[u32; 2]>>);

impl MetricIds {
    /// Sets the indices, unless they are set already: a policy is counted by the first registry
    /// that it is registered with.
    pub fn set(&self, ids: &[u32]) {
        let _ = self.0.set(SmallVec::from_slice(ids));
    }

    /// The indices; empty until they are set.
    pub fn get(&self) -> &[u32] {
        self.0.get().map_or(&[], SmallVec::as_slice)
    }
}
