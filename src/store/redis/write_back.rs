//! Hits counted locally that Redis does not have yet.
//!
//! Hits are counted locally in three cases: Redis is unavailable and the rule falls back to local
//! counting, `--redis-flush-interval` is set, or a counter over its limit charges refused hits, too.
//!
//! The invariant: what Redis reported of a counter, plus all its writes here (waiting and in
//! flight), is what this instance knows of it. A write ends only when Redis has acknowledged it,
//! when the counter is reset, or, counted as dropped, when too many counters wait. It is sent once:
//! if no answer comes, Redis may or may not have it, and the next write raises Redis to at least
//! what this instance knows. Hits that were sent themselves without an answer are treated alike.

mod entry;
mod in_flight;

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{self, Notify};
use tokio::time::Instant;

use super::local_cache::{LocalCache, is_blocked};
use super::pending_write::{Certainty, LocalCharge};
use super::script;
use super::time::RedisTime;
use crate::clock::Timestamp;
use crate::limit::{Operation, Outcomes, States, check_and_apply};
use crate::request::Cost;
use crate::store::{CounterKey, Hit};
use entry::WriteBackEntry;
pub(super) use in_flight::InFlight;

const SHARDS: usize = 64;

/// Counters with writes, at most; beyond that those charged least recently are dropped.
const MAX_COUNTERS: usize = 65_536;

/// How long a write that failed waits before it is sent in the background again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// How often to look for writes that are due.
const SCAN_PERIOD: Duration = Duration::from_millis(10);

/// All writes, and the reports of Redis that they come on top of.
#[derive(Debug)]
pub(super) struct WriteBack {
    cache: LocalCache,
    shards: Box<[Mutex<Shard>]>,
    /// `None` if hits are only counted locally when Redis is unavailable.
    flush_interval: Option<Duration>,
    /// Entries with a pending write.
    waiting: AtomicUsize,
    added: Notify,
    turn: sync::Mutex<()>,
    next_id: AtomicU64,
    written: AtomicU64,
    dropped: AtomicU64,
}

type Shard = HashMap<CounterKey, WriteBackEntry>;

/// What this instance knows of a counter: where the fallback store starts from.
#[derive(Debug)]
pub(super) struct Knowledge {
    /// What Redis last reported, if it is still cached.
    pub(super) reported: Option<States>,
    /// With all writes added.
    pub(super) current: States,
}

impl WriteBack {
    pub(super) fn new(cache: LocalCache, flush_interval: Duration) -> Self {
        Self {
            cache,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            flush_interval: Some(flush_interval).filter(|interval| !interval.is_zero()),
            waiting: AtomicUsize::new(0),
            added: Notify::new(),
            turn: sync::Mutex::new(()),
            next_id: AtomicU64::new(0),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// Answers and charges a hit without Redis, if it may: within the flush interval, or because the
    /// counter is known to be over its limit.
    pub(super) fn answer(&self, now: Timestamp, hit: &Hit<'_>) -> Option<(Outcomes, RedisTime)> {
        if !is_cacheable(hit) || matches!(hit.cost, Cost::Refund(_)) {
            return None;
        }
        self.cache.fresh(now, hit.key)?;
        let mut shard = self.shard(hit.key);
        // Under the lock no write can move from here into the report.
        let reported = self.cache.fresh(now, hit.key)?;
        let at = reported.redis_time(now);
        let mut states = reported.states.clone();
        states.align(hit.set);
        if let Some(entry) = shard.get_mut(&hit.key) {
            entry.add_to(hit, &mut states);
        }
        let operation = Operation {
            now: at.timestamp(),
            cost: hit.cost,
            lease: None,
        };
        let outcomes = check_and_apply(hit.set, hit.active, &mut states, operation);
        if self.flush_interval.is_none() && !is_blocked(&outcomes) {
            return None;
        }
        if let Some(charge) = LocalCharge::new(hit, &outcomes, false, at) {
            let entry = shard.entry(hit.key);
            let entry =
                entry.or_insert_with(|| WriteBackEntry::new(hit.set, reported.states.clone()));
            entry.next.charge(hit.set, charge, Certainty::Unwritten);
            entry.is_in_fallback = false;
            self.wait(entry, self.flush_interval.unwrap_or_default());
            self.limit_size(&mut shard);
        }
        Some((outcomes, at))
    }

    /// Stores how Redis has a counter after a hit at `now`, which is `redis_time` in Redis.
    pub(super) fn learn(
        &self,
        now: Timestamp,
        redis_time: RedisTime,
        hit: &Hit<'_>,
        states: &States,
        outcomes: &Outcomes,
    ) {
        if is_cacheable(hit) {
            self.cache
                .insert(now, redis_time, hit.key, states, outcomes);
        }
    }

    /// What the fallback store has to start from. `None` if it has the latest already, because all
    /// that has been counted since the last report was counted there.
    pub(super) fn take_knowledge(&self, hit: &Hit<'_>) -> Option<Knowledge> {
        let mut shard = self.shard(hit.key);
        let reported = self.cache.remove(hit.key).map(|entry| entry.states.clone());
        let entry = shard.get_mut(&hit.key);
        let is_in_fallback = entry.as_deref().is_none_or(|entry| entry.is_in_fallback);
        let mut current = match (&reported, &entry) {
            (Some(reported), _) => reported.clone(),
            (None, Some(entry)) if !is_in_fallback => entry.next.delta.local().clone(),
            (None, _) => return None,
        };
        current.align(hit.set);
        if let Some(entry) = entry {
            entry.is_in_fallback = true;
            if reported.is_some() {
                entry.add_to(hit, &mut current);
            }
        }
        Some(Knowledge { reported, current })
    }

    /// Adds what the fallback store has charged for a hit. If it charged nothing but refused, Redis
    /// gets at least what it last `reported`: it may have lost it.
    pub(super) fn charge(
        &self,
        hit: &Hit<'_>,
        charge: Option<LocalCharge>,
        certainty: Certainty,
        reported: Option<States>,
    ) {
        let mut shard = self.shard(hit.key);
        let entry = shard.entry(hit.key);
        let entry = entry.or_insert_with(|| WriteBackEntry::new(hit.set, States::fresh(hit.set)));
        if let Some(reported) = reported {
            entry.rebase(hit, reported);
        }
        entry.next.delta.mark_remote_uncertain();
        if let Some(charge) = charge {
            entry.next.charge(hit.set, charge, certainty);
        }
        entry.is_in_fallback = true;
        self.wait(entry, self.flush_interval.unwrap_or_default());
        self.limit_size(&mut shard);
    }

    /// Takes the pending write of a counter, to be sent.
    pub(super) fn take(self: &Arc<Self>, key: CounterKey) -> Option<InFlight> {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut shard = self.shard(key);
        self.send(key, shard.get_mut(&key)?)
    }

    /// Takes up to `max` writes that are due; waits until there is one.
    pub(super) async fn take_due(self: &Arc<Self>, max: usize) -> Vec<InFlight> {
        loop {
            let added = self.added.notified();
            if self.waiting.load(Ordering::Relaxed) == 0 {
                added.await;
                continue;
            }
            let now = Instant::now();
            let mut taken = Vec::new();
            // From another shard each time, so that all get their turn.
            let start = self.next_id.load(Ordering::Relaxed) as usize;
            for nth in 0..SHARDS {
                let mut shard = self.shards[(start + nth) % SHARDS].lock();
                let due = shard.iter_mut().filter(|(_, entry)| entry.due <= now);
                let due = due.filter_map(|(key, entry)| self.send(*key, entry));
                taken.extend(due.take(max - taken.len()));
                if taken.len() == max {
                    break;
                }
            }
            if !taken.is_empty() {
                return taken;
            }
            tokio::time::sleep(SCAN_PERIOD).await;
        }
    }

    /// Makes all writes due: Redis is available again.
    pub(super) fn retry(&self) {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let now = Instant::now();
        for shard in &self.shards {
            for entry in shard.lock().values_mut() {
                entry.due = entry.due.min(now);
            }
        }
    }

    /// Waits for the turn to flush: one worker at a time, so that Redis has time for others.
    pub(super) async fn turn(&self) -> sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Forgets a counter and its writes.
    pub(super) fn forget(&self, key: CounterKey) {
        let mut shard = self.shard(key);
        self.cache.remove(key);
        if shard.remove(&key).is_some_and(|entry| entry.is_waiting) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Hits written so far.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Hits dropped so far, because too many counters were waiting.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Has an entry wait to be sent, in the background after `delay`.
    fn wait(&self, entry: &mut WriteBackEntry, delay: Duration) {
        if !entry.is_waiting {
            entry.is_waiting = true;
            entry.due = Instant::now() + delay;
            self.waiting.fetch_add(1, Ordering::Relaxed);
            self.added.notify_one();
        }
    }

    /// Drops a sixteenth of the writes of a shard that has too many, those charged least recently.
    fn limit_size(&self, shard: &mut Shard) {
        if shard.len() <= MAX_COUNTERS / SHARDS {
            return;
        }
        let waiting = shard.values().filter(|entry| entry.is_waiting);
        let mut times: Vec<RedisTime> = waiting.map(|entry| entry.next.charged_at).collect();
        let nth = times.len() / 16;
        let Some((_, latest, _)) = (nth < times.len()).then(|| times.select_nth_unstable(nth))
        else {
            return;
        };
        let waiting = shard.values_mut().filter(|entry| entry.is_waiting);
        let oldest = waiting.filter(|entry| entry.next.charged_at <= *latest);
        for entry in oldest.take(nth + 1) {
            entry.is_waiting = false;
            let hits = entry.next.take().hits;
            self.dropped.fetch_add(hits, Ordering::Relaxed);
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        shard.retain(|_, entry| entry.has_writes());
    }

    fn send(self: &Arc<Self>, key: CounterKey, entry: &mut WriteBackEntry) -> Option<InFlight> {
        if !mem::take(&mut entry.is_waiting) {
            return None;
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        let write = entry.next.take();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let batch = script::encode_merge(write.charged_at, &write.set, &write.delta);
        entry.in_flight.push((id, write));
        Some(InFlight {
            write_back: Arc::clone(self),
            key,
            id,
            batch,
            is_done: false,
        })
    }

    fn shard(&self, key: CounterKey) -> MutexGuard<'_, Shard> {
        self.shards[key.high_bits() % SHARDS].lock()
    }
}

/// Slots can be released at any time, so Redis is asked for them each time.
fn is_cacheable(hit: &Hit<'_>) -> bool {
    !hit.set.has_leases() && hit.lease.is_none()
}

#[cfg(test)]
mod tests;
