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

use super::pending_write::{Charged, Debit};
use crate::clock::{Micros, Timestamp};
use crate::limit::{Operation, Outcomes, States, check_and_apply};
use crate::request::Cost;
use crate::store::{CounterKey, Hit};

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
    young: HashMap<CounterKey, Known>,
    old: HashMap<CounterKey, Known>,
}

/// A counter as Redis last had it, and what was charged here since.
#[derive(Debug)]
struct Known {
    states: States,
    /// As Redis last had it, where something was charged here since.
    base: Option<States>,
    /// What was charged here and not sent.
    owed: Option<Debit>,
    /// Redis is to be asked again then.
    until: Timestamp,
    /// How far the store's clock is ahead of ours, in microseconds.
    ahead: i64,
    /// Nobody has asked since the last sweep.
    is_idle: bool,
}

/// What was remembered of a counter.
#[derive(Debug)]
pub(super) struct Remembered {
    /// With what was charged here.
    pub(super) states: States,
    /// As Redis last had it, if something was charged here since.
    pub(super) base: Option<States>,
    /// What was charged here and not sent.
    pub(super) owed: Option<Debit>,
}

/// What is to be added in Redis to counters.
pub(super) type Debits = Vec<(CounterKey, Debit)>;

/// What memory says of a hit.
#[derive(Debug)]
pub(super) enum Memory {
    /// How the counter stands at that moment of the store's clock, without asking Redis.
    Known(Outcomes, Timestamp),
    /// The same, and the hit is to be sent behind the answer, for it is charged although it is refused.
    Charged(Outcomes, Timestamp),
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
    pub(super) fn hit(&self, now: Timestamp, hit: &Hit<'_>, debits: &mut Debits) -> Memory {
        if (self.refuse == Micros::ZERO && self.batch == Micros::ZERO) || !is_near(hit) {
            return Memory::Unknown;
        }
        let mut shard = self.shard(hit.key).lock();
        let Some(known) = shard.find(hit.key) else {
            return Memory::Unknown;
        };
        let is_known = now < known.until && !matches!(hit.cost, Cost::Refund(_));
        match is_known.then(|| self.step(known, now, hit)).flatten() {
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
    pub(super) fn forget(&self, key: CounterKey) {
        self.shard(key).lock().remove(key);
    }

    /// What is remembered of a counter, however old; it is forgotten.
    pub(super) fn take(&self, key: CounterKey) -> Option<Remembered> {
        let known = self.shard(key).lock().remove(key)?;
        Some(Remembered {
            states: known.states,
            base: known.base,
            owed: known.owed,
        })
    }

    /// Remembers how Redis has a counter after a hit at `now`, `moment` of the store's clock.
    pub(super) fn learn(
        &self,
        (now, moment): (Timestamp, Timestamp),
        hit: &Hit<'_>,
        (states, outcomes): (&States, &Outcomes),
        debits: &mut Debits,
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
            .is_some_and(|known| known.owed.is_some())
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
            base: None,
            owed: None,
            is_idle: false,
        };
        shard.remember(hit.key, known, debits);
    }

    /// What is owed for counters that nobody has asked for since the last sweep; they are forgotten. Nothing if the last
    /// one was just now, by another lane.
    pub(super) fn sweep(&self) -> Debits {
        let mut debits = Debits::new();
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
                    let is_owed = known.owed.is_some() && mem::replace(&mut known.is_idle, true);
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

    fn step(&self, known: &mut Known, now: Timestamp, hit: &Hit<'_>) -> Option<Memory> {
        let (outcomes, moment, states) = known.stepped(now, hit);
        let is_over = outcomes.refused && outcomes.blocked_until.is_some();
        if self.batch == Micros::ZERO && !is_over {
            return None;
        }
        let before = mem::replace(&mut known.states, states);
        let Some(charged) = Charged::of(hit, &outcomes, false, (moment, false)) else {
            return Some(Memory::Known(outcomes, moment));
        };
        if self.batch == Micros::ZERO {
            return Some(Memory::Charged(outcomes, moment));
        }
        let base = known.base.get_or_insert(before);
        let new = || Debit::new(hit.set, base.clone(), false);
        known.owed.get_or_insert_with(new).charge(&charged);
        Some(Memory::Known(outcomes, moment))
    }

    fn shard(&self, key: CounterKey) -> &Mutex<Shard> {
        &self.shards[key.high_bits() % SHARDS]
    }
}

/// Slots are given back at any moment, so who holds them is asked for each time.
fn is_near(hit: &Hit<'_>) -> bool {
    !hit.set.has_leases() && hit.lease.is_none()
}

impl Known {
    /// How it would stand after a hit, at which moment of the store's clock, and its states then.
    fn stepped(&mut self, now: Timestamp, hit: &Hit<'_>) -> (Outcomes, Timestamp, States) {
        let moment = now.micros().saturating_add_signed(self.ahead);
        let moment = Timestamp::from_micros(moment);
        let mut states = self.states.clone();
        states.align(hit.set);
        self.is_idle = false;
        let call = Operation {
            now: moment,
            cost: hit.cost,
            lease: None,
        };
        let outcomes = check_and_apply(hit.set, hit.active, &mut states, call);
        (outcomes, moment, states)
    }

    fn settle(&mut self, key: CounterKey) -> Option<(CounterKey, Debit)> {
        Some((key, self.owed.take()?))
    }
}

impl Shard {
    /// Finds a counter, and takes it among the young.
    fn find(&mut self, key: CounterKey) -> Option<&mut Known> {
        if let Some(known) = self.old.remove(&key) {
            self.young.insert(key, known);
        }
        self.young.get_mut(&key)
    }

    fn remember(&mut self, key: CounterKey, known: Known, debits: &mut Debits) {
        if self.young.len() >= SHARD_COUNTERS && !self.young.contains_key(&key) {
            let gone = mem::replace(&mut self.old, mem::take(&mut self.young));
            for (key, mut known) in gone {
                debits.extend(known.settle(key));
            }
        }
        self.young.insert(key, known);
    }

    fn remove(&mut self, key: CounterKey) -> Option<Known> {
        self.young.remove(&key).or_else(|| self.old.remove(&key))
    }
}
