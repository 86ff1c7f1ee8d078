//! Counters that many weirs share, in Redis or a server that speaks its protocol.
//!
//! The states of a rule for one client key are one key in Redis, and one script takes all hits of a request, or of
//! several that came together. It decides as [`crate::limit`] does, and gives back what it found; how a counter then stands
//! is told by the same [`step`](crate::limit::step) that tells it in memory.

mod address;
mod agreement;
mod connect;
mod exchange;
mod lane;
mod script;
mod shared;

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use thread_local::ThreadLocal;
use tokio::sync::oneshot;

pub use address::{InvalidAddress, Password, RedisAddress};
pub use script::RedisClock;

use super::memory::Memory;
use super::{Answer, HashKey, Hit, KeyHasher, NoRandomness, Stats};
use crate::clock::Timestamp;
use crate::limit::Outcomes;
use lane::{Call, Lane, Taken};
use shared::Shared;

/// What a store in Redis is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisConfig {
    /// Where it is.
    pub address: RedisAddress,
    /// How to know it, and how it knows us; of no use without TLS.
    pub tls: RedisTls,
    /// What the names of all keys begin with.
    pub prefix: String,
    /// The key of the counters' names; none if Redis is to hold one for all.
    pub hash_key: Option<HashKey>,
    /// How long to wait for an answer.
    pub deadline: Duration,
    /// Whose clock windows go by.
    pub clock: RedisClock,
    /// How long a counter is kept after it says nothing any more.
    pub kept_after_end: Duration,
}

impl RedisConfig {
    /// The usual settings.
    pub fn new(address: RedisAddress) -> Self {
        Self {
            address,
            tls: RedisTls::default(),
            prefix: "weir:".to_owned(),
            hash_key: None,
            deadline: Duration::from_millis(10),
            clock: RedisClock::Server,
            kept_after_end: Duration::from_secs(10),
        }
    }
}

/// Certificates, in PEM.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RedisTls {
    /// The authorities that Redis' certificate may come from; none for those of the system.
    pub authority: Option<Vec<u8>>,
    /// As whom to come.
    pub identity: Option<Identity>,
}

/// A client's certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and those between it and its authority.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
}

impl fmt::Debug for RedisTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTls")
            .field("authority", &self.authority.is_some())
            .field("identity", &self.identity.is_some())
            .finish()
    }
}

/// Counters in Redis.
#[derive(Debug)]
pub struct Redis {
    shared: Arc<Shared>,
    lanes: ThreadLocal<RefCell<Option<Lane>>>,
    /// For what is counted while Redis cannot.
    meanwhile: Memory,
}

impl Redis {
    pub(super) fn new(config: RedisConfig, meanwhile: Memory) -> Result<Self, NoRandomness> {
        Ok(Self {
            shared: Arc::new(Shared::new(config)?),
            lanes: ThreadLocal::new(),
            meanwhile,
        })
    }

    pub(super) fn meanwhile(&self) -> &Memory {
        &self.meanwhile
    }

    pub(super) fn stats(&self) -> Stats {
        self.meanwhile.stats()
    }

    pub(super) fn hasher(&self) -> KeyHasher {
        self.shared.agreement.hasher()
    }

    pub(super) async fn hit(&self, now: Timestamp, hits: &[Hit<'_>]) -> Answer {
        let taken = match hits {
            [] => None,
            hits => self.take(now, hits).await,
        };
        let Some(taken) = taken else {
            return Answer {
                now,
                outcomes: hits.iter().map(|_| Outcomes::default()).collect(),
                not_counted: (0..hits.len()).collect(),
            };
        };
        let now = match taken.server_now {
            Some(server_now) => self.shared.clock.moment(now, server_now),
            None => now,
        };
        let mut answer = Answer {
            now,
            outcomes: SmallVec::with_capacity(hits.len()),
            not_counted: SmallVec::new(),
        };
        for (at, (hit, found)) in hits.iter().zip(&taken.found).enumerate() {
            let outcomes = found.step(hit, now);
            if outcomes.is_none() {
                answer.not_counted.push(at);
            }
            answer.outcomes.push(outcomes.unwrap_or_default());
        }
        answer
    }

    /// Has Redis take the hits; none if it does not say in time that it has.
    async fn take(&self, now: Timestamp, hits: &[Hit<'_>]) -> Option<Taken> {
        let (answer, taken) = oneshot::channel();
        let mut call = Call {
            keys: SmallVec::with_capacity(hits.len()),
            hits: Vec::with_capacity(64 * hits.len()),
            ends: SmallVec::with_capacity(hits.len()),
            answer: Some(answer),
        };
        for hit in hits {
            call.keys.push(hit.key);
            script::encode(&mut call.hits, now, hit);
            call.ends.push(call.hits.len());
        }
        self.with_lane(|lane| lane.take(call));
        tokio::time::timeout(self.shared.deadline, taken)
            .await
            .ok()?
            .ok()
    }

    /// The lane of this thread.
    fn with_lane(&self, ask: impl FnOnce(&Lane)) {
        let mut lane = self.lanes.get_or_default().borrow_mut();
        match &*lane {
            Some(lane) if !lane.is_gone() => ask(lane),
            _ => ask(lane.insert(Lane::start(Arc::clone(&self.shared)))),
        }
    }
}
