//! The generator of lease ids.

use std::sync::atomic::{AtomicU64, Ordering};

use siphasher::sip128::SipHasher24;

use super::RngError;
use crate::request::LeaseId;

/// Generates lease ids: keyed hashes of a counter, which cannot be predicted without the key.
///
/// Each process has its own key, so instances that share counters generate different ids.
pub(super) struct LeaseIds {
    hasher: SipHasher24,
    next: AtomicU64,
}

impl LeaseIds {
    pub(super) fn new() -> Result<Self, RngError> {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(RngError)?;
        Ok(Self {
            hasher: SipHasher24::new_with_key(&key),
            next: AtomicU64::new(0),
        })
    }

    pub(super) fn next(&self) -> LeaseId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        LeaseId::from_bits(self.hasher.hash(&number.to_le_bytes()).as_u128())
    }
}

impl std::fmt::Debug for LeaseIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LeaseIds")
    }
}
