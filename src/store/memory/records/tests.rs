use proptest::prelude::*;

use super::*;
use crate::limit::{
    Active, Charge, Limit, LimitKind, LimitSet, Outcomes, Rate, TokenBucket, Window,
};
use crate::request::{Cost, LeaseId, Unit};
use crate::store::memory::Memory;
use crate::store::{Batch, Enforcement, HashKey, Hit, KeyBuilder, MemoryConfig};

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

fn recorded(budget_bytes: u64) -> Memory {
    let key = HashKey::from_hex("000102030405060708090a0b0c0d0e0f").unwrap();
    Memory::recorded(MemoryConfig { budget_bytes }, key).unwrap()
}

fn key(memory: &Memory, client: u8) -> CounterKey {
    let mut identity = KeyBuilder::new(&memory.hasher());
    identity.add(0, &[client]);
    identity.key()
}

fn changes(memory: &Memory, now: Timestamp, scope: RecordScope) -> Vec<RecordChange> {
    let mut all = Vec::new();
    let made = memory.records().make(now, scope, |changes| {
        all.append(changes);
        Ok::<_, ()>(())
    });
    made.unwrap();
    all
}

/// A store with what the other one has, by way of records.
fn restarted(memory: &Memory, now: Timestamp) -> Memory {
    let new = recorded(1 << 20);
    for change in changes(memory, now, RecordScope::All) {
        if let RecordChange::Put { key, record } = change {
            let record = CounterRecord::decode(&record).unwrap();
            assert!(new.records().restore(now, key, record));
        }
    }
    new
}

fn limit(kind: u8, requests: u32, unit: Unit) -> Limit {
    let window = Window::new(unit, 1).unwrap();
    let rate = Rate { requests, window };
    Limit::new(match kind {
        0 => LimitKind::FixedWindow(rate),
        1 => LimitKind::SlidingWindow(rate),
        2 => LimitKind::TokenBucket(TokenBucket::new(2 * requests, rate).unwrap()),
        _ => LimitKind::Concurrency {
            max_in_flight: requests,
            lease_secs: window.secs(),
        },
    })
}

fn set(limits: &[(u8, u32)], unit: Unit, charge: Charge) -> LimitSet {
    let limits = limits
        .iter()
        .map(|(kind, requests)| limit(*kind, *requests, unit));
    LimitSet {
        limits: limits.collect(),
        charge,
    }
}

/// One request, at one or two clients.
#[derive(Clone, Debug)]
struct Call {
    clients: Vec<u8>,
    cost: Cost,
    lease: u8,
    atomic: bool,
    passed: u64,
    restart: bool,
    back: u64,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let cost = prop_oneof![
        6 => (1..5_u32).prop_map(Cost::Hits),
        1 => Just(Cost::Peek),
        1 => (1..5_u32).prop_map(Cost::Refund),
    ];
    let clients = proptest::collection::vec(0..4_u8, 1..3);
    let call = (
        clients,
        cost,
        0..6_u8,
        any::<bool>(),
        0..9_000_000_u64,
        0..5_u8,
        0..90_000_000_u64,
    );
    let call = call.prop_map(
        |(clients, cost, lease, atomic, passed, restart, back)| Call {
            clients,
            cost,
            lease,
            atomic,
            passed,
            restart: restart == 0,
            back,
        },
    );
    proptest::collection::vec(call, 1..60)
}

fn decide(memory: &Memory, set: &LimitSet, call: &Call, now: Timestamp) -> Vec<Outcomes> {
    let hits = call.clients.iter().map(|client| Hit {
        key: key(memory, *client),
        set,
        active: Active::ALL,
        cost: call.cost,
        lease: Some(LeaseId::from_bits(u128::from(call.lease) + 1)),
        enforcement: Enforcement::Enforced,
    });
    let batch = Batch {
        hits: hits.collect(),
        atomic: call.atomic,
    };
    memory.hit(now, &batch).into_vec()
}

proptest! {
    #[test]
    fn a_restarted_store_decides_as_one_that_never_stopped(
        limits in proptest::collection::vec((0..4_u8, 1..6_u32), 1..3),
        always: bool,
        calls in calls(),
    ) {
        let charge = if always { Charge::Always } else { Charge::Allowed };
        let set = set(&limits, Unit::Minute, charge);
        let (running, mut stopped) = (recorded(1 << 20), recorded(1 << 20));
        let mut now = START;
        for call in calls {
            now = now.plus(Micros::new(call.passed));
            if call.restart {
                stopped = restarted(&stopped, now);
            }
            prop_assert_eq!(decide(&stopped, &set, &call, now), decide(&running, &set, &call, now));
        }
    }

    #[test]
    fn so_does_one_whose_clock_went_back_in_between(
        limits in proptest::collection::vec((0..3_u8, 1..6_u32), 1..3),
        calls in calls(),
    ) {
        // No state ends, so all are restored whatever the clock says. Of slots that are free again nothing is.
        let set = set(&limits, Unit::Day, Charge::Allowed);
        let (running, mut stopped) = (recorded(1 << 20), recorded(1 << 20));
        let mut now = START;
        for call in calls {
            now = now.plus(Micros::new(call.passed));
            if call.restart {
                stopped = restarted(&stopped, now);
                now = Timestamp::from_micros(now.micros() - call.back);
            }
            prop_assert_eq!(decide(&stopped, &set, &call, now), decide(&running, &set, &call, now));
        }
    }
}

fn hit(memory: &Memory, set: &LimitSet, client: u8) -> bool {
    let call = Call {
        clients: vec![client],
        cost: Cost::Hits(1),
        lease: 0,
        atomic: false,
        passed: 0,
        restart: false,
        back: 0,
    };
    !decide(memory, set, &call, START)[0].refused
}

#[test]
fn a_counter_is_recorded_once_for_all_its_changes() {
    let memory = recorded(1 << 20);
    let set = set(&[(0, 100)], Unit::Hour, Charge::Allowed);
    for client in [1, 1, 2, 1] {
        hit(&memory, &set, client);
    }
    assert_eq!(changes(&memory, START, RecordScope::Changed).len(), 2);
    assert_eq!(changes(&memory, START, RecordScope::Changed), []);
    hit(&memory, &set, 2);
    let [
        RecordChange::Put {
            key: recorded,
            record,
        },
    ] = &changes(&memory, START, RecordScope::Changed)[..]
    else {
        panic!("one record");
    };
    assert_eq!(*recorded, key(&memory, 2).to_bytes());
    let record = CounterRecord::decode(record).unwrap();
    assert_eq!(record.made_at_secs, 1_700_000_000);
    assert_eq!(CounterRecord::decode_end(&[0; 7]), None);
}

#[test]
fn what_ends_within_seconds_is_recorded_last_or_never() {
    let memory = recorded(1 << 20);
    let set = set(&[(0, 100)], Unit::Second, Charge::Allowed);
    hit(&memory, &set, 1);
    assert_eq!(changes(&memory, START, RecordScope::Changed), []);
    assert_eq!(changes(&memory, START, RecordScope::Last).len(), 1);
    hit(&memory, &set, 1);
    let later = START.plus(Micros::from_secs(1));
    let [RecordChange::Remove { .. }] = changes(&memory, later, RecordScope::Last)[..] else {
        panic!("the record is removed, and no other made");
    };
}

#[test]
fn counters_that_are_gone_lose_their_records() {
    let memory = recorded(1 << 20);
    let set = set(&[(0, 100)], Unit::Hour, Charge::Allowed);
    let bytes = key(&memory, 1).to_bytes();
    hit(&memory, &set, 1);
    // It has no record yet.
    memory.reset(key(&memory, 1));
    assert_eq!(changes(&memory, START, RecordScope::Changed), []);
    hit(&memory, &set, 1);
    changes(&memory, START, RecordScope::Changed);
    memory.reset(key(&memory, 1));
    assert_eq!(
        changes(&memory, START, RecordScope::Changed),
        [RecordChange::Remove { key: bytes }]
    );
    // It is back before its removal was recorded.
    hit(&memory, &set, 1);
    changes(&memory, START, RecordScope::Changed);
    memory.reset(key(&memory, 1));
    hit(&memory, &set, 1);
    let [RecordChange::Put { key, .. }] = changes(&memory, START, RecordScope::Changed)[..] else {
        panic!("one record");
    };
    assert_eq!(key, bytes);
}

#[test]
fn lists_of_changes_are_bounded_while_nobody_takes_them() {
    let memory = recorded(200_000);
    let set = set(&[(0, 1)], Unit::Hour, Charge::Allowed);
    let client = |number: u32| {
        let mut identity = KeyBuilder::new(&memory.hasher());
        identity.add(0, &number.to_le_bytes());
        let hit = Hit {
            key: identity.key(),
            set: &set,
            active: Active::ALL,
            cost: Cost::Hits(1),
            lease: None,
            enforcement: Enforcement::Enforced,
        };
        memory.hit(START, &Batch::of(hit));
    };
    let AlignedShard(shard) = &memory.shards[0];
    (0..50_000).for_each(client);
    // Those that are in memory get a record, and lose it one by one.
    changes(&memory, START, RecordScope::Changed);
    let recorded = shard.lock().span() as usize;
    (50_000..100_000).for_each(client);
    let listed = shard.lock().take_changes();
    let span = shard.lock().span() as usize;
    assert!(
        listed.changed.len() <= 2 * span + 64,
        "{} of {span}",
        listed.changed.len()
    );
    assert!(
        (1..=recorded).contains(&listed.removed.len()),
        "{} of {recorded}",
        listed.removed.len()
    );
}

#[test]
fn pins_are_restored() {
    let memory = recorded(1 << 20);
    let set = set(&[(0, 1)], Unit::Hour, Charge::Allowed);
    hit(&memory, &set, 1);
    assert!(!hit(&memory, &set, 1));
    let again = restarted(&memory, START);
    assert_eq!(again.stats().pinned, 1);
    assert!(!hit(&again, &set, 1));
}

#[test]
fn counters_in_memory_are_newer_than_records() {
    let memory = recorded(1 << 20);
    let set = set(&[(0, 9)], Unit::Hour, Charge::Allowed);
    hit(&memory, &set, 1);
    let [RecordChange::Put { key, record }] = &changes(&memory, START, RecordScope::Changed)[..]
    else {
        panic!("one record");
    };
    let record = CounterRecord::decode(record).unwrap();
    assert!(!memory.records().restore(START, *key, record));
    assert!(memory.records().contains(*key));
}
