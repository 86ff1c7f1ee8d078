//! A Redis that is unavailable, slow, full or rejects the password: every call gets an answer.
//!
//! `cargo bench -p weir-bench --bench compare -- faults` measures how fast.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use weir::clock::{Micros, Timestamp};
use weir::engine::{Code, CountingStatus, Engine};
use weir::limit::{BlockOutcome, Charge, LeaseOutcome, LimitKind, LimitSet, Outcomes, Penalty};
use weir::request::Cost;
use weir::store::{Batch, Hit, Password, RedisAddress, RedisConfig, Store};

use weir_harness::{RedisServer, SlowProxy, free_port, program};

use crate::instances::{ask, counting, request, start, until};
use crate::stores::{self, NOW, address, exact, patient, runtime, with_servers};

/// The limit of `plain`.
const LIMIT: u32 = 100;

/// For a Redis that stops answering: tests wait this long a few times, and a busy machine has to
/// answer within it.
fn brief(address: RedisAddress) -> RedisConfig {
    RedisConfig {
        deadline: Duration::from_millis(200),
        ..RedisConfig::new(address)
    }
}

fn with_redis<F: Future<Output = ()>>(test: impl FnOnce(RedisServer) -> F) {
    if program::REDIS.is_installed() {
        runtime().block_on(test(RedisServer::start()));
    }
}

#[test]
fn without_redis_each_rule_applies_on_store_error() {
    runtime().block_on(async {
        let address = format!("redis://127.0.0.1:{}", free_port());
        let engine = start(RedisConfig::new(address.parse().unwrap()));
        for _ in 0..LIMIT {
            assert_eq!(
                ask(&engine, "plain").await,
                (Code::Ok, CountingStatus::Degraded)
            );
        }
        let over = (Code::OverLimit, CountingStatus::Degraded);
        assert_eq!(ask(&engine, "plain").await, over);
        for _ in 0..3 {
            assert_eq!(
                ask(&engine, "allow").await,
                (Code::Ok, CountingStatus::Degraded)
            );
            assert_eq!(ask(&engine, "deny").await, over);
            assert_eq!(ask(&engine, "error").await.1, CountingStatus::Failed);
        }
        assert!(engine.unavailable_reason().is_some());
        assert!(engine.stats().shared.unwrap().fallback_hits >= 100);
    });
}

#[test]
fn a_redis_that_starts_later_is_used() {
    with_servers(async {
        let port = free_port();
        let engine = start(patient(
            format!("redis://127.0.0.1:{port}").parse().unwrap(),
        ));
        assert_eq!(
            ask(&engine, "plain").await,
            (Code::Ok, CountingStatus::Degraded)
        );
        let _redis = RedisServer::start_at(port, &[]);
        until(&engine, CountingStatus::Counted).await;
        assert_eq!(
            ask(&engine, "plain").await,
            (Code::Ok, CountingStatus::Counted)
        );
        assert_eq!(engine.unavailable_reason(), None);
    });
}

#[test]
fn hits_counted_by_redis_are_not_granted_again_by_the_fallback() {
    with_redis(|mut redis| async move {
        let engine = counting(&redis).await;
        for _ in 0..60 {
            assert_eq!(
                ask(&engine, "plain").await,
                (Code::Ok, CountingStatus::Counted)
            );
        }
        redis.kill();
        let mut passed = 60;
        for _ in 0..60 {
            passed += u32::from(ask(&engine, "plain").await.0 == Code::Ok);
        }
        assert_eq!(passed, LIMIT);
    });
}

/// Sends hits until `stop` is set; returns how many were admitted.
async fn hammer(engine: Arc<Engine>, stop: Arc<AtomicU32>) -> u32 {
    let mut passed = 0;
    while stop.load(Ordering::Relaxed) == 0 {
        let (code, status) = ask(&engine, "plain").await;
        assert_ne!(status, CountingStatus::Failed);
        passed += u32::from(code == Code::Ok);
        tokio::task::yield_now().await;
    }
    passed
}

#[test]
fn every_call_is_answered_while_redis_is_killed_under_load() {
    with_redis(|mut redis| async move {
        let engine = counting(&redis).await;
        let stop = Arc::new(AtomicU32::new(0));
        let callers: Vec<_> = (0..8)
            .map(|_| tokio::spawn(hammer(Arc::clone(&engine), Arc::clone(&stop))))
            .collect();
        tokio::task::yield_now().await;
        redis.kill();
        until(&engine, CountingStatus::Degraded).await;
        redis.restart();
        until(&engine, CountingStatus::Counted).await;
        stop.store(1, Ordering::Relaxed);
        let mut passed = admitted(&engine, 2 * LIMIT).await;
        for caller in callers {
            passed += caller.await.unwrap();
        }
        // Redis has lost its data, and got it back.
        assert_eq!(passed, LIMIT);
    });
}

/// How many of `calls` are admitted. Redis must count all of them.
async fn admitted(engine: &Engine, calls: u32) -> u32 {
    let mut passed = 0;
    for _ in 0..calls {
        let (code, status) = ask(engine, "plain").await;
        assert_eq!(status, CountingStatus::Counted);
        passed += u32::from(code == Code::Ok);
    }
    passed
}

/// What Redis reports as remaining.
async fn left(engine: &Engine) -> u32 {
    let peek = engine.decide(&request("plain", "v", Cost::Peek)).await;
    assert_eq!(peek.counting_status, CountingStatus::Counted);
    peek.statuses[0].remaining
}

#[test]
fn calls_to_a_frozen_redis_are_answered_within_the_limit() {
    with_redis(|redis| async move {
        let engine = start(brief(address(redis.url())));
        until(&engine, CountingStatus::Counted).await;
        redis.freeze();
        let mut passed = 0;
        for _ in 0..500 {
            let (code, status) = ask(&engine, "plain").await;
            assert_eq!(status, CountingStatus::Degraded);
            passed += u32::from(code == Code::Ok);
        }
        assert_eq!(passed, LIMIT);
        redis.thaw();
        until(&engine, CountingStatus::Counted).await;
        assert_eq!(
            ask(&engine, "deny").await,
            (Code::Ok, CountingStatus::Counted)
        );
        // The hits that were admitted in the meantime are charged.
        assert_eq!(admitted(&engine, 50).await, 0);
        assert!(engine.stats().shared.unwrap().writeback_hits > 0);
    });
}

#[test]
fn after_an_outage_instances_share_what_each_has_admitted() {
    with_redis(|redis| async move {
        let instances = [
            start(brief(address(redis.url()))),
            start(brief(address(redis.url()))),
        ];
        for engine in &instances {
            until(engine, CountingStatus::Counted).await;
            assert_eq!(admitted(engine, 20).await, 20);
        }
        redis.freeze();
        let mut passed = 40;
        for engine in &instances {
            until(engine, CountingStatus::Degraded).await;
            for _ in 0..15 {
                passed += u32::from(ask(engine, "plain").await.0 == Code::Ok);
            }
        }
        redis.thaw();
        for engine in &instances {
            until(engine, CountingStatus::Counted).await;
        }
        for engine in &instances {
            passed += admitted(engine, LIMIT).await;
        }
        assert_eq!(passed, LIMIT);
    });
}

#[test]
fn a_redis_that_pauses_its_clients_does_not_exceed_the_limit() {
    with_redis(|redis| async move {
        let engine = start(brief(address(redis.url())));
        until(&engine, CountingStatus::Counted).await;
        assert_eq!(admitted(&engine, 30).await, 30);
        redis.run(&["client", "pause", "2000"]);
        let mut passed = 30;
        for _ in 0..40 {
            passed += u32::from(ask(&engine, "plain").await.0 == Code::Ok);
        }
        until(&engine, CountingStatus::Counted).await;
        assert_eq!(passed + admitted(&engine, LIMIT).await, LIMIT);
    });
}

#[test]
fn a_redis_slower_than_the_deadline_counts_as_unavailable() {
    with_redis(|redis| async move {
        let proxy = SlowProxy::start(&redis).await;
        let engine = start(brief(address(proxy.url())));
        until(&engine, CountingStatus::Counted).await;
        proxy.delay(Duration::from_millis(500));
        until(&engine, CountingStatus::Degraded).await;
        for _ in 0..20 {
            assert_eq!(
                ask(&engine, "plain").await,
                (Code::Ok, CountingStatus::Degraded)
            );
        }
        proxy.delay(Duration::ZERO);
        until(&engine, CountingStatus::Counted).await;
        // Whether or not Redis has counted some of them and answered too late.
        assert_eq!(left(&engine).await, LIMIT - 20);
    });
}

#[test]
fn a_slow_redis_that_answers_in_time_is_used() {
    with_redis(|redis| async move {
        let proxy = SlowProxy::start(&redis).await;
        proxy.delay(Duration::from_millis(20));
        let engine = start(RedisConfig {
            deadline: Duration::from_secs(20),
            ..RedisConfig::new(address(proxy.url()))
        });
        until(&engine, CountingStatus::Counted).await;
        for _ in 0..20 {
            assert_eq!(
                ask(&engine, "plain").await,
                (Code::Ok, CountingStatus::Counted)
            );
        }
    });
}

#[test]
fn a_full_redis_counts_nothing_new_but_can_be_peeked_at() {
    with_redis(|redis| async move {
        let engine = counting(&redis).await;
        assert_eq!(
            ask(&engine, "plain").await,
            (Code::Ok, CountingStatus::Counted)
        );
        redis.refuse_writes();
        assert_eq!(
            ask(&engine, "plain").await,
            (Code::Ok, CountingStatus::Degraded)
        );
        let reason = engine.unavailable_reason().unwrap();
        assert!(reason.contains("OOM"), "{reason}");
        let peek = engine.decide(&request("plain", "v", Cost::Peek)).await;
        assert_eq!(peek.counting_status, CountingStatus::Counted);
        assert_eq!(peek.statuses[0].remaining, LIMIT - 1);
        redis.accept_writes();
        assert_eq!(
            ask(&engine, "plain").await,
            (Code::Ok, CountingStatus::Counted)
        );
        assert_eq!(left(&engine).await, LIMIT - 3);
    });
}

/// Applies a hit as the engine does: by the fallback if Redis does not count it.
async fn apply_or_fall_back(store: &Store, now: Timestamp, hit: Hit<'_>) -> Outcomes {
    let answer = stores::apply(store, now, &[hit]).await;
    match &answer.not_counted[..] {
        [] => answer.outcomes[0].clone(),
        why => {
            let hits = [hit].into_iter().collect();
            let batch = Batch {
                hits,
                atomic: false,
            };
            store.hit_local(answer.now, &batch, why).remove(0)
        }
    }
}

/// The hits that would be admitted, as soon as Redis reports it.
async fn remaining(store: &Store, now: Timestamp, hit: Hit<'_>) -> u32 {
    let peek = Hit {
        cost: Cost::Peek,
        ..hit
    };
    loop {
        let answer = stores::apply(store, now, &[peek]).await;
        if answer.not_counted.is_empty() {
            return answer.outcomes[0].limits[0].available;
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn fallback_hits_are_added_at_their_own_time_for_every_algorithm() {
    with_redis(|mut redis| async move {
        let config = exact(address(redis.url()));
        let store = stores::connected(config.clone()).await;
        let algorithms = [
            stores::limit(LimitKind::FixedWindow, 100, 60),
            stores::limit(LimitKind::SlidingWindow, 100, 60),
            stores::bucket(60, 100, 60),
        ];
        let sets: Vec<LimitSet> = [Charge::Allowed, Charge::Always]
            .into_iter()
            .flat_map(|charge| {
                let limits = algorithms.iter().cloned();
                limits.map(move |limit| stores::rule([limit], charge))
            })
            .collect();
        let named = |index: usize, cost| {
            let key = stores::key(&store, &format!("counter {index}"));
            stores::hit(key, &sets[index], cost)
        };
        for index in 0..sets.len() {
            apply_or_fall_back(&store, NOW, named(index, Cost::Hits(30))).await;
        }
        redis.kill();
        for index in 0..sets.len() {
            apply_or_fall_back(&store, NOW, named(index, Cost::Hits(20))).await;
            apply_or_fall_back(&store, NOW, named(index, Cost::Peek)).await;
            let over = apply_or_fall_back(&store, NOW, named(index, Cost::Hits(51))).await;
            assert!(over.refused);
            apply_or_fall_back(&store, NOW, named(index, Cost::Refund(5))).await;
        }
        redis.restart();
        // The first store to connect chooses the hash key.
        remaining(&store, NOW, named(0, Cost::Peek)).await;
        let store_too = stores::connected(config).await;
        for (index, set) in sets.iter().enumerate() {
            let left = match set.charge {
                Charge::Allowed => 100 - 30 - 20 + 5,
                Charge::Always => 100 + 5 - 30 - 20 - 51,
            };
            let hit = named(index, Cost::Peek);
            assert_eq!(remaining(&store, NOW, hit).await, left, "{set:?}");
            assert_eq!(remaining(&store_too, NOW, hit).await, left, "{set:?}");
            let later = NOW.plus(Micros::from_secs(180));
            assert_eq!(remaining(&store, later, hit).await, 100, "{set:?}");
        }
    });
}

#[test]
fn a_block_that_began_without_redis_is_in_force_for_all_afterwards() {
    with_redis(|mut redis| async move {
        let config = exact(address(redis.url()));
        let store = stores::connected(config.clone()).await;
        let mut limit = stores::limit(LimitKind::FixedWindow, 2, 60);
        limit.penalty = Penalty::new(&[600, 3_600]);
        let set = stores::rule([limit], Charge::Allowed);
        let hit = |cost| stores::hit(stores::key(&store, "k"), &set, cost);
        apply_or_fall_back(&store, NOW, hit(Cost::Hits(2))).await;
        redis.kill();
        let refused = apply_or_fall_back(&store, NOW, hit(Cost::Hits(1))).await;
        assert_eq!(refused.limits[0].block, BlockOutcome::Began);
        redis.restart();
        assert_eq!(remaining(&store, NOW, hit(Cost::Peek)).await, 0);
        let store_too = stores::connected(config).await;
        let peek = hit(Cost::Peek);
        let at = |secs| NOW.plus(Micros::from_secs(secs));
        assert_eq!(remaining(&store_too, at(599), peek).await, 0);
        assert_eq!(remaining(&store_too, at(600), peek).await, 2);
        // The next breach is a repeated one.
        apply_or_fall_back(&store_too, at(600), hit(Cost::Hits(2))).await;
        let refused = apply_or_fall_back(&store_too, at(600), hit(Cost::Hits(1))).await;
        assert_eq!(refused.limits[0].reset_after, Micros::from_secs(3_600));
    });
}

#[test]
fn idle_counters_are_flushed_and_never_twice() {
    with_redis(|mut redis| async move {
        let config = exact(address(redis.url()));
        let store = stores::connected(config.clone()).await;
        let set = stores::rule(
            [stores::limit(LimitKind::FixedWindow, 10, 3_600)],
            Charge::Allowed,
        );
        let named = |index: u32| {
            let key = stores::key(&store, &format!("counter {index}"));
            stores::hit(key, &set, Cost::Hits(3))
        };
        redis.kill();
        for index in 0..500 {
            apply_or_fall_back(&store, NOW, named(index)).await;
        }
        redis.restart();
        let settled = || store.stats().shared.unwrap().writeback_hits;
        while settled() < 1_500 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        let other = stores::connected(config).await;
        for index in 0..500 {
            assert_eq!(remaining(&store, NOW, named(index)).await, 7);
            assert_eq!(remaining(&other, NOW, named(index)).await, 7);
        }
        assert_eq!(settled(), 1_500);
    });
}

#[test]
fn hits_of_a_flush_interval_are_not_lost_when_redis_fails() {
    with_redis(|mut redis| async move {
        let config = RedisConfig {
            flush_interval: std::time::Duration::from_millis(50),
            ..exact(address(redis.url()))
        };
        let store = stores::connected(config).await;
        let set = stores::rule(
            [stores::limit(LimitKind::FixedWindow, 100, 3_600)],
            Charge::Allowed,
        );
        let hit = stores::hit(stores::key(&store, "hot"), &set, Cost::Hits(1));
        for _ in 0..20 {
            apply_or_fall_back(&store, NOW, hit).await;
        }
        redis.kill();
        for millis in 0..200 {
            apply_or_fall_back(&store, NOW.plus(Micros::new(millis * 1_000)), hit).await;
        }
        redis.restart();
        let later = NOW.plus(Micros::from_secs(10));
        assert_eq!(remaining(&store, later, hit).await, 0);
    });
}

#[test]
fn a_wrong_password_is_reported_but_not_shown() {
    with_servers(async {
        let redis = RedisServer::start_with(&["--requirepass", "open-sesame"]);
        let with =
            |password: &str| patient(address(redis.url()).with_password(Password::new(password)));
        let wrong = with("open-barley");
        assert!(!format!("{wrong:?}").contains("barley"));
        let engine = start(wrong);
        until(&engine, CountingStatus::Degraded).await;
        let reason = loop {
            match engine.unavailable_reason() {
                Some(reason) => break reason,
                None => tokio::task::yield_now().await,
            }
        };
        assert!(!reason.contains("barley"), "{reason}");
        assert!(reason.to_lowercase().contains("password"), "{reason}");
        let engine = start(with("open-sesame"));
        until(&engine, CountingStatus::Counted).await;
    });
}

#[test]
fn every_call_is_answered_while_the_password_changes() {
    with_servers(async {
        let (ours, other) = ("open-sesame", "open-barley");
        let redis = RedisServer::start_with(&["--requirepass", ours]);
        let address = address(redis.url()).with_password(Password::new(ours));
        let engine = start(patient(address));
        until(&engine, CountingStatus::Counted).await;
        redis.change_password(ours, other);
        redis.disconnect_clients(other);
        until(&engine, CountingStatus::Degraded).await;
        assert_eq!(
            ask(&engine, "plain").await,
            (Code::Ok, CountingStatus::Degraded)
        );
        let denied = (Code::OverLimit, CountingStatus::Degraded);
        assert_eq!(ask(&engine, "deny").await, denied);
        redis.change_password(other, ours);
        until(&engine, CountingStatus::Counted).await;
        assert_eq!(
            ask(&engine, "deny").await,
            (Code::Ok, CountingStatus::Counted)
        );
    });
}

#[test]
fn a_lease_granted_by_the_fallback_can_be_released() {
    with_redis(|mut redis| async move {
        use crate::stores::{apply, hit, key, rule, with_lease};

        let store = stores::connected(exact(address(redis.url()))).await;
        let set = rule([stores::slots(1, 600)], Charge::Allowed);
        let slot = with_lease(
            hit(key(&store, "slot"), &set, Cost::Hits(1)),
            store.new_lease(),
        );
        redis.kill();
        let answer = loop {
            let answer = apply(&store, stores::NOW, &[slot]).await;
            if !answer.not_counted.is_empty() {
                break answer;
            }
        };
        assert_eq!(answer.not_counted.len(), 1);
        let batch = Batch {
            hits: [slot].into_iter().collect(),
            atomic: false,
        };
        let granted = store.hit_local(stores::NOW, &batch, &answer.not_counted);
        assert_eq!(granted[0].lease, LeaseOutcome::Granted);
        redis.restart();
        let back = Hit {
            cost: Cost::Refund(1),
            ..slot
        };
        let freed = loop {
            let answer = apply(&store, stores::NOW, &[back]).await;
            if answer.not_counted.is_empty() {
                break answer.outcomes[0].lease;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(freed, LeaseOutcome::Released);
    });
}
