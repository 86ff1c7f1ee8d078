//! The invariant of the write-back, against a Redis that is a variable.

use proptest::prelude::*;

use super::*;
use crate::clock::Micros;
use crate::limit::LimitSet;
use crate::limit::{Active, Charge, Limit, LimitKind, Rate, TokenBucket};
use crate::store::redis::script::StoredStates;
use crate::store::{Enforcement, HashKey, KeyBuilder, KeyHasher};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// More hits than the steps of a test charge.
const CAPACITY: u32 = 10_000;

/// What happens to one counter while its connection fails again and again.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A hit is charged that Redis has certainly not counted.
    Charge,
    /// A hit is charged that was sent without an answer.
    ChargeSent { is_applied: bool },
    /// What waits is sent.
    Send,
    /// The oldest write is acknowledged.
    Acknowledge,
    /// The oldest write gets no answer.
    LoseAnswer { is_applied: bool },
    /// The connection is lost before the writes are sent.
    Return,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Charge),
        any::<bool>().prop_map(|is_applied| Step::ChargeSent { is_applied }),
        Just(Step::Send),
        Just(Step::Acknowledge),
        any::<bool>().prop_map(|is_applied| Step::LoseAnswer { is_applied }),
        Just(Step::Return),
    ]
}

fn any_set() -> impl Strategy<Value = LimitSet> {
    let rate = Rate::parse("10000 per hour").unwrap();
    prop_oneof![
        Just(LimitKind::FixedWindow(rate)),
        Just(LimitKind::SlidingWindow(rate)),
        Just(LimitKind::TokenBucket(
            TokenBucket::new(CAPACITY, rate).unwrap()
        )),
    ]
    .prop_map(|kind| LimitSet {
        limits: Box::new([Limit::new(kind)]),
        charge: Charge::Allowed,
    })
}

fn charged(set: &LimitSet, states: &States) -> u32 {
    let peek = Operation {
        now: NOW,
        cost: Cost::Peek,
        lease: None,
    };
    let mut states = states.clone();
    CAPACITY - check_and_apply(set, Active::ALL, &mut states, peek).limits[0].available
}

/// One counter, the store's side of it and Redis' side.
struct Counter<'s> {
    write_back: Arc<WriteBack>,
    hit: Hit<'s>,
    redis: States,
    in_flight: Vec<InFlight>,
    hits: u32,
}

impl<'s> Counter<'s> {
    fn new(set: &'s LimitSet) -> Self {
        let cache = LocalCache::new(10, Micros::ZERO, Micros::ZERO);
        let hasher = KeyHasher::new(HashKey::from_hex(&"0".repeat(32)).unwrap());
        Self {
            write_back: Arc::new(WriteBack::new(cache, Duration::ZERO)),
            hit: Hit {
                key: KeyBuilder::new(&hasher).key(),
                set,
                active: Active::ALL,
                cost: Cost::Hits(1),
                lease: None,
                enforcement: Enforcement::Enforced,
            },
            redis: States::fresh(set),
            in_flight: Vec::new(),
            hits: 0,
        }
    }

    fn count(hit: &Hit<'_>, states: &mut States) -> Outcomes {
        let operation = Operation {
            now: NOW,
            cost: hit.cost,
            lease: None,
        };
        check_and_apply(hit.set, hit.active, states, operation)
    }

    fn charge(&mut self, certainty: Certainty) {
        let outcomes = Self::count(&self.hit, &mut States::fresh(self.hit.set));
        let charge = LocalCharge::new(&self.hit, &outcomes, false, RedisTime::new(NOW));
        let known = self.write_back.take_knowledge(&self.hit);
        let reported = known.and_then(|known| known.reported);
        self.write_back
            .charge(&self.hit, charge, certainty, reported);
        self.hits += 1;
    }

    fn send(&mut self) {
        self.in_flight.extend(self.write_back.take(self.hit.key));
    }

    /// Applies the oldest write in Redis, as the script does.
    fn apply_oldest(&mut self) -> StoredStates {
        let mut found = Vec::new();
        self.redis.encode(&mut found);
        let mut shard = self.write_back.shard(self.hit.key);
        let (_, write) = &mut shard.get_mut(&self.hit.key).unwrap().in_flight[0];
        write.add_to(self.hit.set, &mut self.redis);
        StoredStates::Encoded(found)
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Charge => self.charge(Certainty::NotApplied),
            Step::ChargeSent { is_applied } => {
                if is_applied {
                    Self::count(&self.hit, &mut self.redis);
                }
                self.charge(Certainty::MaybeApplied);
            }
            Step::Send => self.send(),
            Step::Acknowledge | Step::LoseAnswer { .. } | Step::Return
                if self.in_flight.is_empty() => {}
            Step::Acknowledge => {
                let found = self.apply_oldest();
                self.in_flight.remove(0).applied(&found);
            }
            Step::LoseAnswer { is_applied } => {
                if is_applied {
                    self.apply_oldest();
                }
                self.in_flight.remove(0).maybe_applied();
            }
            Step::Return => self.in_flight.clear(),
        }
    }
}

proptest! {
    /// Once all is acknowledged, Redis has every hit exactly once.
    #[test]
    fn no_hit_is_lost_or_counted_twice(
        set in any_set(),
        steps in prop::collection::vec(any_step(), 1..60),
    ) {
        let mut counter = Counter::new(&set);
        for step in steps {
            counter.step(step);
        }
        counter.send();
        while !counter.in_flight.is_empty() {
            counter.step(Step::Acknowledge);
        }
        counter.send();
        prop_assert!(counter.in_flight.is_empty());
        prop_assert_eq!(charged(&set, &counter.redis), counter.hits);
        prop_assert_eq!(counter.write_back.waiting.load(Ordering::Relaxed), 0);
        prop_assert!(counter.write_back.shard(counter.hit.key).is_empty());
    }
}
