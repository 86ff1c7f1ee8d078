//! The same random calls to both stores, in virtual time: every answer is equal, to the microsecond.

use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use smallvec::SmallVec;
use weir::clock::{Micros, Timestamp};
use weir::limit::{
    Active, CalendarStart, Charge, Limit, LimitKind, LimitSet, Penalty, Weekday, Window,
};
use weir::request::{Cost, LeaseId};
use weir::store::{Batch, Enforcement, Hit, MemoryConfig, Store};

use crate::stores::{NOW, bucket, calendar, fresh, key, limit, rule, runtime, slots};

const DAY: u64 = 86_400_000_000;

/// A rule, and the same with other numbers, as a reload would bring them.
type Versions = [LimitSet; 2];

#[derive(Clone, Debug)]
struct AnyHit {
    rule: usize,
    version: usize,
    cost: Cost,
    active: u16,
    lease: Option<usize>,
    enforcement: Enforcement,
}

#[derive(Clone, Debug)]
struct AnyCall {
    pause: u64,
    back: u64,
    atomic: bool,
    hits: Vec<AnyHit>,
}

fn any_kind() -> impl Strategy<Value = [Limit; 2]> {
    let secs = prop_oneof![Just(1u32), Just(7), Just(60), Just(86_400)];
    (0u8..5, 0u32..12, 0u32..12, 1u32..24, secs, any_calendar()).prop_map(
        |(algorithm, requests, others, burst, secs, (start, multiplier, zones))| {
            [(requests, zones[0]), (others, zones[1])].map(|(requests, zone)| match algorithm {
                0 => limit(LimitKind::FixedWindow, requests, secs),
                1 => limit(LimitKind::SlidingWindow, requests, secs),
                2 => bucket(requests, burst, secs),
                3 => calendar(start, multiplier, zone, requests),
                _ => slots(requests, secs),
            })
        },
    )
}

/// Where windows begin, how many units they have, and the time zones before and after a reload.
fn any_calendar() -> impl Strategy<Value = (CalendarStart, u32, [&'static str; 2])> {
    let start = prop_oneof![
        3 => Just(CalendarStart::Day),
        1 => Just(CalendarStart::Week(Weekday::Sunday)),
        2 => (1u8..=31).prop_map(CalendarStart::Month),
        1 => Just(CalendarStart::Year),
    ];
    let zone =
        prop::sample::select(&["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York"][..]);
    let zones = prop_oneof![
        4 => zone.clone().prop_map(|zone| [zone, zone]),
        1 => [zone.clone(), zone],
    ];
    (start, 1u32..3, zones)
}

/// What a breach costs, before and after a reload.
fn any_penalties() -> impl Strategy<Value = [Option<Penalty>; 2]> {
    let secs = prop_oneof![1u32..5, 30u32..120];
    let blocks = prop::collection::vec(secs, 1..4).prop_map(|secs| Penalty::new(&secs));
    let penalty = prop_oneof![2 => Just(None), 1 => blocks];
    prop_oneof![
        4 => penalty.clone().prop_map(|penalty| [penalty.clone(), penalty]),
        1 => [penalty.clone(), penalty],
    ]
}

fn any_limit() -> impl Strategy<Value = [Limit; 2]> {
    let shadow = prop::bool::weighted(0.15);
    (any_kind(), any_penalties(), shadow).prop_map(|(limits, penalties, shadow_mode)| {
        let both = limits
            .into_iter()
            .zip(penalties)
            .map(|(limit, penalty)| Limit {
                shadow_mode,
                penalty: penalty.filter(|_| !limit.is_concurrency()),
                ..limit
            });
        let both: Vec<Limit> = both.collect();
        both.try_into().unwrap()
    })
}

fn any_rule() -> impl Strategy<Value = Versions> {
    let charge = prop_oneof![Just(Charge::Always), Just(Charge::Allowed)];
    (prop::collection::vec(any_limit(), 1..4), charge).prop_map(|(limits, charge)| {
        [0, 1].map(|version| {
            let limits: Vec<Limit> = limits.iter().map(|limit| limit[version].clone()).collect();
            let has_leases = limits.iter().any(Limit::is_concurrency);
            let charge = if has_leases { Charge::Allowed } else { charge };
            rule(limits, charge)
        })
    })
}

fn any_hit(rules: usize) -> impl Strategy<Value = AnyHit> {
    let cost = prop_oneof![
        6 => (1u32..4).prop_map(Cost::Hits),
        1 => Just(Cost::Peek),
        2 => (1u32..4).prop_map(Cost::Refund),
        1 => Just(Cost::Hits(u32::MAX)),
    ];
    let active = prop_oneof![4 => Just(u16::MAX), 1 => 1u16..8];
    let enforcement = prop_oneof![
        3 => Just(Enforcement::Enforced),
        1 => Just(Enforcement::Quota),
        1 => Just(Enforcement::Ignored)
    ];
    let version = prop::bool::weighted(0.1).prop_map(usize::from);
    let lease = prop::option::of(0usize..4);
    (0..rules, version, cost, active, lease, enforcement).prop_map(
        |(rule, version, cost, active, lease, enforcement)| AnyHit {
            rule,
            version,
            cost,
            active,
            lease,
            enforcement,
        },
    )
}

fn any_call(rules: usize) -> impl Strategy<Value = AnyCall> {
    let pause = prop_oneof![
        3 => Just(0),
        3 => 1..250_000u64,
        3 => 1..3_000_000u64,
        3 => 1..90_000_000u64,
        // Over the bounds of a calendar.
        1 => 1..10 * DAY,
    ];
    let back = prop_oneof![9 => Just(0), 1 => 1..120_000_000u64];
    let hits = prop::collection::vec(any_hit(rules), 1..4);
    (pause, back, any::<bool>(), hits).prop_map(|(pause, back, atomic, hits)| AnyCall {
        pause,
        back,
        atomic,
        hits,
    })
}

fn any_case() -> impl Strategy<Value = (Vec<Versions>, Vec<AnyCall>)> {
    prop::collection::vec(any_rule(), 1..4).prop_flat_map(|rules| {
        let calls = prop::collection::vec(any_call(rules.len()), 1..60);
        (Just(rules), calls)
    })
}

/// The hits of a call at one store.
fn batch<'a>(store: &Store, case: u32, rules: &'a [Versions], call: &AnyCall) -> Batch<'a> {
    let hits = call.hits.iter().map(|any| {
        let set = &rules[any.rule][any.version];
        let active = (0..16).fold(Active::ALL, |active, at| match any.active & (1 << at) {
            0 => active.without(at),
            _ => active,
        });
        let is_none_active = (0..set.limits.len()).all(|at| !active.contains(at));
        // What hits slots has a lease; a refund may have one.
        let lease = match any.cost {
            Cost::Hits(_) => set.has_leases().then(|| any.lease.unwrap_or(0)),
            Cost::Refund(_) => any.lease,
            Cost::Peek => None,
        };
        Hit {
            key: key(store, &format!("{case}/{}", any.rule)),
            set,
            active: if is_none_active { Active::ALL } else { active },
            cost: any.cost,
            lease: lease.map(|index| LeaseId::from_bits(index as u128 + 1)),
            enforcement: any.enforcement,
        }
    });
    Batch {
        hits: hits.collect::<SmallVec<_>>(),
        atomic: call.atomic,
    }
}

#[test]
fn both_stores_decide_the_same() {
    static CASES: AtomicU32 = AtomicU32::new(0);
    let runtime = runtime();
    let redis = fresh(&runtime);
    let memory = Store::memory(MemoryConfig::default()).unwrap();
    let config = ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |((rules, calls) in any_case())| {
        let case = CASES.fetch_add(1, Ordering::Relaxed);
        let mut now = NOW;
        for (index, call) in calls.iter().enumerate() {
            now = now.plus(Micros::new(call.pause));
            let at = Timestamp::from_micros(now.micros() - call.back);
            let in_memory = runtime.block_on(memory.hit(at, &batch(&memory, case, &rules, call)));
            let in_redis = runtime.block_on(redis.hit(at, &batch(&redis, case, &rules, call)));
            prop_assert!(in_redis.not_counted.is_empty(), "{:?}", redis.unavailable_reason());
            prop_assert_eq!(&in_memory.outcomes, &in_redis.outcomes, "call {} at {:?}", index, at);
            prop_assert_eq!(in_memory.now, in_redis.now);
        }
    });
}

#[test]
fn both_stores_decide_the_same_at_the_largest_numbers() {
    let runtime = runtime();
    let redis = fresh(&runtime);
    let memory = Store::memory(MemoryConfig::default()).unwrap();
    let ten_years = Window::LONGEST.secs();
    let widest = [
        limit(LimitKind::FixedWindow, u32::MAX, ten_years),
        limit(LimitKind::SlidingWindow, u32::MAX, ten_years),
        bucket(u32::MAX, u32::MAX, ten_years),
        bucket(14, 1, ten_years),
        bucket(999_983, 4_294_967, 1),
        limit(LimitKind::FixedWindow, u32::MAX, 1),
    ];
    // The latest moment is now: a clock that is further ahead is not believed.
    let moments = [
        0,
        1,
        1 << 40,
        1_700_000_000_123_457,
        1 << 50,
        (1 << 50) + 999_999,
    ];
    for (index, widest) in widest.into_iter().enumerate() {
        for charge in [Charge::Always, Charge::Allowed] {
            let set = rule([widest.clone()], charge);
            for round in 0..40 {
                let costs = [
                    Cost::Hits(u32::MAX),
                    Cost::Peek,
                    Cost::Hits(1),
                    Cost::Refund(u32::MAX),
                    Cost::Hits(7),
                ];
                let cost = costs[round % costs.len()];
                let now = Timestamp::from_micros(moments[round % moments.len()]);
                let outcomes = |store: &Store| {
                    let key = key(store, &format!("widest {index} {charge:?}"));
                    let hits = [crate::stores::hit(key, &set, cost)];
                    runtime.block_on(crate::stores::apply(store, now, &hits))
                };
                let (in_memory, in_redis) = (outcomes(&memory), outcomes(&redis));
                assert_eq!(
                    in_memory.outcomes, in_redis.outcomes,
                    "{set:?} {cost:?} {now:?} {round}"
                );
            }
        }
    }
}
