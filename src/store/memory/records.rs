//! The counters in memory as records, for a module that keeps them elsewhere, such as on a disk.

use std::sync::Arc;

use super::AlignedShard;
use super::changes::ChangedCounter;
use crate::clock::{Micros, Timestamp};
use crate::limit::EndHint;
use crate::store::{CounterKey, CounterRecord, RecordChange};

/// Counters whose lock is held at once while records are made: some microseconds.
const AT_ONCE: usize = 64;

/// A state that ends sooner has no record.
const SHORTEST: Micros = Micros::from_secs(2);

/// The counters of a store in memory, as records.
#[derive(Clone, Debug)]
pub struct CounterRecords {
    pub(super) shards: Arc<[AlignedShard]>,
}

/// Which counters to make records of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordScope {
    /// Those that have changed since their last record, and that do not end within seconds.
    Changed,
    /// Also those that end within seconds: there will be no later record.
    Last,
    /// All of them: the records of before are lost.
    All,
}

impl CounterRecords {
    /// Adds a counter from its record, unless there is one with that key; returns whether it did.
    pub fn restore(&self, now: Timestamp, key: [u8; 16], record: CounterRecord) -> bool {
        let key = CounterKey::from_bytes(key);
        let shard = &self.shards[key.high_bits() & (self.shards.len() - 1)];
        shard.0.lock().restore(now, key, record)
    }

    /// Whether there is a counter with that key.
    pub fn contains(&self, key: [u8; 16]) -> bool {
        let key = CounterKey::from_bytes(key);
        let shard = &self.shards[key.high_bits() & (self.shards.len() - 1)];
        shard.0.lock().contains(key)
    }

    /// Makes records, and calls `keep` with some at a time: without a lock, and in the order of the changes.
    ///
    /// # Errors
    /// Those of `keep`. The records that it was given are then counted as kept.
    pub fn make<E>(
        &self,
        now: Timestamp,
        scope: RecordScope,
        mut keep: impl FnMut(&mut Vec<RecordChange>) -> Result<(), E>,
    ) -> Result<(), E> {
        let ends_after = match scope {
            RecordScope::Changed => now.plus(SHORTEST),
            RecordScope::Last | RecordScope::All => now,
        };
        let mut made = Vec::new();
        for AlignedShard(shard) in &*self.shards {
            let changed = {
                let mut shard = shard.lock();
                let changes = shard.take_changes();
                shard.record_removed(&changes.removed, &mut made);
                match scope {
                    // They are among all.
                    RecordScope::All => Vec::new(),
                    RecordScope::Changed | RecordScope::Last => changes.changed,
                }
            };
            hand_over(&mut made, &mut keep)?;
            for changed in changed.chunks(AT_ONCE) {
                shard.lock().record(now, ends_after, changed, &mut made);
                hand_over(&mut made, &mut keep)?;
            }
            if scope == RecordScope::Changed {
                continue;
            }
            let span = shard.lock().span();
            for start in (0..span).step_by(AT_ONCE) {
                let indices: Vec<_> = (start..span.min(start + AT_ONCE as u32))
                    .map(|index| ChangedCounter {
                        index,
                        hint: EndHint::UNKNOWN,
                    })
                    .collect();
                let mut shard = shard.lock();
                shard.mark_unrecorded(&indices, scope == RecordScope::All);
                shard.record(now, ends_after, &indices, &mut made);
                drop(shard);
                hand_over(&mut made, &mut keep)?;
            }
        }
        Ok(())
    }
}

fn hand_over<E>(
    made: &mut Vec<RecordChange>,
    keep: &mut impl FnMut(&mut Vec<RecordChange>) -> Result<(), E>,
) -> Result<(), E> {
    if made.is_empty() {
        return Ok(());
    }
    let kept = keep(made);
    made.clear();
    kept
}

#[cfg(test)]
mod tests;
