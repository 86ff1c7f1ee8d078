//! What several instances share, and what they keep from Redis.

use std::time::Duration;

use futures_util::future::join_all;
use weir::clock::{Clock, Micros};
use weir::limit::{Charge, LimitKind};
use weir::request::Cost;
use weir::store::{HashKey, RedisClock, RedisConfig, Store};

use crate::instances::{self, counting};
use crate::stores::{
    address, apply, bucket, common_server, connected, exact, hit, key, limit, prefix, rule,
    runtime, with_servers,
};
use weir_harness::{RedisServer, program};

fn with_redis<F: Future<Output = ()>>(test: impl FnOnce(RedisConfig) -> F) {
    if program::REDIS.is_installed() {
        let config = RedisConfig {
            prefix: prefix(),
            ..exact(address(common_server().url()))
        };
        runtime().block_on(test(config));
    }
}

#[test]
fn two_instances_admit_exactly_the_limit_together() {
    with_redis(|config| async move {
        let config = RedisConfig {
            clock: RedisClock::Redis,
            over_limit_cache_ttl: Duration::from_secs(1),
            ..config
        };
        let instances = [connected(config.clone()).await, connected(config).await];
        for (index, set) in [
            rule([limit(LimitKind::FixedWindow, 200, 86_400)], Charge::Always),
            rule(
                [limit(LimitKind::SlidingWindow, 200, 86_400)],
                Charge::Allowed,
            ),
            rule([bucket(200, 200, 86_400)], Charge::Allowed),
        ]
        .into_iter()
        .enumerate()
        {
            let (set, name) = (&set, format!("together {index}"));
            let callers = instances.iter().flat_map(|store| [store; 4]).map(|store| {
                let key = key(store, &name);
                async move {
                    let mut passed = 0;
                    for _ in 0..100 {
                        let now = Clock::System.now();
                        let answer = apply(store, now, &[hit(key, set, Cost::Hits(1))]).await;
                        assert!(answer.not_counted.is_empty());
                        passed += u32::from(!answer.outcomes[0].refused);
                    }
                    passed
                }
            });
            let passed: u32 = join_all(callers).await.iter().sum();
            assert_eq!(passed, 200, "{set:?}");
        }
    });
}

#[test]
fn names_contain_no_value_and_every_key_expires() {
    with_servers(async {
        let redis = RedisServer::start();
        let engine = counting(&redis).await;
        for key in ["plain", "allow", "deny"] {
            instances::decide(&engine, key).await;
            engine
                .decide(&instances::request(key, "sk_live_hush", Cost::Hits(3)))
                .await;
        }
        let names = redis.cli(&["keys", "*"]);
        // Two per key, `weir:meta`, and the counter that connecting counts at.
        assert_eq!(names.lines().count(), 8, "{names}");
        assert!(!names.contains("hush") && !names.contains("plain"));
        for name in names.lines() {
            assert!(name.starts_with("weir:1:") || name == "weir:meta", "{name}");
            let left: i64 = redis.cli(&["pttl", name]).parse().unwrap();
            assert!(left > 0, "{name}: {left}");
            assert!(!redis.cli(&["get", name]).contains("hush"));
        }
    });
}

#[test]
fn the_first_instance_chooses_the_hash_key_for_all() {
    with_redis(|config| async move {
        let one = connected(config.clone()).await;
        let other = connected(config.clone()).await;
        assert_eq!(key(&one, "a"), key(&other, "a"));
        let elsewhere = RedisConfig {
            prefix: prefix(),
            ..config
        };
        assert_ne!(key(&one, "a"), key(&connected(elsewhere).await, "a"));
    });
}

/// Why a store cannot use Redis.
async fn reason(config: RedisConfig) -> String {
    let store = Store::redis(config, weir::store::MemoryConfig::default()).unwrap();
    store.prepare();
    loop {
        if let Some(reason) = store.unavailable_reason() {
            return reason;
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn another_hash_key_or_format_is_reported() {
    with_redis(|config| async move {
        let given = |digit: &str| RedisConfig {
            hash_key: HashKey::from_hex(&digit.repeat(32)),
            ..config.clone()
        };
        let first = connected(given("1")).await;
        let second = connected(given("1")).await;
        assert_eq!(key(&first, "a"), key(&second, "a"));
        let other = reason(given("2")).await;
        assert!(other.contains("another --hash-key-file"), "{other}");
        let none = reason(config.clone()).await;
        assert!(none.contains("give this one the same"), "{none}");

        let elsewhere = RedisConfig {
            prefix: prefix(),
            ..config
        };
        let meta = format!("{}meta", elsewhere.prefix);
        common_server().run(&["set", &meta, "7 random 00"]);
        let format = reason(elsewhere).await;
        assert!(
            format.contains("format 7") && format.contains("--redis-prefix"),
            "{format}"
        );
    });
}

#[test]
fn a_clock_that_is_an_hour_ahead_does_not_affect_other_instances() {
    with_redis(|config| async move {
        let set = rule([limit(LimitKind::FixedWindow, 5, 60)], Charge::Always);
        let skewed = connected(config.clone()).await;
        let right = connected(config).await;
        let name = key(&right, "skew");
        let hit = || [hit(name, &set, Cost::Hits(1))];
        let now = Clock::System.now();
        let ahead = now.plus(Micros::from_secs(3_600));
        let answer = apply(&skewed, ahead, &hit()).await;
        assert!(
            answer.now < now.plus(Micros::from_secs(10)),
            "{:?}",
            answer.now
        );
        // A minute later the window that the skewed instance has counted in has ended.
        let later = now.plus(Micros::from_secs(90));
        let answer = apply(&right, later, &hit()).await;
        assert!(answer.outcomes[0].limits[0].reset_after <= Micros::from_secs(61));
    });
}

#[test]
fn a_clock_that_is_behind_admits_nothing_more() {
    with_redis(|config| async move {
        let store = connected(config).await;
        for (index, limit) in [
            limit(LimitKind::FixedWindow, 5, 60),
            limit(LimitKind::SlidingWindow, 5, 60),
            bucket(5, 5, 60),
        ]
        .into_iter()
        .enumerate()
        {
            let set = rule([limit], Charge::Allowed);
            let name = key(&store, &format!("behind {index}"));
            let now = Clock::System.now();
            let mut passed = 0;
            for call in 0..50u64 {
                let behind = weir::clock::Timestamp::from_micros(now.micros() - call * 7_000_000);
                let answer = apply(&store, behind, &[hit(name, &set, Cost::Hits(1))]).await;
                passed += u32::from(!answer.outcomes[0].refused);
            }
            assert_eq!(passed, 5);
        }
    });
}
