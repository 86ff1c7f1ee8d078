//! Redis that is away, dies, freezes, is slow, full, or does not let us in: every call is answered, as the policy has it.
//!
//! `cargo bench --bench compare -- faults` measures how fast.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use weir::engine::{Basis, Code, Engine};
use weir::request::Cost;
use weir::store::{Password, RedisConfig};

use crate::proxy::Proxy;
use crate::server::{self, RedisServer, free_port};
use crate::stores::runtime;
use crate::weirs::{ask, request, until, weir};

/// The limit of `plain`.
const LIMIT: u32 = 100;

fn with_redis<F: Future<Output = ()>>(test: impl FnOnce(RedisServer) -> F) {
    if server::is_there() {
        runtime().block_on(test(RedisServer::start()));
    }
}

#[test]
fn without_redis_each_rule_says_what_to_answer() {
    runtime().block_on(async {
        let address = format!("redis://127.0.0.1:{}", free_port());
        let engine = weir(RedisConfig::new(address.parse().unwrap()));
        for _ in 0..LIMIT {
            assert_eq!(ask(&engine, "plain").await, (Code::Ok, Basis::Degraded));
        }
        let over = (Code::OverLimit, Basis::Degraded);
        assert_eq!(ask(&engine, "plain").await, over);
        for _ in 0..3 {
            assert_eq!(ask(&engine, "allow").await, (Code::Ok, Basis::Degraded));
            assert_eq!(ask(&engine, "deny").await, over);
            assert_eq!(ask(&engine, "error").await.1, Basis::Failed);
        }
        assert!(engine.store_trouble().is_some());
        assert!(engine.stats().shared.unwrap().not_counted >= 100);
    });
}

#[test]
fn a_redis_that_comes_later_is_used_from_then_on() {
    if !server::is_there() {
        return;
    }
    runtime().block_on(async {
        let port = free_port();
        let engine = weir(RedisConfig::new(
            format!("redis://127.0.0.1:{port}").parse().unwrap(),
        ));
        assert_eq!(ask(&engine, "plain").await, (Code::Ok, Basis::Degraded));
        let _redis = RedisServer::at(port, &[]);
        until(&engine, Basis::Counted).await;
        assert_eq!(ask(&engine, "plain").await, (Code::Ok, Basis::Counted));
        assert_eq!(engine.store_trouble(), None);
    });
}

#[test]
fn what_redis_has_counted_is_not_granted_again_while_it_is_away() {
    with_redis(|mut redis| async move {
        let engine = weir(RedisConfig::new(redis.address()));
        until(&engine, Basis::Counted).await;
        for _ in 0..60 {
            assert_eq!(ask(&engine, "plain").await, (Code::Ok, Basis::Counted));
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
        assert_ne!(basis, Basis::Failed);
        passed += u32::from(code == Code::Ok);
        tokio::task::yield_now().await;
    }
    passed
}

#[test]
fn a_redis_that_is_killed_under_load_costs_no_answer() {
    with_redis(|mut redis| async move {
        let engine = weir(RedisConfig::new(redis.address()));
        until(&engine, Basis::Counted).await;
        let stop = Arc::new(AtomicU32::new(0));
        let callers: Vec<_> = (0..8)
            .map(|_| tokio::spawn(hammer(Arc::clone(&engine), Arc::clone(&stop))))
            .collect();
        tokio::task::yield_now().await;
        redis.kill();
        until(&engine, Basis::Degraded).await;
        redis.restart();
        until(&engine, Basis::Counted).await;
        stop.store(1, Ordering::Relaxed);
        let mut passed = 0;
        for caller in callers {
            passed += caller.await.unwrap();
        }
        // Once by Redis, once by weir alone, and once more by a Redis that has forgotten everything.
        assert!((1..=3 * LIMIT).contains(&passed), "{passed} passed");
    });
}

#[test]
fn a_frozen_redis_costs_no_answer_and_no_limit() {
    with_redis(|redis| async move {
        let engine = weir(RedisConfig::new(redis.address()));
        until(&engine, Basis::Counted).await;
        redis.freeze();
        let mut passed = 0;
        for _ in 0..500 {
            let (code, basis) = ask(&engine, "plain").await;
            assert_eq!(basis, Basis::Degraded);
            passed += u32::from(code == Code::Ok);
        }
        assert_eq!(passed, LIMIT);
        redis.thaw();
        until(&engine, Basis::Counted).await;
        assert_eq!(ask(&engine, "deny").await, (Code::Ok, Basis::Counted));
    });
}

#[test]
fn a_redis_slower_than_the_deadline_is_as_good_as_none() {
    with_redis(|redis| async move {
        let proxy = Proxy::to(&redis).await;
        let engine = weir(RedisConfig::new(proxy.address()));
        until(&engine, Basis::Counted).await;
        proxy.delay(100);
        until(&engine, Basis::Degraded).await;
        for _ in 0..20 {
            assert_eq!(ask(&engine, "plain").await, (Code::Ok, Basis::Degraded));
        }
        proxy.delay(0);
        until(&engine, Basis::Counted).await;
    });
}

#[test]
fn a_redis_that_is_slow_but_in_time_is_counted_in() {
    with_redis(|redis| async move {
        let proxy = Proxy::to(&redis).await;
        proxy.delay(20);
        let engine = weir(RedisConfig {
            deadline: Duration::from_secs(20),
            ..RedisConfig::new(proxy.address())
        });
        until(&engine, Basis::Counted).await;
        for _ in 0..20 {
            assert_eq!(ask(&engine, "plain").await, (Code::Ok, Basis::Counted));
        }
    });
}

#[test]
fn a_full_redis_counts_nothing_new_but_can_be_looked_at() {
    with_redis(|redis| async move {
        let engine = weir(RedisConfig::new(redis.address()));
        until(&engine, Basis::Counted).await;
        assert_eq!(ask(&engine, "plain").await, (Code::Ok, Basis::Counted));
        redis.cli(&["config", "set", "maxmemory", "1"]);
        assert_eq!(ask(&engine, "plain").await, (Code::Ok, Basis::Degraded));
        let trouble = engine.store_trouble().unwrap();
        assert!(trouble.contains("OOM"), "{trouble}");
        let look = engine.decide(&request("plain", "v", Cost::Look)).await;
        assert_eq!(look.basis, Basis::Counted);
        assert_eq!(look.statuses[0].remaining, LIMIT - 1);
        redis.cli(&["config", "set", "maxmemory", "0"]);
        assert_eq!(ask(&engine, "plain").await, (Code::Ok, Basis::Counted));
    });
}

#[test]
fn a_wrong_password_is_said_but_not_shown() {
    if !server::is_there() {
        return;
    }
    runtime().block_on(async {
        let redis = RedisServer::with(&["--requirepass", "open-sesame"]);
        let with = |password: &str| {
            RedisConfig::new(redis.address().with_password(Password::new(password)))
        };
        let wrong = with("open-barley");
        assert!(!format!("{wrong:?}").contains("barley"));
        let engine = weir(wrong);
        until(&engine, Basis::Degraded).await;
        let trouble = loop {
            match engine.store_trouble() {
                Some(trouble) => break trouble,
                None => tokio::task::yield_now().await,
            }
        };
        assert!(!trouble.contains("barley"), "{trouble}");
        assert!(trouble.to_lowercase().contains("password"), "{trouble}");
        let engine = weir(with("open-sesame"));
        until(&engine, Basis::Counted).await;
    });
}

#[test]
fn a_password_that_changes_costs_no_answer() {
    if !server::is_there() {
        return;
    }
    runtime().block_on(async {
        let (ours, other) = ("open-sesame", "open-barley");
        let redis = RedisServer::with(&["--requirepass", ours]);
        let address = redis.address().with_password(Password::new(ours));
        let engine = weir(RedisConfig::new(address));
        until(&engine, Basis::Counted).await;
        redis.cli(&["-a", ours, "config", "set", "requirepass", other]);
        redis.cli(&["-a", other, "client", "kill", "type", "normal"]);
        until(&engine, Basis::Degraded).await;
        assert_eq!(ask(&engine, "plain").await, (Code::Ok, Basis::Degraded));
        let denied = (Code::OverLimit, Basis::Degraded);
        assert_eq!(ask(&engine, "deny").await, denied);
        redis.cli(&["-a", other, "config", "set", "requirepass", ours]);
        until(&engine, Basis::Counted).await;
        assert_eq!(ask(&engine, "deny").await, (Code::Ok, Basis::Counted));
    });
}

#[test]
fn a_lease_granted_while_redis_was_away_can_be_given_back() {
    with_redis(|mut redis| async move {
        use crate::stores::{self, hit, key, rule, take, with_lease};
        use weir::limit::{Algorithm, Charge, LeaseOutcome};

        let store = stores::connected(server::exact(redis.address())).await;
        let set = rule(
            [stores::limit(Algorithm::Concurrency, 1, 600)],
            Charge::Allowed,
        );
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
        let batch = weir::store::Batch {
            hits: [slot].into_iter().collect(),
            atomic: false,
        };
        let granted = store.hit_here(stores::NOW, &batch);
        assert_eq!(granted[0].lease, LeaseOutcome::Taken);
        redis.restart();
        let back = weir::store::Hit {
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
        assert_eq!(freed, LeaseOutcome::Freed);
    });
}
