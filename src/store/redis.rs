//! Counters that several instances share, in Redis or a server that speaks its protocol.
//!
//! The states of a rule for one client are one key in Redis. One script counts all hits of a
//! request, or of several that travel together; it decides as [`crate::limit`] does and returns the
//! states that it found, and the same [step](crate::limit::check_and_apply) is repeated on them here.
//!
//! A hit goes from here to [`write_back`] (may it be answered locally?), through
//! [`group_calls`], [`worker_connection`], [`connection_task`] and [`dispatch`] to Redis, and back through [`call`].

mod address;
mod backoff;
mod call;
mod circuit;
mod config;
mod connect;
mod connection_task;
mod dispatch;
mod flush;
mod group_calls;
mod handshake;
mod local_cache;
mod node_map;
mod node_queue;
mod pending_write;
mod records;
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
use crate::limit::{Outcomes, States};
use crate::request::LeaseId;
use call::ScriptCall;
use connect::RedisConnection;
use local_cache::LocalCache;
use pending_write::{Certainty, LocalCharge};
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
    /// For what instances share beside counters; `None` until it is needed, and after a failure.
    records_connection: tokio::sync::Mutex<Option<RedisConnection>>,
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
            records_connection: tokio::sync::Mutex::default(),
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
        let slot_of = |hit: &Hit<'_>| self.is_cluster.then(|| self.shared.hash_slot(hit.key));
        let groups = SlotGroup::split(batch, remaining, slot_of);
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
