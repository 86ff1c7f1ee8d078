//! What this weir remembers of counters, so as to ask Redis less than once a call.
//!
//! A counter that was over its limit is refused from memory for a while. How the others stood is kept for when Redis cannot
//! say. In batches, every counter that was asked for is
//! counted here for a while, and then settled: what was charged meanwhile is added in Redis.

use std::collections::HashMap;
use std::mem;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{lane, script};
use crate::clock::{Micros, Timestamp};
use crate::limit::{Active, Call, Charge, Outcomes, States, step};
use crate::request::Cost;
use crate::store::{Hit, Key};

const SHARDS: usize = 64;

/// Counters that a shard remembers at least; twice as many at most.
const SHARD_COUNTERS: usize = 1024;

/// What is remembered, and for how long.
#[derive(Debug)]
pub(super) struct Near {
    shards: Box<[Mutex<Shard>]>,
    /// How long a counter over its limit is refused from memory; nothing if it is not.
    refuse: Micros,
    /// How long counters are counted here; nothing if they are not.
    batch: Micros,
    /// When what is owed was last looked for.
    swept: Mutex<Option<Instant>>,
}

/// Before every moment: what lasts until then is not known any more.
const NEVER: Timestamp = Timestamp::from_micros(0);

/// Counters by key; those that were not asked for since the shard was last full stand among the old.
#[derive(Debug, Default)]
struct Shard {
    young: HashMap<Key, Known>,
    old: HashMap<Key, Known>,
}

/// A counter as Redis last had it, and what was charged here since.
#[derive(Debug)]
struct Known {
    states: States,
    /// Redis is to be asked again then.
    until: Timestamp,
    /// How far the store's clock is ahead of ours, in microseconds.
    ahead: i64,
    charged: Option<Charged>,
    /// Nobody has asked since the last sweep.
    is_idle: bool,
}

/// What was charged here and not in Redis.
#[derive(Debug)]
struct Charged {
    hits: u32,
    active: Active,
    /// A hit of them all, as a batch that the script reads.
    encoded: Vec<u8>,
}

/// A hit that is to be charged in Redis, whatever the limits say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Debit {
    key: Key,
    /// A batch, as the script reads it.
    batch: Vec<u8>,
}

impl Debit {
    pub(super) fn into_call(self) -> lane::Call {
        lane::Call::unanswered(self.key, self.batch)
    }
}

/// What memory says of a hit.
#[derive(Debug)]
pub(super) enum Memory {
    /// How the counter stands at that moment of the store's clock, without asking Redis.
    Known(Outcomes, Timestamp),
    /// Redis is to be asked.
    Unknown,
}

impl Near {
    pub(super) fn new(refuse: Micros, batch: Micros) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            refuse,
            batch,
            swept: Mutex::new(None),
        }
    }

    /// Answers a hit from memory, if it can; debits are to be sent to Redis, before the hit if that is asked for.
    pub(super) fn hit(&self, now: Timestamp, hit: &Hit<'_>, debits: &mut Vec<Debit>) -> Memory {
        if (self.refuse == Micros::ZERO && self.batch == Micros::ZERO) || !is_near(hit) {
            return Memory::Unknown;
        }
        let mut shard = self.shard(hit.key).lock();
        let Some(known) = shard.find(hit.key) else {
            return Memory::Unknown;
        };
        let is_known = now < known.until && !matches!(hit.cost, Cost::Refund(_));
        match is_known
            .then(|| self.step(known, now, hit, debits))
            .flatten()
        {
            Some(answered) => answered,
            None => {
                // Kept for when Redis cannot say.
                debits.extend(known.settle(hit.key));
                known.until = NEVER;
                Memory::Unknown
            }
        }
    }

    /// Forgets a counter, and what was counted here and not told yet.
    pub(super) fn forget(&self, key: Key) {
        self.shard(key).lock().remove(key);
    }

    /// What is remembered of a counter, however old; it is forgotten.
    pub(super) fn take(&self, hit: &Hit<'_>) -> Option<States> {
        let known = self.shard(hit.key).lock().remove(hit.key)?;
        Some(known.states)
    }

    /// Remembers how Redis has a counter after a hit at `now`, `moment` of the store's clock.
    pub(super) fn learn(
        &self,
        (now, moment): (Timestamp, Timestamp),
        hit: &Hit<'_>,
        (states, outcomes): (&States, &Outcomes),
        debits: &mut Vec<Debit>,
    ) {
        let is_over = outcomes.refused && outcomes.blocked_until.is_some();
        let lasts = match is_over {
            true => self.refuse.max(self.batch),
            false => self.batch,
        };
        if !is_near(hit) {
            return;
        }
        let mut shard = self.shard(hit.key).lock();
        // What was charged here since is not in what Redis says: that is for the next time.
        if shard
            .find(hit.key)
            .is_some_and(|known| known.charged.is_some())
        {
            return;
        }
        let known = Known {
            states: states.clone(),
            until: match lasts {
                Micros::ZERO => NEVER,
                lasts => now.plus(lasts),
            },
            ahead: moment.micros().cast_signed() - now.micros().cast_signed(),
            charged: None,
            is_idle: false,
        };
        shard.remember(hit.key, known, debits);
    }

    /// What is owed for counters that nobody has asked for since the last sweep; they are forgotten. Nothing if the last
    /// one was just now, by another lane.
    pub(super) fn sweep(&self) -> Vec<Debit> {
        let mut debits = Vec::new();
        let pause = Duration::from_micros(self.batch.get()) / 2;
        let mut swept = self.swept.lock();
        if swept.is_some_and(|swept| swept.elapsed() < pause) {
            return debits;
        }
        *swept = Some(Instant::now());
        for shard in &self.shards {
            let mut shard = shard.lock();
            let Shard { young, old } = &mut *shard;
            for known in [young, old] {
                known.retain(|key, known| {
                    let is_owed = known.charged.is_some() && mem::replace(&mut known.is_idle, true);
                    if is_owed {
                        debits.extend(known.settle(*key));
                    }
                    !is_owed
                });
            }
        }
        debits
    }

    /// How long counters are counted here; none if they are not.
    pub(super) fn batch(&self) -> Option<Micros> {
        Some(self.batch).filter(|batch| *batch > Micros::ZERO)
    }

    fn step(
        &self,
        known: &mut Known,
        now: Timestamp,
        hit: &Hit<'_>,
        debits: &mut Vec<Debit>,
    ) -> Option<Memory> {
        let (outcomes, moment, states) = known.stepped(now, hit);
        let is_over = outcomes.refused && outcomes.blocked_until.is_some();
        if self.batch == Micros::ZERO && !is_over {
            return None;
        }
        known.states = states;
        if let Cost::Hits(hits) = hit.cost
            && let Some(active) = charged(hit, &outcomes)
        {
            debits.extend(known.charge(now, hit, (hits, active)));
            if self.batch == Micros::ZERO {
                debits.extend(known.settle(hit.key));
            }
        }
        Some(Memory::Known(outcomes, moment))
    }

    fn shard(&self, key: Key) -> &Mutex<Shard> {
        &self.shards[key.high_bits() % SHARDS]
    }
}

/// Slots are given back at any moment, so who holds them is asked for each time.
fn is_near(hit: &Hit<'_>) -> bool {
    !hit.set.has_leases() && hit.lease.is_none()
}

/// The limits that a hit was charged to; none if to none.
fn charged(hit: &Hit<'_>, outcomes: &Outcomes) -> Option<Active> {
    let always = hit.set.charge == Charge::Always;
    let charged = outcomes
        .limits
        .iter()
        .filter(|outcome| always || !(outcomes.refused || outcome.over));
    let bits = charged.fold(0, |bits, outcome| bits | 1 << outcome.limit);
    (bits != 0).then_some(Active::from_bits(bits))
}

impl Known {
    /// How it would stand after a hit, at which moment of the store's clock, and its states then.
    fn stepped(&mut self, now: Timestamp, hit: &Hit<'_>) -> (Outcomes, Timestamp, States) {
        let moment = now.micros().saturating_add_signed(self.ahead);
        let moment = Timestamp::from_micros(moment);
        let mut states = self.states.clone();
        states.align(hit.set);
        self.is_idle = false;
        let call = Call {
            now: moment,
            cost: hit.cost,
            lease: None,
        };
        let outcomes = step(hit.set, hit.active, &mut states, call);
        (outcomes, moment, states)
    }

    /// Notes a charge. Gives back what cannot be noted together with it.
    fn charge(
        &mut self,
        now: Timestamp,
        hit: &Hit<'_>,
        (hits, active): (u32, Active),
    ) -> Option<Debit> {
        let sum = match &self.charged {
            Some(charged) if charged.active == active => charged.hits.checked_add(hits),
            _ => None,
        };
        let before = match sum {
            Some(_) => None,
            None => self.settle(hit.key),
        };
        let hits = sum.unwrap_or(hits);
        let mut encoded = self
            .charged
            .take()
            .map_or(Vec::new(), |charged| charged.encoded);
        encoded.clear();
        script::encode_debit(&mut encoded, now, hit.set, (hits, active));
        self.charged = Some(Charged {
            hits,
            active,
            encoded,
        });
        before
    }

    fn settle(&mut self, key: Key) -> Option<Debit> {
        let batch = self.charged.take()?.encoded;
        Some(Debit { key, batch })
    }
}

impl Shard {
    /// Finds a counter, and takes it among the young.
    fn find(&mut self, key: Key) -> Option<&mut Known> {
        if let Some(known) = self.old.remove(&key) {
            self.young.insert(key, known);
        }
        self.young.get_mut(&key)
    }

    fn remember(&mut self, key: Key, known: Known, debits: &mut Vec<Debit>) {
        if self.young.len() >= SHARD_COUNTERS && !self.young.contains_key(&key) {
            let gone = mem::replace(&mut self.old, mem::take(&mut self.young));
            for (key, mut known) in gone {
                debits.extend(known.settle(key));
            }
        }
        self.young.insert(key, known);
    }

    fn remove(&mut self, key: Key) -> Option<Known> {
        self.young.remove(&key).or_else(|| self.old.remove(&key))
    }
}
