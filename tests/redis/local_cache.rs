//! What is decided without Redis, and how inexact that can be.

use std::time::Duration;

use weir::clock::{Micros, Timestamp};
use weir::limit::{Charge, LimitKind, LimitSet};
use weir::request::Cost;
use weir::store::{CounterKey, RedisConfig, Store};

use crate::stores::{
    NOW, address, apply, common_server, connected, exact, hit, key, limit, prefix, rule, runtime,
};
use weir_harness::program;

fn with_redis<F: Future<Output = ()>>(test: impl FnOnce(RedisConfig) -> F) {
    if program::REDIS.is_installed() {
        let config = RedisConfig {
            prefix: prefix(),
            over_limit_cache_ttl: Duration::from_secs(1),
            ..exact(address(common_server().url()))
        };
        runtime().block_on(test(config));
    }
}

fn by_hour(requests: u32, charge: Charge) -> LimitSet {
    rule([limit(LimitKind::FixedWindow, requests, 3_600)], charge)
}

async fn passes(store: &Store, now: Timestamp, (key, set): (CounterKey, &LimitSet)) -> bool {
    let answer = apply(store, now, &[hit(key, set, Cost::Hits(1))]).await;
    assert!(answer.not_counted.is_empty());
    !answer.outcomes[0].refused
}

fn asked(store: &Store) -> u64 {
    store.stats().shared.unwrap().round_trips
}

#[test]
fn a_client_over_its_limit_is_refused_without_redis_for_a_while() {
    with_redis(|config| async move {
        let store = connected(config).await;
        let set = by_hour(1, Charge::Allowed);
        let a = (key(&store, "a"), &set);
        assert!(passes(&store, NOW, a).await);
        assert!(!passes(&store, NOW, a).await);
        let before = asked(&store);
        for _ in 0..50 {
            assert!(!passes(&store, NOW, a).await);
        }
        assert_eq!(asked(&store), before);
        assert_eq!(store.stats().shared.unwrap().local_answers, 50);
        let second = Micros::from_secs(1);
        assert!(!passes(&store, NOW.plus(second), a).await);
        assert_eq!(asked(&store), before + 1);
        // The window has ended, whatever is cached.
        assert!(passes(&store, NOW.plus(Micros::from_secs(3_600)), a).await);
    });
}

#[test]
fn charges_of_refused_hits_are_written_back() {
    with_redis(|config| async move {
        let store = connected(config.clone()).await;
        let other = connected(config).await;
        let (set, wide) = (by_hour(1, Charge::Always), by_hour(100, Charge::Always));
        let name = key(&store, "a");
        for _ in 0..21 {
            passes(&store, NOW, (name, &set)).await;
        }
        assert_eq!(store.stats().shared.unwrap().local_answers, 19);
        // The same connection: calls are applied in the order in which they were sent.
        let peek = [hit(name, &wide, Cost::Refund(1))];
        let left = apply(&store, NOW, &peek).await.outcomes[0].limits[0].available;
        assert_eq!(left, 80);
        let peek = [hit(name, &wide, Cost::Peek)];
        let left = apply(&other, NOW, &peek).await.outcomes[0].limits[0].available;
        assert_eq!(left, 80);
    });
}

#[test]
fn a_raised_limit_applies_at_once_and_the_refund_of_another_instance_within_the_ttl() {
    with_redis(|config| async move {
        let store = connected(config.clone()).await;
        let other = connected(config).await;
        let (set, raised) = (by_hour(1, Charge::Allowed), by_hour(2, Charge::Allowed));
        let name = key(&store, "a");
        let back = [hit(name, &set, Cost::Refund(1))];
        assert!(passes(&store, NOW, (name, &set)).await);
        assert!(!passes(&store, NOW, (name, &set)).await);
        assert!(passes(&store, NOW, (name, &raised)).await);
        assert!(!passes(&store, NOW, (name, &set)).await);
        apply(&store, NOW, &[back[0], back[0]]).await;
        assert!(passes(&store, NOW, (name, &set)).await);
        assert!(!passes(&store, NOW, (name, &set)).await);
        apply(&other, NOW, &back).await;
        let almost = NOW.plus(Micros::new(999_999));
        assert!(!passes(&store, almost, (name, &set)).await);
        assert!(passes(&store, NOW.plus(Micros::from_secs(1)), (name, &set)).await);
    });
}

/// How many hits are admitted by three instances that each get one per millisecond and flush every
/// 50 ms.
async fn admitted_with_flush_interval(config: RedisConfig, requests: u32, charge: Charge) -> u32 {
    let config = RedisConfig {
        flush_interval: Duration::from_millis(50),
        ..config
    };
    let instances = [
        connected(config.clone()).await,
        connected(config.clone()).await,
        connected(config).await,
    ];
    let set = by_hour(requests, charge);
    let name = key(&instances[0], "hot");
    let mut passed = 0;
    for millis in 0..1_000 {
        for store in &instances {
            let now = NOW.plus(Micros::new(millis * 1_000));
            passed += u32::from(passes(store, now, (name, &set)).await);
        }
    }
    let trips: u64 = instances.iter().map(asked).sum();
    assert!(trips < 300, "{trips} round trips for 3000 decisions");
    passed
}

#[test]
fn with_a_flush_interval_each_other_instance_admits_at_most_one_interval_more() {
    for charge in [Charge::Allowed, Charge::Always] {
        with_redis(|config| async move {
            let passed = admitted_with_flush_interval(config, 1_000, charge).await;
            assert!((1_000..=1_000 + 2 * 50).contains(&passed), "{passed}");
        });
        with_redis(|config| async move {
            // A limit lower than the hits of an interval: each instance admits at most the limit.
            let passed = admitted_with_flush_interval(config, 20, charge).await;
            assert!((20..=3 * 20).contains(&passed), "{passed}");
        });
    }
}

#[test]
fn evicted_cache_entries_lose_no_hits() {
    with_redis(|config| async move {
        let config = RedisConfig {
            flush_interval: Duration::from_millis(50),
            ..config
        };
        let tiny = RedisConfig {
            max_cached_counters: 1,
            ..config.clone()
        };
        let store = connected(tiny).await;
        let set = by_hour(10, Charge::Allowed);
        let keys: Vec<CounterKey> = (0..300).map(|n| key(&store, &n.to_string())).collect();
        for key in &keys {
            for _ in 0..3 {
                assert!(passes(&store, NOW, (*key, &set)).await);
            }
        }
        let stats = || store.stats().shared.unwrap();
        assert!(stats().local_answers > 0, "{:?}", stats());
        while stats().writeback_hits < stats().local_answers {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let other = connected(config).await;
        for key in &keys {
            let peek = [hit(*key, &set, Cost::Peek)];
            let answer = apply(&other, NOW, &peek).await;
            assert_eq!(answer.outcomes[0].limits[0].available, 7);
        }
        assert_eq!(stats().writeback_dropped_hits, 0);
    });
}
