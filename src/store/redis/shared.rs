//! What all lanes of a store have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::Script;
use tokio::sync::watch;

use super::RedisConfig;
use super::connect::{Connector, Link};
use super::dispatch::{self, Exchange, LATE};
use super::handshake::{Agreement, Disagreement, FORMAT};
use super::script::{self, RedisClock};
use super::write_back::Owed;
use crate::clock::Timestamp;
use crate::store::{CounterKey, RngError, SharedStats};

/// What all lanes of a store have in common.
#[derive(Debug)]
pub(super) struct Shared {
    connector: Connector,
    pub(super) agreement: Agreement,
    prefix: String,
    pub(super) deadline: Duration,
    pub(super) clock: RedisClock,
    pub(super) script_sha: String,
    pub(super) header: Vec<u8>,
    address: String,
    connections: watch::Sender<u64>,
    connected: AtomicU64,
    round_trips: AtomicU64,
    answered_here: AtomicU64,
    not_counted: AtomicU64,
    /// What was counted here, and Redis is not told of yet.
    pub(super) owed: Arc<Owed>,
    /// How far the store's clock was ahead of ours at the last answer, in microseconds.
    ahead: AtomicI64,
    is_in_trouble: AtomicBool,
    /// Why counters could last not be shared; none if they can.
    trouble: Mutex<Option<String>>,
}

impl Shared {
    pub(super) fn new(config: RedisConfig) -> Result<Self, RngError> {
        let kept_millis = u64::try_from(config.grace_ttl.as_millis()).unwrap_or(u64::MAX);
        Ok(Self {
            agreement: Agreement::new(&config.prefix, config.hash_key)?,
            prefix: format!("{}{FORMAT}:", config.prefix),
            deadline: config.deadline,
            clock: config.clock,
            script_sha: Script::new(script::SOURCE).get_hash().to_owned(),
            header: script::header(config.clock, kept_millis),
            address: config.address.to_string(),
            connector: Connector::new(config.address, config.tls),
            connections: watch::Sender::new(0),
            connected: AtomicU64::new(0),
            round_trips: AtomicU64::new(0),
            answered_here: AtomicU64::new(0),
            not_counted: AtomicU64::new(0),
            owed: Arc::default(),
            ahead: AtomicI64::new(0),
            is_in_trouble: AtomicBool::new(false),
            trouble: Mutex::new(None),
        })
    }

    /// The name of a counter in Redis.
    pub(super) fn name(&self, key: CounterKey) -> String {
        format!("{}{}", self.prefix, key.hex())
    }

    /// The slot of a counter in a cluster.
    pub(super) fn slot(&self, key: CounterKey) -> u16 {
        dispatch::slot(self.name(key).as_bytes())
    }

    /// A connection to a Redis with whom counters can be shared, and which answers in time.
    pub(super) async fn open(&self) -> Result<Link, String> {
        let mut link = self
            .connector
            .connect()
            .await
            .map_err(|error| error.to_string())?;
        let agreeing = self.agreement.reach(&mut link);
        let patience = self.deadline.max(Duration::from_secs(1));
        match tokio::time::timeout(patience, agreeing).await {
            Ok(agreed) => agreed.map_err(|disagreement| disagreement.to_string())?,
            Err(_) => return Err("Redis does not answer".to_owned()),
        }
        if !link.has_slots() {
            // Calls that have to be sent again with the script would change places. Who may not load it does that.
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD").arg(script::SOURCE);
            let _ = tokio::time::timeout(patience, link.send(&load)).await;
        }
        match tokio::time::timeout(self.deadline, self.agreement.look(&mut link)).await {
            Ok(Ok(())) => Ok(link),
            Ok(Err(disagreement)) => Err(disagreement.to_string()),
            Err(_) => Err(LATE.to_owned()),
        }
    }

    /// Sees whether Redis is there, and whether what all have in common still stands.
    pub(super) async fn beat(&self, mut link: Link) -> Exchange {
        let look = tokio::time::timeout(self.deadline, self.agreement.look(&mut link));
        match look.await {
            Ok(Ok(())) => Exchange::Answered,
            Ok(Err(Disagreement::Redis(_))) if link.has_slots() => Exchange::Late,
            Ok(Err(disagreement)) => Exchange::Broken(disagreement.to_string()),
            Err(_) => Exchange::Late,
        }
    }

    /// The moment of the store's clock at which a call at `now` was taken, when it answered at `server_now`.
    pub(super) fn moment(&self, now: Timestamp, server_now: Timestamp) -> Timestamp {
        let moment = self.clock.moment(now, server_now);
        let ahead = moment.micros().cast_signed() - now.micros().cast_signed();
        self.ahead.store(ahead, Ordering::Relaxed);
        moment
    }

    /// The moment of the store's clock that it is by ours, as far as it has said.
    pub(super) fn likely_moment(&self, now: Timestamp) -> Timestamp {
        let ahead = self.ahead.load(Ordering::Relaxed);
        Timestamp::from_micros(now.micros().saturating_add_signed(ahead))
    }

    /// A lane has opened.
    pub(super) fn opened(&self) {
        self.connections
            .send_modify(|connections| *connections += 1);
        if self.connected.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::info!(redis = self.address, "connected to redis");
        }
        self.all_well();
    }

    /// Ends when a lane is open.
    pub(super) async fn connected(&self) {
        let mut connections = self.connections.subscribe();
        // The sender is ours: it cannot be gone.
        let _ = connections.wait_for(|connections| *connections > 0).await;
    }

    /// Hits were counted.
    pub(super) fn all_well(&self) {
        if !self.is_in_trouble.load(Ordering::Relaxed) {
            return;
        }
        let mut trouble = self.trouble.lock();
        self.is_in_trouble.store(false, Ordering::Relaxed);
        if trouble.take().is_some() {
            tracing::info!(redis = self.address, "redis connection restored");
        }
    }

    /// A lane has closed.
    pub(super) fn closed(&self) {
        self.connections
            .send_modify(|connections| *connections -= 1);
    }

    /// A command was sent.
    pub(super) fn count_round_trip(&self) {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
    }

    /// A hit was answered without asking Redis.
    pub(super) fn count_answered_here(&self) {
        self.answered_here.fetch_add(1, Ordering::Relaxed);
    }

    /// Hits could not be counted in Redis.
    pub(super) fn count_not_counted(&self, hits: usize) {
        if hits > 0 {
            self.not_counted.fetch_add(hits as u64, Ordering::Relaxed);
        }
    }

    pub(super) fn stats(&self) -> SharedStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SharedStats {
            connections: *self.connections.borrow(),
            connects: read(&self.connected),
            round_trips: read(&self.round_trips),
            local_answers: read(&self.answered_here),
            fallback_hits: read(&self.not_counted),
            writeback_hits: self.owed.settled(),
            writeback_dropped_hits: self.owed.forgotten(),
            is_up: !self.is_in_trouble.load(Ordering::Relaxed),
        }
    }

    pub(super) fn current_trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// Something keeps counters from being shared.
    pub(super) fn trouble(&self, reason: &str) {
        let mut trouble = self.trouble.lock();
        if trouble.is_none() {
            tracing::error!(
                redis = self.address,
                "redis unavailable, applying on_store_error: {reason}"
            );
        }
        self.is_in_trouble.store(true, Ordering::Relaxed);
        *trouble = Some(reason.to_owned());
    }
}
