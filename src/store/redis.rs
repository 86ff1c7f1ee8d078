//! Counters that many weirs share, in Redis or a server that speaks its protocol.
//!
//! The states of a rule for one client key are one key in Redis, and one script takes all hits of a request, or of
//! several that came together. It decides as [`crate::limit`] does, and gives back what it found; how a counter then stands
//! is told by the same [`step`](crate::limit::check_and_apply) that tells it in memory.

mod address;
mod config;
mod connect;
mod dispatch;
mod handshake;
mod local_cache;
mod pending_write;
mod script;
mod shared;
mod slot_groups;
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
pub use script::RedisClock;

use super::memory::Memory;
use super::{Batch, BatchOutcome, CounterKey, Hit, KeyHasher, NotCounted, RngError, Stats};
use crate::clock::{Micros, Timestamp};
use crate::limit::{LeaseOutcome, Outcomes, States};
use crate::request::LeaseId;
use local_cache::{Debits, Near};
use pending_write::Charged;
use script::Found;
use shared::Shared;
use slot_groups::Part;
use worker_connection::{Call, Fate, Lane, Taken};

/// Longer than Redis takes to delete a key.
const RESET_PATIENCE: Duration = Duration::from_secs(2);

/// A batch that Redis did not say in time to have taken.
#[derive(Clone, Copy, Debug)]
struct NotTaken {
    /// Whether it may have.
    in_doubt: bool,
}

/// Counters in Redis.
#[derive(Debug)]
pub struct Redis {
    shared: Arc<Shared>,
    lanes: ThreadLocal<RefCell<Option<Lane>>>,
    near: Arc<Near>,
    is_cluster: bool,
    /// For what is counted while Redis cannot.
    meanwhile: Memory,
}

impl Redis {
    pub(super) fn new(config: RedisConfig, meanwhile: Memory) -> Result<Self, RngError> {
        let near = Near::new(
            micros(config.over_limit_cache_ttl),
            micros(config.flush_interval),
        );
        Ok(Self {
            is_cluster: config.address.is_cluster(),
            shared: Arc::new(Shared::new(config)?),
            lanes: ThreadLocal::new(),
            near: Arc::new(near),
            meanwhile,
        })
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.is_cluster
    }

    pub(super) fn hasher(&self) -> KeyHasher {
        self.shared.agreement.hasher()
    }

    /// Starts to connect, if this thread has no lane yet.
    pub(super) fn prepare(&self) {
        self.with_lane(|_| {});
    }

    pub(super) fn new_lease(&self) -> LeaseId {
        self.meanwhile.new_lease()
    }

    /// Ends when counters can be shared.
    pub(super) async fn connected(&self) {
        self.shared.connected().await;
    }

    pub(super) async fn hit(&self, now: Timestamp, batch: &Batch<'_>) -> BatchOutcome {
        let mut answer = BatchOutcome {
            now: self.shared.likely_moment(now),
            outcomes: batch.hits.iter().map(|_| Outcomes::default()).collect(),
            not_counted: SmallVec::new(),
        };
        let asked = self.answer_here(now, batch, &mut answer);
        let parts = self.parts(batch, &asked);
        match &*parts {
            [] => {}
            [part] => {
                let taken = self.take(now, part).await;
                self.fill_in(&mut answer, now, part, &taken);
            }
            _ => self.hit_in_parts(now, batch, parts, &mut answer).await,
        }
        self.shared.count_not_counted(answer.not_counted.len());
        answer
    }

    /// Takes hits in this process, which goes on from what is remembered of the counters. What they are charged is owed.
    pub(super) fn hit_fallback(
        &self,
        now: Timestamp,
        batch: &Batch<'_>,
        why: &[NotCounted],
    ) -> SmallVec<[Outcomes; 2]> {
        let bases = batch.hits.iter().map(|hit| self.go_on_here(now, hit));
        let bases: SmallVec<[Option<States>; 2]> = bases.collect();
        let outcomes = self.meanwhile.hit(now, batch);
        let is_withheld = batch.atomic && batch.is_refused(&outcomes);
        for (((hit, outcomes), base), why) in batch.hits.iter().zip(&outcomes).zip(bases).zip(why) {
            let when = (now, why.maybe_applied);
            match Charged::of(hit, outcomes, is_withheld, when) {
                Some(charged) => self.shared.owed.charge(hit.key, base, &charged),
                // Redis may have forgotten that it is over.
                None if outcomes.refused => self.shared.owed.restore(now, hit, base),
                None => {}
            }
        }
        outcomes
    }

    /// Has this process go on with a counter as Redis last had it, and what is owed for it; tells how Redis had it, if that
    /// is remembered.
    fn go_on_here(&self, now: Timestamp, hit: &Hit<'_>) -> Option<States> {
        let local_cache::Remembered {
            mut states,
            base,
            owed,
        } = self.near.take(hit.key)?;
        if base.is_none() {
            self.shared.owed.add_to(hit, &mut states);
        }
        if let Some(debit) = owed {
            self.shared.owed.keep(hit.key, debit);
        }
        let base = base.unwrap_or_else(|| states.clone());
        self.meanwhile.put(now, hit, states);
        Some(base)
    }

    pub(super) fn release(&self, now: Timestamp, lease: LeaseId, keys: &[CounterKey]) {
        let here = self.shared.likely_moment(now);
        self.meanwhile.release(here, lease, keys);
        for key in keys {
            let batch = script::encode_give_back(now, lease);
            self.with_lane(|lane| lane.take(Call::unanswered(*key, batch)));
        }
    }

    /// Deletes a counter; what other weirs remember of it they forget by themselves.
    pub(super) async fn reset(&self, key: CounterKey) -> Result<bool, String> {
        self.near.forget(key);
        self.shared.owed.forget(key);
        self.meanwhile.reset(key);
        let mut link = self.shared.open().await?;
        let mut delete = ::redis::cmd("DEL");
        delete.arg(self.shared.name(key));
        let sent = tokio::time::timeout(RESET_PATIENCE, link.send(&delete)).await;
        match sent.map_err(|_| "Redis does not answer".to_owned())? {
            Ok(Value::Int(deleted)) => Ok(deleted > 0),
            Ok(_) => Err("Redis has answered something else".to_owned()),
            Err(error) => Err(error.to_string()),
        }
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

    /// Answers hits from memory; gives the places of the others. Where one hit decides on another, all are asked for.
    fn answer_here(
        &self,
        now: Timestamp,
        batch: &Batch<'_>,
        answer: &mut BatchOutcome,
    ) -> SmallVec<[usize; 2]> {
        if batch.is_joint() {
            return (0..batch.hits.len()).collect();
        }
        let mut debits = Debits::new();
        let mut asked = SmallVec::new();
        for (at, hit) in batch.hits.iter().enumerate() {
            match self.near.hit(now, hit, &mut debits) {
                local_cache::Memory::Known(outcomes, moment) => {
                    answer.now = moment;
                    answer.outcomes[at] = outcomes;
                    self.shared.count_answered_here();
                }
                local_cache::Memory::Charged(outcomes, moment) => {
                    answer.now = moment;
                    answer.outcomes[at] = outcomes;
                    self.shared.count_answered_here();
                    self.send_behind(now, hit);
                }
                local_cache::Memory::Unknown => asked.push(at),
            }
        }
        self.owe(debits);
        asked
    }

    /// Has Redis take a batch, after what is owed for its counters.
    async fn take(&self, now: Timestamp, part: &Part<'_>) -> Result<Taken, NotTaken> {
        let (firsts, at) = part.batch.by_counter();
        let batch = script::encode(now, &part.batch, &at, firsts.len());
        let (call, fate) = Call::asking(firsts.iter().map(|hit| hit.key).collect(), batch);
        self.with_lane(|lane| {
            if lane.is_open() {
                let owed = firsts
                    .iter()
                    .filter_map(|hit| self.shared.owed.take(hit.key));
                owed.for_each(|owing| lane.take(Call::settling(owing)));
            }
            lane.take(call);
        });
        match tokio::time::timeout(self.shared.deadline, fate).await {
            Ok(Ok(Fate::Taken(taken))) => Ok(taken),
            Ok(Ok(Fate::Unknown)) | Err(_) => Err(NotTaken { in_doubt: true }),
            Ok(Err(_)) => Err(NotTaken { in_doubt: false }),
        }
    }

    /// Has Redis take a hit that was answered already.
    fn send_behind(&self, now: Timestamp, hit: &Hit<'_>) {
        let batch = script::encode(now, &Batch::of(*hit), &[0], 1);
        let call = Call::unanswered(hit.key, batch);
        self.with_lane(|lane| lane.take(call));
    }

    /// Takes the steps that the script took, and puts in how the counters stand then.
    fn fill_in(
        &self,
        answer: &mut BatchOutcome,
        now: Timestamp,
        part: &Part<'_>,
        taken: &Result<Taken, NotTaken>,
    ) {
        let batch = &part.batch;
        let taken = match taken {
            Ok(taken) => taken,
            Err(NotTaken { in_doubt }) => {
                let places = part.places.iter();
                let not_counted = places.map(|at| NotCounted {
                    index: *at,
                    maybe_applied: *in_doubt,
                });
                answer.not_counted.extend(not_counted);
                return;
            }
        };
        let moment = self.shared.moment(now, taken.server_now);
        answer.now = moment;
        let (firsts, at) = batch.by_counter();
        let found = firsts.iter().zip(&taken.found);
        let mut states: SmallVec<[States; 4]> =
            found.map(|(hit, found)| found.states(hit.set)).collect();
        let outcomes = batch.apply(moment, &at, &mut states);

        let is_usable = |counter: usize| match batch.is_joint() {
            true => taken.found.iter().all(Found::is_usable),
            false => taken.found[counter].is_usable(),
        };
        let mut debits = Debits::new();
        for (nth, mut outcomes) in outcomes.into_iter().enumerate() {
            let (hit, place, counter) = (&batch.hits[nth], part.places[nth], at[nth]);
            if !is_usable(counter) {
                answer.not_counted.push(NotCounted {
                    index: place,
                    maybe_applied: false,
                });
                continue;
            }
            let stands = (&states[counter], &outcomes);
            self.near.learn((now, moment), hit, stands, &mut debits);
            if outcomes.lease == LeaseOutcome::NotHeld {
                // It may have been granted while Redis was away.
                outcomes.lease = self.hit_one_meanwhile(now, hit).lease;
            }
            answer.outcomes[place] = outcomes;
        }
        self.owe(debits);
    }

    fn hit_one_meanwhile(&self, now: Timestamp, hit: &Hit<'_>) -> Outcomes {
        let now = self.shared.likely_moment(now);
        self.meanwhile.hit(now, &Batch::of(*hit)).remove(0)
    }

    fn owe(&self, debits: Debits) {
        for (key, debit) in debits {
            self.shared.owed.keep(key, debit);
        }
    }

    /// The lane of this thread.
    fn with_lane(&self, ask: impl FnOnce(&Lane)) {
        let mut lane = self.lanes.get_or_default().borrow_mut();
        match &*lane {
            Some(lane) if !lane.is_gone() => ask(lane),
            _ if Handle::try_current().is_ok() => ask(lane.insert(self.start_lane())),
            // Where nothing runs nothing can be asked.
            _ => {}
        }
    }

    fn start_lane(&self) -> Lane {
        let lane = Lane::start(Arc::clone(&self.shared));
        if let Some(batch) = self.near.batch() {
            let period = Duration::from_micros(batch.get());
            let owed = Arc::clone(&self.shared.owed);
            lane.sweep_every(period, Arc::downgrade(&self.near), owed);
        }
        lane
    }
}

fn micros(duration: Duration) -> Micros {
    Micros::new(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}
