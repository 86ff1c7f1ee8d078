//! Which counters of a shard have changed since their last record.

use crate::limit::EndHint;
use crate::store::CounterKey;

/// A counter that has changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChangedCounter {
    /// Its index in the slab, which may be another counter's by now.
    pub(super) index: u32,
    /// Of its limits.
    pub(super) hint: EndHint,
}

/// Changes since the last records. Both lists are bounded by the counters of the shard and their records.
#[derive(Debug, Default)]
pub(super) struct ShardChanges {
    pub(super) changed: Vec<ChangedCounter>,
    /// Counters with a record that are gone.
    pub(super) removed: Vec<CounterKey>,
}

impl ShardChanges {
    /// Notes a counter that was not noted since its last record. `span` is the span of the slab.
    pub(super) fn push(&mut self, counter: ChangedCounter, span: u32) {
        // An index is listed again when its counter was evicted and another one is there.
        if self.changed.len() >= 2 * span as usize + 64 {
            self.changed.sort_unstable_by_key(|changed| changed.index);
            self.changed.dedup_by(|later, kept| {
                let is_same = later.index == kept.index;
                if is_same {
                    kept.hint = kept.hint.max(later.hint);
                }
                is_same
            });
        }
        self.changed.push(counter);
    }
}
