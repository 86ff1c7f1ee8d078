//! Leases beside a decision: releases that had no effect, and slots of abandoned decisions.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Engine, Grant};
use crate::limit::{LeaseOutcome, Outcomes};
use crate::store::Batch;

/// Releases without effect since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseStats {
    /// Leases that held nothing at the counter: never granted, already released, expired, or
    /// granted at another counter.
    pub unknown: u64,
    /// Negative hits at a concurrency limit that name no lease.
    pub missing: u64,
}

/// Counts releases without effect.
#[derive(Debug, Default)]
pub(super) struct LeaseStatsCounter {
    unknown: AtomicU64,
    missing: AtomicU64,
}

impl LeaseStatsCounter {
    pub(super) fn count(&self, outcomes: &[Outcomes]) {
        for outcomes in outcomes {
            let counter = match outcomes.lease {
                LeaseOutcome::NotHeld => &self.unknown,
                LeaseOutcome::MissingId => &self.missing,
                LeaseOutcome::None | LeaseOutcome::Granted | LeaseOutcome::Released => continue,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn stats(&self) -> LeaseStats {
        LeaseStats {
            unknown: self.unknown.load(Ordering::Relaxed),
            missing: self.missing.load(Ordering::Relaxed),
        }
    }
}

/// Releases the slots that a batch may have acquired, if its decision is abandoned before the
/// outcomes are known.
#[derive(Debug)]
pub(super) struct ReleaseOnDrop<'e> {
    engine: &'e Engine,
    grant: Option<Box<Grant>>,
}

impl<'e> ReleaseOnDrop<'e> {
    pub(super) fn new(engine: &'e Engine, batch: &Batch<'_>) -> Self {
        Self {
            engine,
            grant: Grant::new(batch.hits.iter().filter(|hit| hit.acquires_slots())),
        }
    }

    /// The outcomes are known: drops it without a release.
    pub(super) fn disarm(mut self) {
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
