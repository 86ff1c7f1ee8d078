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
mod near;
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
use crate::clock::{Micros, Timestamp};
use crate::limit::Outcomes;
use crate::request::Cost;
use lane::{Call, Lane, Taken};
use near::{Debit, Near};
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
    /// How long a counter that is over its limit is refused without asking; nothing if it is not. After that time
    /// at the latest weir sees what others gave back to it.
    pub refuse_locally: Duration,
    /// How long counters are counted here before that is settled with Redis; nothing if every hit is asked for.
    pub batch: Duration,
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
            refuse_locally: Duration::from_secs(1),
            batch: Duration::ZERO,
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
    near: Arc<Near>,
    /// For what is counted while Redis cannot.
    meanwhile: Memory,
}

impl Redis {
    pub(super) fn new(config: RedisConfig, meanwhile: Memory) -> Result<Self, NoRandomness> {
        let near = Near::new(micros(config.refuse_locally), micros(config.batch));
        Ok(Self {
            shared: Arc::new(Shared::new(config)?),
            lanes: ThreadLocal::new(),
            near: Arc::new(near),
            meanwhile,
        })
    }

    pub(super) fn hasher(&self) -> KeyHasher {
        self.shared.agreement.hasher()
    }

    /// Starts to connect, if this thread has no lane yet.
    pub(super) fn prepare(&self) {
        self.with_lane(|_| {});
    }

    pub(super) async fn hit(&self, now: Timestamp, hits: &[Hit<'_>]) -> Answer {
        let mut answer = Answer {
            now,
            outcomes: hits.iter().map(|_| Outcomes::default()).collect(),
            not_counted: SmallVec::new(),
        };
        let mut debits = Vec::new();
        let mut asked = SmallVec::<[usize; 2]>::new();
        for (at, hit) in hits.iter().enumerate() {
            match self.near.hit(now, hit, &mut debits) {
                near::Memory::Known(outcomes, moment) => {
                    answer.now = moment;
                    answer.outcomes[at] = outcomes;
                    self.shared.count_answered_here();
                }
                near::Memory::Unknown => asked.push(at),
            }
        }
        self.debit(debits);
        if !asked.is_empty() {
            let asked_hits: SmallVec<[Hit<'_>; 2]> = asked.iter().map(|at| hits[*at]).collect();
            let taken = self.take(now, &asked_hits).await;
            self.fill_in(&mut answer, (now, hits), (&asked, taken.as_ref()));
        }
        answer
    }

    /// Takes a hit in this process. What is remembered of the counter still refuses.
    pub(super) fn hit_meanwhile(&self, now: Timestamp, hit: Hit<'_>) -> Outcomes {
        let recalled = match hit.cost {
            Cost::Refund(_) => None,
            Cost::Hits(_) | Cost::Look => self.near.recall(now, &hit),
        };
        recalled.unwrap_or_else(|| self.meanwhile.hit(now, &[hit]).remove(0))
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            shared: Some(self.shared.stats()),
            ..self.meanwhile.stats()
        }
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.shared.current_trouble()
    }

    /// Puts in what Redis said of the hits at those places.
    fn fill_in(
        &self,
        answer: &mut Answer,
        (now, hits): (Timestamp, &[Hit<'_>]),
        (asked, taken): (&[usize], Option<&Taken>),
    ) {
        let server_now = taken.and_then(|taken| taken.server_now);
        let moment = server_now.map_or(now, |server| self.shared.clock.moment(now, server));
        answer.now = moment;
        let mut debits = Vec::new();
        for (nth, at) in asked.iter().enumerate() {
            let hit = &hits[*at];
            let found = taken.and_then(|taken| taken.found.get(nth));
            match found.and_then(|found| found.step(hit, moment)) {
                Some((states, outcomes)) => {
                    let stands = (states, &outcomes);
                    self.near.learn((now, moment), hit, stands, &mut debits);
                    answer.outcomes[*at] = outcomes;
                }
                None => answer.not_counted.push(*at),
            }
        }
        self.shared.count_not_counted(answer.not_counted.len());
        self.debit(debits);
    }

    /// Has Redis take the hits; none if it does not say in time that it has.
    async fn take(&self, now: Timestamp, hits: &[Hit<'_>]) -> Option<Taken> {
        let (answer, taken) = oneshot::channel();
        let mut call = Call::with_room(hits.len(), Some(answer));
        for hit in hits {
            call.push(hit.key, |out| script::encode(out, now, hit));
        }
        self.with_lane(|lane| lane.take(call));
        tokio::time::timeout(self.shared.deadline, taken)
            .await
            .ok()?
            .ok()
    }

    /// Sends debits on their way; nobody waits for them.
    fn debit(&self, debits: Vec<Debit>) {
        if !debits.is_empty() {
            self.with_lane(|lane| lane.take(Call::of_debits(debits)));
        }
    }

    /// The lane of this thread.
    fn with_lane(&self, ask: impl FnOnce(&Lane)) {
        let mut lane = self.lanes.get_or_default().borrow_mut();
        match &*lane {
            Some(lane) if !lane.is_gone() => ask(lane),
            _ => ask(lane.insert(self.start_lane())),
        }
    }

    fn start_lane(&self) -> Lane {
        let lane = Lane::start(Arc::clone(&self.shared));
        if let Some(batch) = self.near.batch() {
            let period = Duration::from_micros(batch.get());
            lane.settle_every(period, Arc::downgrade(&self.near));
        }
        lane
    }
}

fn micros(duration: Duration) -> Micros {
    Micros::new(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}
