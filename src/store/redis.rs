//! Counters that several instances share, in Redis or a server that speaks its protocol.
//!
//! The states of a rule for one client are one key in Redis. One script counts all hits of a
//! request, or of several that travel together; it decides as [`crate::limit`] does and returns the
//! states that it found, and the same step(crate::limit::check_and_apply) is repeated on them here.
//!
//! A hit goes from here to [`write_back`] (may it be answered locally?), through
//! [`worker_connection`], [`connection_task`] and [`dispatch`] to Redis, and back through [`call`].

mod address;
mod backoff;
mod call;
mod circuit;
mod config;
mod connect;
mod connection_task;
mod dispatch;
mod flush;
mod handshake;
mod local_cache;
mod node_map;
mod node_queue;
mod pending_write;
mod script;
mod server_error;
mod shared;
mod slot_groups;
mod time;
mod worker_connection;
mod write_back;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use ::redis::Value;
use futures_util::future::join_all;
use smallvec::SmallVec;
use thread_local::ThreadLocal;
use tokio::runtime::Handle;

pub use address::{InvalidAddress, Login, Password, RedisAddress};
pub use config::{Identity, RedisConfig, RedisTls};
pub use time::RedisClock;

use super::memory::Memory;
use super::{
    Batch, BatchOutcome, CounterKey, Hit, KeyHasher, NotCounted, RngError, SharedStats, Stats,
    StoreError,
};
use crate::clock::{Micros, Timestamp};
use crate::limit::{LeaseOutcome, Outcomes, States};
use crate::request::LeaseId;
use call::{CallReply, Delivery, ScriptCall};
use local_cache::LocalCache;
use pending_write::{Certainty, LocalCharge};
use script::StoredStates;
use shared::Shared;
use slot_groups::SlotGroup;
use time::RedisTime;
use worker_connection::WorkerConnection;
use write_back::WriteBack;

/// How long a reset waits for Redis.
const RESET_TIMEOUT: Duration = Duration::from_secs(2);

/// Counters in Redis.
#[derive(Debug)]
pub struct Redis {
    shared: Arc<Shared>,
    workers: ThreadLocal<RefCell<Option<WorkerConnection>>>,
    write_back: Arc<WriteBack>,
    /// Counts while Redis is unavailable.
    fallback: Memory,
    is_cluster: bool,
}

/// Redis did not answer in time.
#[derive(Clone, Copy, Debug)]
struct Undelivered {
    maybe_applied: bool,
}

impl Redis {
    pub(super) fn new(config: RedisConfig, fallback: Memory) -> Result<Self, RngError> {
        let cache = LocalCache::new(
            config.max_cached_counters,
            micros(config.over_limit_cache_ttl),
            micros(config.flush_interval),
        );
        Ok(Self {
            is_cluster: config.address.is_cluster(),
            write_back: Arc::new(WriteBack::new(cache, config.flush_interval)),
            shared: Arc::new(Shared::new(config)?),
            workers: ThreadLocal::new(),
            fallback,
        })
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.is_cluster
    }

    pub(super) fn hasher(&self) -> KeyHasher {
        self.shared.handshake.hasher()
    }

    /// Starts to connect, if this thread has no connection yet.
    pub(super) fn prepare(&self) {
        self.with_connection(|_| {});
    }

    pub(super) fn new_lease(&self) -> LeaseId {
        self.fallback.new_lease()
    }

    /// Waits until Redis is connected.
    pub(super) async fn connected(&self) {
        self.shared.connected().await;
    }

    pub(super) async fn hit(&self, now: Timestamp, batch: &Batch<'_>) -> BatchOutcome {
        let mut answer = BatchOutcome {
            now: self.shared.redis_time(now).timestamp(),
            outcomes: batch.empty_outcomes(),
            not_counted: SmallVec::new(),
        };
        let remaining = self.answer_locally(now, batch, &mut answer);
        let slot_of = |key| self.is_cluster.then(|| self.shared.hash_slot(key));
        let groups = SlotGroup::split(batch, &remaining, slot_of);
        match &*groups {
            [] => {}
            [group] => {
                let reply = self.ask(now, group).await;
                self.fill_in(&mut answer, now, group, reply);
            }
            _ => self.hit_groups(now, batch, groups, &mut answer).await,
        }
        self.shared.count_fallback(answer.not_counted.len());
        answer
    }

    /// Counts hits in this process, starting from what is known of their counters. `now` is of the
    /// store's clock. What is charged is written to Redis later.
    pub(super) fn hit_fallback(
        &self,
        now: Timestamp,
        batch: &Batch<'_>,
        why: &[NotCounted],
    ) -> SmallVec<[Outcomes; 2]> {
        let seed = |hit: &Hit<'_>| {
            let known = self.write_back.take_knowledge(hit)?;
            self.fallback.put(now, hit, known.current);
            known.reported
        };
        let reported: SmallVec<[Option<States>; 2]> = batch.hits.iter().map(seed).collect();
        let outcomes = self.fallback.hit(now, batch);
        let is_withheld = batch.atomic && batch.is_refused(&outcomes);
        for (((hit, outcomes), reported), why) in
            batch.hits.iter().zip(&outcomes).zip(reported).zip(why)
        {
            let certainty = match why.maybe_applied {
                true => Certainty::MaybeApplied,
                false => Certainty::NotApplied,
            };
            let charge = LocalCharge::new(hit, outcomes, is_withheld, RedisTime::new(now));
            if charge.is_some() || (outcomes.refused && reported.is_some()) {
                self.write_back.charge(hit, charge, certainty, reported);
            }
        }
        outcomes
    }

    pub(super) fn release(&self, now: Timestamp, lease: LeaseId, keys: &[CounterKey]) {
        let redis_time = self.shared.redis_time(now);
        self.fallback.release(redis_time.timestamp(), lease, keys);
        for key in keys {
            let batch = script::encode_release(now, lease);
            self.with_connection(|connection| {
                connection.send(ScriptCall::without_reply(*key, batch));
            });
        }
    }

    /// Deletes a counter. Other instances forget what they have cached within its lifetime.
    pub(super) async fn reset(&self, key: CounterKey) -> Result<bool, StoreError> {
        self.write_back.forget(key);
        self.fallback.reset(key);
        let mut connection = self.shared.connect().await?;
        let mut delete = ::redis::cmd("DEL");
        delete.arg(self.shared.name(key));
        match connection.send_within(RESET_TIMEOUT, &delete).await? {
            Value::Int(deleted) => Ok(deleted > 0),
            _ => Err(StoreError::UnexpectedReply),
        }
    }

    pub(super) fn stats(&self) -> Stats {
        let shared = SharedStats {
            writeback_hits: self.write_back.written(),
            writeback_dropped_hits: self.write_back.dropped(),
            ..self.shared.stats()
        };
        Stats {
            shared: Some(shared),
            ..self.fallback.stats()
        }
    }

    pub(super) fn error(&self) -> Option<StoreError> {
        self.shared.error()
    }

    /// Answers hits without Redis where possible; returns the indices of the others. If one hit
    /// decides about another, Redis has to see them all.
    fn answer_locally(
        &self,
        now: Timestamp,
        batch: &Batch<'_>,
        answer: &mut BatchOutcome,
    ) -> SmallVec<[usize; 2]> {
        if batch.is_joint() {
            return (0..batch.hits.len()).collect();
        }
        let mut remaining = SmallVec::new();
        for (index, hit) in batch.hits.iter().enumerate() {
            match self.write_back.answer(now, hit) {
                Some((outcomes, redis_time)) => {
                    answer.put(index, redis_time.timestamp(), outcomes);
                    self.shared.count_local_answer();
                }
                None => remaining.push(index),
            }
        }
        remaining
    }

    /// Has Redis decide groups that share a request. Releases go first: they entitle refunds.
    async fn hit_groups(
        &self,
        now: Timestamp,
        batch: &Batch<'_>,
        groups: SmallVec<[SlotGroup<'_>; 1]>,
        answer: &mut BatchOutcome,
    ) {
        let (first, mut then): (Vec<_>, Vec<_>) = groups.into_iter().partition(SlotGroup::releases);
        self.ask_all(now, &first, answer).await;
        let released = slot_groups::released(batch, &answer.outcomes);
        for group in &mut then {
            group.entitle_refunds(&released);
        }
        self.ask_all(now, &then, answer).await;
        if batch.is_joint() && batch.is_refused(&answer.outcomes) {
            self.release_granted(now, batch, answer);
        }
    }

    async fn ask_all(&self, now: Timestamp, groups: &[SlotGroup<'_>], answer: &mut BatchOutcome) {
        let replies = join_all(groups.iter().map(|group| self.ask(now, group))).await;
        for (group, reply) in groups.iter().zip(replies) {
            self.fill_in(answer, now, group, reply);
        }
    }

    /// Releases the slots that one group granted to a request that another group refuses.
    fn release_granted(&self, now: Timestamp, batch: &Batch<'_>, answer: &mut BatchOutcome) {
        for (hit, outcomes) in batch.hits.iter().zip(&mut answer.outcomes) {
            if outcomes.lease == LeaseOutcome::Granted
                && let Some(lease) = hit.lease
            {
                outcomes.lease = LeaseOutcome::None;
                self.release(now, lease, &[hit.key]);
            }
        }
    }

    /// Sends a group to Redis, after what is to be written for its counters.
    async fn ask(&self, now: Timestamp, group: &SlotGroup<'_>) -> Result<CallReply, Undelivered> {
        let (firsts, at) = group.batch.by_counter();
        let batch = script::encode(now, &group.batch, &at, firsts.len());
        let counters = firsts.iter().map(|hit| hit.key).collect();
        let (call, delivery) = ScriptCall::new(counters, batch);
        self.with_connection(|connection| {
            if connection.is_available() {
                let writes = firsts
                    .iter()
                    .filter_map(|hit| self.write_back.take(hit.key));
                writes.for_each(|write| connection.send(ScriptCall::write(write, None)));
            }
            connection.send(call);
        });
        match tokio::time::timeout(self.shared.deadline, delivery).await {
            Ok(Ok(Delivery::Applied(reply))) => Ok(reply),
            Ok(Ok(Delivery::Unknown)) | Err(_) => Err(Undelivered {
                maybe_applied: true,
            }),
            Ok(Err(_)) => Err(Undelivered {
                maybe_applied: false,
            }),
        }
    }

    /// Repeats the steps of the script, and fills in their outcomes.
    fn fill_in(
        &self,
        answer: &mut BatchOutcome,
        now: Timestamp,
        group: &SlotGroup<'_>,
        reply: Result<CallReply, Undelivered>,
    ) {
        let reply = match reply {
            Ok(reply) => reply,
            Err(Undelivered { maybe_applied }) => {
                let not_counted = group.indices.iter().map(|index| NotCounted {
                    index: *index,
                    maybe_applied,
                });
                answer.not_counted.extend(not_counted);
                return;
            }
        };
        let batch = &group.batch;
        let redis_time = self.shared.time_of_call(now, reply.server_now);
        let time = redis_time.timestamp();
        let (firsts, at) = batch.by_counter();
        let found = firsts.iter().zip(&reply.found);
        let mut states: SmallVec<[States; 4]> =
            found.map(|(hit, found)| found.states(hit.set)).collect();
        let outcomes = batch.apply(time, &at, &mut states);

        let is_usable = |counter: usize| match batch.is_joint() {
            true => reply.found.iter().all(StoredStates::is_usable),
            false => reply.found[counter].is_usable(),
        };
        for (nth, mut outcomes) in outcomes.into_iter().enumerate() {
            let (hit, index, counter) = (&batch.hits[nth], group.indices[nth], at[nth]);
            if !is_usable(counter) {
                answer.not_counted.push(NotCounted {
                    index,
                    maybe_applied: false,
                });
                continue;
            }
            self.write_back
                .learn(now, redis_time, hit, &states[counter], &outcomes);
            if outcomes.lease == LeaseOutcome::NotHeld {
                // It may have been granted while Redis was unavailable.
                let alone = Batch::of(*hit);
                outcomes.lease = self.fallback.hit(time, &alone).remove(0).lease;
            }
            answer.put(index, time, outcomes);
        }
    }

    /// Calls `use_it` with the connection of this thread. Without a runtime there is none.
    fn with_connection(&self, use_it: impl FnOnce(&WorkerConnection)) {
        let mut worker = self.workers.get_or_default().borrow_mut();
        match &*worker {
            Some(connection) if !connection.is_gone() => use_it(connection),
            _ if Handle::try_current().is_ok() => {
                let (shared, write_back) = (Arc::clone(&self.shared), Arc::clone(&self.write_back));
                use_it(worker.insert(WorkerConnection::start(shared, write_back)));
            }
            _ => {}
        }
    }
}

fn micros(duration: Duration) -> Micros {
    Micros::new(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}
