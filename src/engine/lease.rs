//! Leases beside a decision: what is taken while it is made, and what came back in vain.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Engine, Grant};
use crate::limit::{LeaseOutcome, Outcomes};
use crate::store::Batch;

/// What was given back without effect, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseStats {
    /// Leases that held nothing where they were given back: never granted, given back twice, ended, or of another key.
    pub not_held: u64,
    /// Negative hits at a concurrency limit that name no lease.
    pub unnamed: u64,
}

/// Counts what came back in vain.
#[derive(Debug, Default)]
pub(super) struct LeaseStatsCounter {
    not_held: AtomicU64,
    unnamed: AtomicU64,
}

impl LeaseStatsCounter {
    pub(super) fn count(&self, outcomes: &[Outcomes]) {
        for outcomes in outcomes {
            let counter = match outcomes.lease {
                LeaseOutcome::NotHeld => &self.not_held,
                LeaseOutcome::MissingId => &self.unnamed,
                LeaseOutcome::None | LeaseOutcome::Granted | LeaseOutcome::Released => continue,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn stats(&self) -> LeaseStats {
        LeaseStats {
            not_held: self.not_held.load(Ordering::Relaxed),
            unnamed: self.unnamed.load(Ordering::Relaxed),
        }
    }
}

/// What a batch may have taken while nobody knows its outcomes: given back when its decision is abandoned.
#[derive(Debug)]
pub(super) struct ReleaseOnDrop<'e> {
    engine: &'e Engine,
    grant: Option<Box<Grant>>,
}

impl<'e> ReleaseOnDrop<'e> {
    pub(super) fn new(engine: &'e Engine, batch: &Batch<'_>) -> Self {
        Self {
            engine,
            grant: Grant::of(batch.hits.iter().filter(|hit| hit.acquires_slots())),
        }
    }

    /// The outcomes are known.
    pub(super) fn done(mut self) {
        self.grant = None;
    }
}

impl Drop for ReleaseOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(grant) = &self.grant {
            self.engine.release(grant);
        }
    }
}
