use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::*;
use crate::limit::{
    Active, Charge, LeaseOutcome, Limit, LimitKind, LimitSet, Rate, TokenBucket, Window,
};
use crate::request::{Cost, Unit};
use crate::store::{Enforcement, Hit, KeyBuilder};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn memory(budget_bytes: u64) -> Memory {
    Memory::new(MemoryConfig { budget_bytes }).unwrap()
}

fn limit(kind: impl Fn(Rate) -> LimitKind, requests: u32) -> Limit {
    let window = Window::new(Unit::Hour, 1).unwrap();
    Limit::new(kind(Rate { requests, window }))
}

fn rule(limits: impl Into<Box<[Limit]>>) -> LimitSet {
    LimitSet {
        limits: limits.into(),
        charge: Charge::Allowed,
    }
}

fn by_hour(requests: u32) -> LimitSet {
    rule([limit(LimitKind::FixedWindow, requests)])
}

fn key(memory: &Memory, name: &str) -> CounterKey {
    let mut identity = KeyBuilder::new(&memory.hasher());
    identity.add(0, name.as_bytes());
    identity.key()
}

fn hit(key: CounterKey, set: &LimitSet, cost: Cost) -> Hit<'_> {
    Hit {
        key,
        set,
        active: Active::ALL,
        cost,
        lease: None,
        enforcement: Enforcement::Enforced,
    }
}

fn batch<'a>(hits: impl IntoIterator<Item = Hit<'a>>) -> Batch<'a> {
    Batch {
        hits: hits.into_iter().collect(),
        atomic: false,
    }
}

fn call(memory: &Memory, name: &str, set: &LimitSet, (now, cost): (Timestamp, Cost)) -> Outcomes {
    let hit = hit(key(memory, name), set, cost);
    memory.hit(now, &batch([hit])).remove(0)
}

fn passes(memory: &Memory, name: &str, set: &LimitSet) -> bool {
    !call(memory, name, set, (NOW, Cost::Hits(1))).refused
}

#[test]
fn threads_at_one_key_get_exactly_the_limit() {
    let memory = memory(1 << 20);
    for set in [
        by_hour(1_000),
        LimitSet {
            charge: Charge::Always,
            ..by_hour(1_000)
        },
        rule([limit(LimitKind::SlidingWindow, 1_000)]),
        rule([
            limit(LimitKind::FixedWindow, 5_000),
            limit(LimitKind::SlidingWindow, 1_000),
        ]),
    ] {
        let name = format!("{set:?}");
        let passed = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        passed.fetch_add(passes(&memory, &name, &set).into(), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 1_000);
    }
}

#[test]
fn a_batch_sees_its_own_earlier_hits() {
    let memory = memory(1 << 20);
    let set = by_hour(20);
    let hit = hit(key(&memory, "a"), &set, Cost::Hits(1));
    let outcomes = memory.hit(NOW, &batch([hit, hit]));
    let remaining: Vec<_> = outcomes
        .iter()
        .map(|outcomes| outcomes.limits[0].available)
        .collect();
    assert_eq!(remaining, [19, 18]);
}

#[test]
fn a_flood_of_new_keys_is_evicted_and_counted_and_stays_within_the_budget() {
    let memory = memory(200_000);
    let set = by_hour(1);
    for n in 0..20_000 {
        passes(&memory, &n.to_string(), &set);
    }
    let stats = memory.stats();
    assert!(stats.bytes <= 200_000, "{stats:?}");
    assert_eq!(stats.evicted + stats.counters, 20_000);
}

#[test]
fn a_flood_does_not_evict_a_counter_in_use() {
    let memory = memory(200_000);
    let set = by_hour(1_000);
    let remaining = |name: &str| {
        let outcomes = call(&memory, name, &set, (NOW, Cost::Hits(1)));
        outcomes.limits[0].available
    };
    for n in 0..20_000 {
        remaining(&format!("stranger {n}"));
        if n % 100 == 0 {
            assert_eq!(remaining("regular"), 999 - n / 100);
        }
    }
}

#[test]
fn many_shards_hold_the_budget_together() {
    let memory = memory(4 << 20);
    assert_eq!(memory.shards.len(), 16);
    let set = by_hour(1);
    for n in 0..100_000 {
        passes(&memory, &n.to_string(), &set);
    }
    let stats = memory.stats();
    assert!(
        stats.bytes <= 4 << 20 && stats.bytes > (4 << 20) * 9 / 10,
        "{stats:?}"
    );
    assert_eq!(stats.evicted + stats.counters, 100_000);
    let recent = (90_000..100_000).filter(|n| !passes(&memory, &n.to_string(), &set));
    assert_eq!(recent.count(), 10_000);
}

#[test]
fn a_flood_does_not_evict_a_counter_over_its_limit() {
    let memory = memory(200_000);
    let set = by_hour(3);
    let offends = || passes(&memory, "offender", &set);
    assert_eq!(
        [offends(), offends(), offends(), offends()],
        [true, true, true, false]
    );
    for round in 0..5 {
        for n in 0..10_000 {
            passes(&memory, &format!("{round}/{n}"), &set);
        }
        assert!(!offends());
    }
    let after = NOW.plus(crate::clock::Micros::from_secs(3_600));
    assert!(!call(&memory, "offender", &set, (after, Cost::Hits(1))).refused);
}

#[test]
fn offenders_are_refused_while_threads_flood() {
    let memory = memory(100_000);
    let set = rule([limit(LimitKind::SlidingWindow, 2)]);
    let passed = AtomicU32::new(0);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (memory, set, passed) = (&memory, &set, &passed);
            scope.spawn(move || {
                for n in 0..5_000 {
                    passes(memory, &format!("{thread}/{n}"), set);
                    for offender in 0..10 {
                        let name = format!("offender {offender}");
                        passed.fetch_add(passes(memory, &name, set).into(), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 20);
}

#[test]
fn with_too_many_pins_the_one_that_resets_soonest_is_unpinned() {
    let memory = memory(20_000);
    let bucket = |rate| LimitKind::TokenBucket(TokenBucket::new(1, rate).unwrap());
    let (slow, quick) = (rule([limit(bucket, 1)]), rule([limit(bucket, 2)]));
    let offend =
        |name: &str, set: &LimitSet| [passes(&memory, name, set), passes(&memory, name, set)];
    assert_eq!(offend("slow", &slow), [true, false]);
    for n in 0..1_000 {
        assert_eq!(offend(&n.to_string(), &quick), [true, false]);
    }
    let stats = memory.stats();
    assert!(
        stats.evicted_over_limit > 850 && stats.bytes <= 20_000,
        "{stats:?}"
    );
    assert!(!passes(&memory, "slow", &slow));
    let forgotten = (0..1_000).filter(|n| passes(&memory, &n.to_string(), &quick));
    assert!(forgotten.count() > 800);
}

#[test]
fn pins_past_their_reset_make_room_for_new_ones() {
    let memory = memory(1 << 20);
    let set = by_hour(0);
    for hour in 0..50 {
        let now = NOW.plus(crate::clock::Micros::from_secs(hour * 3_600));
        for n in 0..20 {
            call(&memory, &format!("{hour}/{n}"), &set, (now, Cost::Hits(1)));
        }
    }
    let stats = memory.stats();
    assert!(stats.pinned <= 40, "{stats:?}");
    assert_eq!(stats.evicted_over_limit, 0);
}

#[test]
fn peeks_and_refunds_insert_no_counter() {
    let memory = memory(1 << 20);
    let set = by_hour(5);
    for cost in [Cost::Peek, Cost::Refund(3)] {
        assert_eq!(call(&memory, "a", &set, (NOW, cost)).limits[0].available, 5);
    }
    assert_eq!(memory.stats().counters, 0);
    passes(&memory, "a", &set);
    assert_eq!(
        call(&memory, "a", &set, (NOW, Cost::Peek)).limits[0].available,
        4
    );
    assert_eq!(
        call(&memory, "a", &set, (NOW, Cost::Refund(9))).limits[0].available,
        5
    );
}

#[test]
fn bytes_are_updated_when_a_changed_policy_grows_a_counter() {
    let memory = memory(1 << 20);
    passes(&memory, "a", &by_hour(5));
    let before = memory.stats().bytes;
    let windows = [
        limit(LimitKind::FixedWindow, 5),
        limit(LimitKind::SlidingWindow, 5),
    ];
    let outcomes = call(&memory, "a", &rule(windows), (NOW, Cost::Hits(1)));
    assert_eq!(
        (outcomes.limits[0].available, outcomes.limits[1].available),
        (3, 4)
    );
    let stats = memory.stats();
    assert!(
        stats.bytes > before + 100 && stats.counters == 1 && stats.evicted == 0,
        "{stats:?}"
    );
}

#[test]
fn a_pinned_counter_that_grows_keeps_the_books_straight() {
    let memory = memory(1 << 20);
    let bytes = |set: &LimitSet, now| {
        call(&memory, "a", set, (now, Cost::Hits(1)));
        memory.stats().bytes
    };
    let list = rule([
        limit(LimitKind::FixedWindow, 0),
        limit(LimitKind::SlidingWindow, 0),
    ]);
    let small = bytes(&by_hour(0), NOW);
    let large = bytes(&list, NOW);
    assert!(large > small);
    assert_eq!(bytes(&by_hour(0), NOW), small);
    assert_eq!(memory.stats().pinned, 1);
}

fn slots(max_in_flight: u32) -> LimitSet {
    rule([Limit::new(LimitKind::Concurrency {
        max_in_flight,
        lease_secs: 60,
    })])
}

fn take<'a>(memory: &Memory, name: &str, set: &'a LimitSet) -> (LeaseId, Hit<'a>) {
    let lease = memory.new_lease();
    let mut hit = hit(key(memory, name), set, Cost::Hits(1));
    hit.lease = Some(lease);
    (lease, hit)
}

#[test]
fn leases_pin_their_counter_until_they_expire_or_are_released() {
    let memory = memory(200_000);
    let (held, given_back) = (slots(1), slots(1));
    let (_, hold) = take(&memory, "held", &held);
    let (lease, other) = take(&memory, "given back", &given_back);
    assert!(!memory.hit(NOW, &batch([hold]))[0].refused);
    assert!(!memory.hit(NOW, &batch([other]))[0].refused);
    assert_eq!(memory.stats().pinned, 2);
    let back = Hit {
        cost: Cost::Refund(1),
        ..other
    };
    assert_eq!(
        memory.hit(NOW, &batch([back]))[0].lease,
        LeaseOutcome::Released
    );
    assert_eq!(memory.stats().pinned, 1);
    for n in 0..20_000 {
        passes(&memory, &n.to_string(), &by_hour(9));
    }
    let (_, again) = take(&memory, "held", &held);
    assert!(memory.hit(NOW, &batch([again]))[0].refused);
    assert_eq!(memory.stats().evicted_over_limit, 0);
    memory.release(NOW, lease, &[back.key]);
}

#[test]
fn bytes_include_leases() {
    let memory = memory(1 << 20);
    let set = slots(1_000);
    let leases: Vec<_> = (0..1_000)
        .map(|_| {
            let (lease, hit) = take(&memory, "k", &set);
            assert!(!memory.hit(NOW, &batch([hit]))[0].refused);
            lease
        })
        .collect();
    let full = memory.stats().bytes;
    assert!(full > 32_000, "{full}");
    let key = key(&memory, "k");
    for lease in leases {
        memory.release(NOW, lease, &[key]);
    }
    let (_, hit) = take(&memory, "k", &set);
    assert_eq!(memory.hit(NOW, &batch([hit]))[0].limits[0].available, 999);
}

#[test]
fn threads_may_use_the_same_counters_in_any_order() {
    let memory = memory(64 << 20);
    assert!(memory.shards.len() > 64);
    let names: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    let (free, scarce) = (by_hour(u32::MAX), by_hour(500));
    let passed = AtomicU32::new(0);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (memory, names, passed) = (&memory, &names, &passed);
            let (free, scarce) = (&free, &scarce);
            scope.spawn(move || {
                for turn in 0..250 {
                    let mut order: Vec<&String> = names.iter().collect();
                    order.rotate_left((thread * 3 + turn) % 8);
                    let mut hits: Vec<_> = order
                        .into_iter()
                        .map(|name| hit(key(memory, name), free, Cost::Hits(1)))
                        .collect();
                    hits.insert(turn % 9, hit(key(memory, "scarce"), scarce, Cost::Hits(1)));
                    let mut together = batch(hits);
                    together.atomic = true;
                    let outcomes = memory.hit(NOW, &together);
                    let refused = outcomes.iter().any(|outcomes| outcomes.refused);
                    passed.fetch_add((!refused).into(), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 500);
    for name in &names {
        let looked = call(&memory, name, &free, (NOW, Cost::Peek));
        assert_eq!(looked.limits[0].available, u32::MAX - 500);
    }
}

#[test]
fn a_refused_request_of_an_atomic_domain_inserts_no_counters() {
    let memory = memory(1 << 20);
    let (free, none) = (by_hour(9), by_hour(0));
    let mut together = batch([
        hit(key(&memory, "a"), &free, Cost::Hits(1)),
        hit(key(&memory, "b"), &none, Cost::Hits(1)),
    ]);
    together.atomic = true;
    assert!(memory.hit(NOW, &together)[1].refused);
    assert_eq!(memory.stats().counters, 0);
}
