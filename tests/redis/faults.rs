//! Redis that is away, dies, freezes, is slow, full, or does not let us in: every call is answered, as the policy has it.
//!
//! `cargo bench -p weir-bench --bench compare -- faults` measures how fast.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use weir::clock::{Micros, Timestamp};
use weir::engine::{Code, CountingStatus, Engine};
use weir::limit::{Charge, LeaseOutcome, LimitKind, LimitSet, Outcomes};
use weir::request::Cost;
use weir::store::{Batch, Hit, Password, RedisAddress, RedisConfig, Store};

use weir_harness::{RedisServer, SlowProxy, free_port, program};

use crate::instances::{ask, request, until, weir};
use crate::stores::{self, NOW, address, exact, runtime};

/// The limit of `plain`.
const LIMIT: u32 = 100;

/// For a Redis that is sound or gone: a busy machine is no fault of it.
pub(crate) fn patient(address: RedisAddress) -> RedisConfig {
    RedisConfig {
        deadline: Duration::from_secs(1),
        ..RedisConfig::new(address)
    }
}

fn with_redis<F: Future<Output = ()>>(test: impl FnOnce(RedisServer) -> F) {
    if program::REDIS.is_installed() {
        runtime().block_on(test(RedisServer::start()));
    }
}

#[test]
fn without_redis_each_rule_says_what_to_answer() {
    runtime().block_on(async {
        let address = format!("redis://127.0.0.1:{}", free_port());
        let engine = weir(RedisConfig::new(address.parse().unwrap()));
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
fn a_redis_that_comes_later_is_used_from_then_on() {
    if !program::REDIS.is_installed() {
        return;
    }
    runtime().block_on(async {
        let port = free_port();
        let engine = weir(RedisConfig::new(
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
fn what_redis_has_counted_is_not_granted_again_while_it_is_away() {
    with_redis(|mut redis| async move {
        let engine = weir(patient(address(redis.url())));
        until(&engine, CountingStatus::Counted).await;
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

/// Asks again and again until told to stop; says how many were let through.
async fn hammer(engine: Arc<Engine>, stop: Arc<AtomicU32>) -> u32 {
    let mut passed = 0;
    while stop.load(Ordering::Relaxed) == 0 {
        let (code, basis) = ask(&engine, "plain").await;
        assert_ne!(basis, CountingStatus::Failed);
        passed += u32::from(code == Code::Ok);
        tokio::task::yield_now().await;
    }
    passed
}

#[test]
fn a_redis_that_is_killed_under_load_costs_no_answer() {
    with_redis(|mut redis| async move {
        let engine = weir(RedisConfig::new(address(redis.url())));
        until(&engine, CountingStatus::Counted).await;
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
        let mut passed = passed_of(&engine, 2 * LIMIT).await;
        for caller in callers {
            passed += caller.await.unwrap();
        }
        // Redis has forgotten everything, and was told it again.
        assert_eq!(passed, LIMIT);
    });
}

/// How many of so many calls pass, all of them counted in Redis.
async fn passed_of(engine: &Engine, calls: u32) -> u32 {
    let mut passed = 0;
    for _ in 0..calls {
        let (code, basis) = ask(engine, "plain").await;
        assert_eq!(basis, CountingStatus::Counted);
        passed += u32::from(code == Code::Ok);
    }
    passed
}

/// What Redis says is left.
async fn left(engine: &Engine) -> u32 {
    let look = engine.decide(&request("plain", "v", Cost::Peek)).await;
    assert_eq!(look.counting_status, CountingStatus::Counted);
    look.statuses[0].remaining
}

#[test]
fn a_frozen_redis_costs_no_answer_and_no_limit() {
    with_redis(|redis| async move {
        let engine = weir(RedisConfig::new(address(redis.url())));
        until(&engine, CountingStatus::Counted).await;
        redis.freeze();
        let mut passed = 0;
        for _ in 0..500 {
            let (code, basis) = ask(&engine, "plain").await;
            assert_eq!(basis, CountingStatus::Degraded);
            passed += u32::from(code == Code::Ok);
        }
        assert_eq!(passed, LIMIT);
        redis.thaw();
        until(&engine, CountingStatus::Counted).await;
        assert_eq!(
            ask(&engine, "deny").await,
            (Code::Ok, CountingStatus::Counted)
        );
        // What was let through meanwhile is used up.
        assert_eq!(passed_of(&engine, 50).await, 0);
        assert!(engine.stats().shared.unwrap().writeback_hits > 0);
    });
}

#[test]
fn after_an_outage_all_know_what_each_has_let_through() {
    with_redis(|redis| async move {
        let weirs = [
            weir(RedisConfig::new(address(redis.url()))),
            weir(RedisConfig::new(address(redis.url()))),
        ];
        for engine in &weirs {
            until(engine, CountingStatus::Counted).await;
            assert_eq!(passed_of(engine, 20).await, 20);
        }
        redis.freeze();
        let mut passed = 40;
        for engine in &weirs {
            until(engine, CountingStatus::Degraded).await;
            for _ in 0..15 {
                passed += u32::from(ask(engine, "plain").await.0 == Code::Ok);
            }
        }
        redis.thaw();
        for engine in &weirs {
            until(engine, CountingStatus::Counted).await;
        }
        for engine in &weirs {
            passed += passed_of(engine, LIMIT).await;
        }
        assert_eq!(passed, LIMIT);
    });
}

#[test]
fn a_redis_that_makes_its_clients_wait_costs_no_limit() {
    with_redis(|redis| async move {
        let engine = weir(RedisConfig::new(address(redis.url())));
        until(&engine, CountingStatus::Counted).await;
        assert_eq!(passed_of(&engine, 30).await, 30);
        redis.run(&["client", "pause", "500"]);
        let mut passed = 30;
        for _ in 0..40 {
            passed += u32::from(ask(&engine, "plain").await.0 == Code::Ok);
        }
        until(&engine, CountingStatus::Counted).await;
        assert_eq!(passed + passed_of(&engine, LIMIT).await, LIMIT);
    });
}

#[test]
fn a_redis_slower_than_the_deadline_is_as_good_as_none() {
    with_redis(|redis| async move {
        let proxy = SlowProxy::start(&redis).await;
        let engine = weir(RedisConfig::new(address(proxy.url())));
        until(&engine, CountingStatus::Counted).await;
        proxy.delay(Duration::from_millis(100));
        until(&engine, CountingStatus::Degraded).await;
        for _ in 0..20 {
            assert_eq!(
                ask(&engine, "plain").await,
                (Code::Ok, CountingStatus::Degraded)
            );
        }
        proxy.delay(Duration::ZERO);
        until(&engine, CountingStatus::Counted).await;
        // Whether Redis has counted some of them in time, and the answer was late, or not.
        assert_eq!(left(&engine).await, LIMIT - 20);
    });
}

#[test]
fn a_redis_that_is_slow_but_in_time_is_counted_in() {
    with_redis(|redis| async move {
        let proxy = SlowProxy::start(&redis).await;
        proxy.delay(Duration::from_millis(20));
        let engine = weir(RedisConfig {
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
fn a_full_redis_counts_nothing_new_but_can_be_looked_at() {
    with_redis(|redis| async move {
        let engine = weir(RedisConfig::new(address(redis.url())));
        until(&engine, CountingStatus::Counted).await;
        assert_eq!(
            ask(&engine, "plain").await,
            (Code::Ok, CountingStatus::Counted)
        );
        redis.refuse_writes();
        assert_eq!(
            ask(&engine, "plain").await,
            (Code::Ok, CountingStatus::Degraded)
        );
        let trouble = engine.unavailable_reason().unwrap();
        assert!(trouble.contains("OOM"), "{trouble}");
        let look = engine.decide(&request("plain", "v", Cost::Peek)).await;
        assert_eq!(look.counting_status, CountingStatus::Counted);
        assert_eq!(look.statuses[0].remaining, LIMIT - 1);
        redis.accept_writes();
        assert_eq!(
            ask(&engine, "plain").await,
            (Code::Ok, CountingStatus::Counted)
        );
        assert_eq!(left(&engine).await, LIMIT - 3);
    });
}

/// Takes a hit as the engine does: here if Redis cannot.
async fn anyhow(store: &Store, now: Timestamp, hit: Hit<'_>) -> Outcomes {
    let answer = stores::take(store, now, &[hit]).await;
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

/// Hits that would pass, as soon as Redis says so.
async fn remaining(store: &Store, now: Timestamp, hit: Hit<'_>) -> u32 {
    let look = Hit {
        cost: Cost::Peek,
        ..hit
    };
    loop {
        let answer = stores::take(store, now, &[look]).await;
        if answer.not_counted.is_empty() {
            return answer.outcomes[0].limits[0].remaining;
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn what_was_counted_meanwhile_is_added_as_of_then_whatever_the_algorithm() {
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
        let named = |nth: usize, cost| {
            let key = stores::key(&store, &format!("counter {nth}"));
            stores::hit(key, &sets[nth], cost)
        };
        for nth in 0..sets.len() {
            anyhow(&store, NOW, named(nth, Cost::Hits(30))).await;
        }
        redis.kill();
        for nth in 0..sets.len() {
            anyhow(&store, NOW, named(nth, Cost::Hits(20))).await;
            anyhow(&store, NOW, named(nth, Cost::Peek)).await;
            let over = anyhow(&store, NOW, named(nth, Cost::Hits(51))).await;
            assert!(over.refused);
            anyhow(&store, NOW, named(nth, Cost::Refund(5))).await;
        }
        redis.restart();
        // Who comes first says by which key counters are named.
        remaining(&store, NOW, named(0, Cost::Peek)).await;
        let store_too = stores::connected(config).await;
        for (nth, set) in sets.iter().enumerate() {
            let left = match set.charge {
                Charge::Allowed => 100 - 30 - 20 + 5,
                Charge::Always => 100 + 5 - 30 - 20 - 51,
            };
            let hit = named(nth, Cost::Peek);
            assert_eq!(remaining(&store, NOW, hit).await, left, "{set:?}");
            assert_eq!(remaining(&store_too, NOW, hit).await, left, "{set:?}");
            let later = NOW.plus(Micros::from_secs(180));
            assert_eq!(remaining(&store, later, hit).await, 100, "{set:?}");
        }
    });
}

#[test]
fn what_nobody_asks_for_again_is_added_too_and_never_twice() {
    with_redis(|mut redis| async move {
        let config = exact(address(redis.url()));
        let store = stores::connected(config.clone()).await;
        let set = stores::rule(
            [stores::limit(LimitKind::FixedWindow, 10, 3_600)],
            Charge::Allowed,
        );
        let named = |nth: u32| {
            let key = stores::key(&store, &format!("counter {nth}"));
            stores::hit(key, &set, Cost::Hits(3))
        };
        redis.kill();
        for nth in 0..500 {
            anyhow(&store, NOW, named(nth)).await;
        }
        redis.restart();
        let settled = || store.stats().shared.unwrap().writeback_hits;
        while settled() < 1_500 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        let other = stores::connected(config).await;
        for nth in 0..500 {
            assert_eq!(remaining(&store, NOW, named(nth)).await, 7);
            assert_eq!(remaining(&other, NOW, named(nth)).await, 7);
        }
        assert_eq!(settled(), 1_500);
    });
}

#[test]
fn what_was_counted_in_a_batch_when_redis_went_away_is_not_lost() {
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
            anyhow(&store, NOW, hit).await;
        }
        redis.kill();
        for millis in 0..200 {
            anyhow(&store, NOW.plus(Micros::new(millis * 1_000)), hit).await;
        }
        redis.restart();
        let later = NOW.plus(Micros::from_secs(10));
        assert_eq!(remaining(&store, later, hit).await, 0);
    });
}

#[test]
fn a_wrong_password_is_said_but_not_shown() {
    if !program::REDIS.is_installed() {
        return;
    }
    runtime().block_on(async {
        let redis = RedisServer::start_with(&["--requirepass", "open-sesame"]);
        let with = |password: &str| {
            RedisConfig::new(address(redis.url()).with_password(Password::new(password)))
        };
        let wrong = with("open-barley");
        assert!(!format!("{wrong:?}").contains("barley"));
        let engine = weir(wrong);
        until(&engine, CountingStatus::Degraded).await;
        let trouble = loop {
            match engine.unavailable_reason() {
                Some(trouble) => break trouble,
                None => tokio::task::yield_now().await,
            }
        };
        assert!(!trouble.contains("barley"), "{trouble}");
        assert!(trouble.to_lowercase().contains("password"), "{trouble}");
        let engine = weir(with("open-sesame"));
        until(&engine, CountingStatus::Counted).await;
    });
}

#[test]
fn a_password_that_changes_costs_no_answer() {
    if !program::REDIS.is_installed() {
        return;
    }
    runtime().block_on(async {
        let (ours, other) = ("open-sesame", "open-barley");
        let redis = RedisServer::start_with(&["--requirepass", ours]);
        let address = address(redis.url()).with_password(Password::new(ours));
        let engine = weir(RedisConfig::new(address));
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
fn a_lease_granted_while_redis_was_away_can_be_given_back() {
    with_redis(|mut redis| async move {
        use crate::stores::{hit, key, rule, take, with_lease};

        let store = stores::connected(exact(address(redis.url()))).await;
        let set = rule([stores::slots(1, 600)], Charge::Allowed);
        let slot = with_lease(
            hit(key(&store, "slot"), &set, Cost::Hits(1)),
            store.new_lease(),
        );
        redis.kill();
        let answer = loop {
            let answer = take(&store, stores::NOW, &[slot]).await;
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
            let answer = take(&store, stores::NOW, &[back]).await;
            if answer.not_counted.is_empty() {
                break answer.outcomes[0].lease;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(freed, LeaseOutcome::Released);
    });
}
