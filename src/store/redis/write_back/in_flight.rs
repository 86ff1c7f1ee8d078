//! A write that was sent: it ends when Redis answers, or when the connection gives up.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::entry::WriteBackEntry;
use super::{RETRY_DELAY, WriteBack};
use crate::store::CounterKey;
use crate::store::redis::pending_write::PendingWrite;
use crate::store::redis::script::StoredStates;

/// A write on its way to Redis. Dropping it returns the write, as not applied.
#[derive(Debug)]
pub(in crate::store::redis) struct InFlight {
    pub(super) write_back: Arc<WriteBack>,
    pub(super) key: CounterKey,
    pub(super) id: u64,
    /// As the script reads it.
    pub(super) batch: Vec<u8>,
    pub(super) is_done: bool,
}

impl InFlight {
    pub(in crate::store::redis) fn key(&self) -> CounterKey {
        self.key
    }

    /// The batch for the script, which can be taken once.
    pub(in crate::store::redis) fn take_batch(&mut self) -> Vec<u8> {
        mem::take(&mut self.batch)
    }

    /// Redis has applied it to the states that it had `found`.
    pub(in crate::store::redis) fn applied(mut self, found: &StoredStates) {
        self.finish(|write_back, key, _, write| {
            let mut states = found.states(&write.set);
            states.align(&write.set);
            write.delta.add_to(&write.set, &mut states);
            write_back.cache.refresh(key, states);
            write_back.written.fetch_add(write.hits, Ordering::Relaxed);
        });
    }

    /// Redis may have applied it.
    pub(in crate::store::redis) fn maybe_applied(mut self) {
        self.finish(|write_back, _, entry, write| {
            entry.next.put_back_uncertain(&write);
            write_back.wait(entry, RETRY_DELAY);
        });
    }

    /// Takes the write out of those in flight; a counter that was reset in the meantime has none.
    fn finish(
        &mut self,
        end: impl FnOnce(&WriteBack, CounterKey, &mut WriteBackEntry, PendingWrite),
    ) {
        self.is_done = true;
        let mut shard = self.write_back.shard(self.key);
        let Some(entry) = shard.get_mut(&self.key) else {
            return;
        };
        let Some(at) = entry.in_flight.iter().position(|(id, _)| *id == self.id) else {
            return;
        };
        let (_, write) = entry.in_flight.remove(at);
        end(&self.write_back, self.key, entry, write);
        if !entry.has_writes() {
            shard.remove(&self.key);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.is_done {
            self.finish(|write_back, _, entry, write| {
                entry.next.put_back(write);
                write_back.wait(entry, RETRY_DELAY);
            });
        }
    }
}
