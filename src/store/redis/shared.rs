//! What all worker connections of a store share: configuration, the clock offset, and statistics.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::Script;
use tokio::sync::watch;
use tokio::time::Instant;

use super::RedisConfig;
use super::connect::{CommandOutcome, Connector, RedisConnection, hash_slot};
use super::handshake::{FORMAT, Handshake};
use super::script;
use super::time::{ClockOffset, RedisClock, RedisTime};
use crate::clock::Timestamp;
use crate::store::{CounterKey, RngError, SharedStats, StoreError};

#[derive(Debug)]
pub(super) struct Shared {
    connector: Connector,
    pub(super) handshake: Handshake,
    prefix: String,
    pub(super) deadline: Duration,
    clock: RedisClock,
    pub(super) script_sha: String,
    /// The first argument of the script.
    pub(super) header: Vec<u8>,
    /// For logs; without secrets.
    address: String,
    /// The offset at the last reply, in microseconds.
    offset: AtomicI64,
    connections: watch::Sender<u64>,
    connects: AtomicU64,
    round_trips: AtomicU64,
    local_answers: AtomicU64,
    fallback_hits: AtomicU64,
    /// Nodes of a cluster that are left alone because they do not answer.
    open_circuits: AtomicU64,
    /// Whether `error` is set; read for each reply.
    is_down: AtomicBool,
    trouble: Mutex<Trouble>,
}

/// What is wrong with Redis, and what the log says of it.
#[derive(Debug, Default)]
struct Trouble {
    /// Why Redis is unavailable; `None` if it is not.
    error: Option<StoreError>,
    /// Whether the log has `error`.
    is_logged: bool,
    logged_at: Option<Instant>,
}

/// The least time between two troubles in the log. If one worker fails while others do not, the store is up and down in
/// turn.
const LOG_PAUSE: Duration = Duration::from_secs(10);

impl Shared {
    pub(super) fn new(config: RedisConfig) -> Result<Self, RngError> {
        let grace_millis = u64::try_from(config.grace_ttl.as_millis()).unwrap_or(u64::MAX);
        Ok(Self {
            handshake: Handshake::new(&config.prefix, config.hash_key)?,
            prefix: format!("{}{FORMAT}:", config.prefix),
            deadline: config.deadline,
            clock: config.clock,
            script_sha: Script::new(script::SOURCE).get_hash().to_owned(),
            header: script::header(config.clock, grace_millis),
            address: config.address.to_string(),
            connector: Connector::new(config.address, config.tls),
            offset: AtomicI64::new(0),
            connections: watch::Sender::new(0),
            connects: AtomicU64::new(0),
            round_trips: AtomicU64::new(0),
            local_answers: AtomicU64::new(0),
            fallback_hits: AtomicU64::new(0),
            open_circuits: AtomicU64::new(0),
            is_down: AtomicBool::new(false),
            trouble: Mutex::default(),
        })
    }

    /// The name of a counter in Redis.
    pub(super) fn name(&self, key: CounterKey) -> String {
        let mut name = String::with_capacity(self.prefix.len() + 32);
        name.push_str(&self.prefix);
        key.push_hex(&mut name);
        name
    }

    /// The name of a hash of records in Redis.
    pub(super) fn records_key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The hash slot of a counter in a cluster.
    pub(super) fn hash_slot(&self, key: CounterKey) -> u16 {
        hash_slot(self.name(key).as_bytes())
    }

    /// Connects to a Redis that counters can be shared through, and that answers in time.
    pub(super) async fn connect(&self) -> Result<RedisConnection, StoreError> {
        let mut connection = self.connector.connect().await?;
        let timeout = self.patience();
        let negotiation = self.handshake.negotiate(&mut connection);
        let negotiated = tokio::time::timeout(timeout, negotiation).await;
        negotiated.map_err(|_| StoreError::Timeout)??;
        self.verify(&mut connection).await?;
        Ok(connection)
    }

    /// Checks that Redis answers in time, and that what the instances agreed on has not changed.
    pub(super) async fn heartbeat(&self, mut connection: RedisConnection) -> CommandOutcome {
        match self.verify(&mut connection).await {
            Ok(()) => CommandOutcome::Ok,
            Err(error @ StoreError::Incompatible(_)) => CommandOutcome::Broken(error),
            Err(error) if error != StoreError::Timeout && !connection.is_cluster() => {
                CommandOutcome::Broken(error)
            }
            Err(_) => CommandOutcome::Failed,
        }
    }

    /// How long to wait for the first answers of a connection.
    pub(super) fn patience(&self) -> Duration {
        self.deadline.max(Duration::from_secs(1))
    }

    async fn verify(&self, connection: &mut RedisConnection) -> Result<(), StoreError> {
        let verification = self.handshake.verify(connection);
        let verified = tokio::time::timeout(self.deadline, verification).await;
        verified.map_err(|_| StoreError::Timeout)?
    }

    /// The time by which Redis counted a call made at `now` that it answered at `server_now`.
    pub(super) fn time_of_call(&self, now: Timestamp, server_now: RedisTime) -> RedisTime {
        let time = self.clock.time_of_call(now, server_now);
        let offset = ClockOffset::between(now, time);
        self.offset.store(offset.micros(), Ordering::Relaxed);
        time
    }

    /// The time of the counters, by the offset at the last reply.
    pub(super) fn redis_time(&self, now: Timestamp) -> RedisTime {
        ClockOffset::from_micros(self.offset.load(Ordering::Relaxed)).apply(now)
    }

    /// A worker is connected, and Redis counts.
    pub(super) fn report_connected(&self) {
        self.connections
            .send_modify(|connections| *connections += 1);
        if self.connects.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::info!(redis = self.address, "connected to redis");
        }
        self.report_answer(true);
    }

    /// A worker has lost its connection.
    pub(super) fn report_disconnected(&self) {
        self.connections
            .send_modify(|connections| *connections -= 1);
    }

    /// Waits until a worker is connected.
    pub(super) async fn connected(&self) {
        let mut connections = self.connections.subscribe();
        // The sender is `self`, so it is not gone.
        let _ = connections.wait_for(|connections| *connections > 0).await;
    }

    /// Notes that Redis has answered. Only an answer to a write (`has_written`) shows that it counts.
    pub(super) fn report_answer(&self, has_written: bool) {
        let is_partly_down = || self.open_circuits.load(Ordering::Relaxed) > 0;
        if !self.is_down.load(Ordering::Relaxed) || is_partly_down() {
            return;
        }
        let mut trouble = self.trouble.lock();
        if !has_written && trouble.error != Some(StoreError::Timeout) {
            return;
        }
        self.is_down.store(false, Ordering::Relaxed);
        trouble.error = None;
        if mem::take(&mut trouble.is_logged) {
            tracing::info!(redis = self.address, "redis connection restored");
        }
    }

    /// Redis does not count, or not all of it.
    pub(super) fn report_failure(&self, reason: StoreError) {
        let mut trouble = self.trouble.lock();
        let is_recent = |at: Instant| at.elapsed() < LOG_PAUSE;
        if !trouble.is_logged && !trouble.logged_at.is_some_and(is_recent) {
            tracing::error!(
                redis = self.address,
                "redis unavailable, applying on_store_error: {reason}"
            );
            trouble.is_logged = true;
            trouble.logged_at = Some(Instant::now());
        }
        self.is_down.store(true, Ordering::Relaxed);
        trouble.error = Some(reason);
    }

    /// A node of a cluster is left alone, until [`Shared::close_circuit`].
    pub(super) fn open_circuit(&self) {
        self.open_circuits.fetch_add(1, Ordering::Relaxed);
        self.report_failure(StoreError::Timeout);
    }

    pub(super) fn close_circuit(&self) {
        self.open_circuits.fetch_sub(1, Ordering::Relaxed);
    }

    /// Why Redis is unavailable; `None` if it is not.
    pub(super) fn error(&self) -> Option<StoreError> {
        self.trouble.lock().error.clone()
    }

    /// Whether Redis was unavailable when last asked.
    pub(super) fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }

    pub(super) fn count_round_trip(&self) {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_local_answer(&self) {
        self.local_answers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_fallback(&self, hits: usize) {
        if hits > 0 {
            self.fallback_hits.fetch_add(hits as u64, Ordering::Relaxed);
        }
    }

    /// All but the statistics of the write-back.
    pub(super) fn stats(&self) -> SharedStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SharedStats {
            connections: *self.connections.borrow(),
            connects: read(&self.connects),
            round_trips: read(&self.round_trips),
            local_answers: read(&self.local_answers),
            fallback_hits: read(&self.fallback_hits),
            is_up: !self.is_down.load(Ordering::Relaxed),
            ..SharedStats::default()
        }
    }
}
