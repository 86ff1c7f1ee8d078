//! The counters of a shard as records.

use std::mem;

use super::CounterShard;
use crate::clock::Timestamp;
use crate::limit::EndHint;
use crate::store::memory::changes::{ChangedCounter, ShardChanges};
use crate::store::{CounterKey, CounterRecord, RecordChange};

impl CounterShard {
    /// Adds a counter from its record, unless there is one; returns whether it did.
    pub(in crate::store::memory) fn restore(
        &mut self,
        now: Timestamp,
        key: CounterKey,
        record: CounterRecord,
    ) -> bool {
        if self.find(key).is_some() {
            return false;
        }
        let index = self.insert(now, key, record.states);
        if let Some(counter) = self.slab.get_mut(index) {
            counter.has_record = true;
        }
        let pinned_until = Timestamp::from_secs(record.pinned_until_secs.into());
        if pinned_until > now {
            self.pin(now, index, pinned_until);
        }
        true
    }

    pub(in crate::store::memory) fn contains(&self, key: CounterKey) -> bool {
        self.find(key).is_some()
    }

    /// One more than the highest index of a counter.
    pub(in crate::store::memory) fn span(&self) -> u32 {
        self.slab.span()
    }

    /// Takes the list of changes.
    pub(in crate::store::memory) fn take_changes(&mut self) -> ShardChanges {
        self.changes.as_mut().map(mem::take).unwrap_or_default()
    }

    /// Lists removals for counters that are gone.
    pub(in crate::store::memory) fn record_removed(
        &mut self,
        removed: &[CounterKey],
        made: &mut Vec<RecordChange>,
    ) {
        for key in removed {
            let Some(index) = self.find(*key) else {
                let key = key.to_bytes();
                made.push(RecordChange::Remove { key });
                continue;
            };
            // It has come back, and has the record of before until it has its own.
            if let Some(counter) = self.slab.get_mut(index) {
                counter.has_record = true;
            }
            self.note(index, EndHint::UNKNOWN);
        }
    }

    /// Makes records of those of the counters that are noted.
    pub(in crate::store::memory) fn record(
        &mut self,
        now: Timestamp,
        ends_after: Timestamp,
        changed: &[ChangedCounter],
        made: &mut Vec<RecordChange>,
    ) {
        for ChangedCounter { index, hint } in changed {
            let counter = self.slab.get_mut(*index);
            let Some(counter) = counter.filter(|counter| counter.is_noted) else {
                continue;
            };
            counter.is_noted = false;
            let key = counter.key.to_bytes();
            let ends_at = counter.states.ends_at(*hint);
            if ends_at > ends_after {
                counter.has_record = true;
                let record = CounterRecord::encode_parts(
                    ends_at,
                    counter.pinned_until_secs,
                    now,
                    &counter.states,
                );
                made.push(RecordChange::Put { key, record });
            } else if counter.has_record {
                counter.has_record = false;
                made.push(RecordChange::Remove { key });
            }
        }
    }

    /// Notes those of the counters that have no record, or all of them, without listing them.
    pub(in crate::store::memory) fn mark_unrecorded(
        &mut self,
        counters: &[ChangedCounter],
        all: bool,
    ) {
        for ChangedCounter { index, .. } in counters {
            if let Some(counter) = self.slab.get_mut(*index) {
                counter.is_noted |= all || !counter.has_record;
            }
        }
    }
}
