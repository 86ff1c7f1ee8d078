//! Stores for tests.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use weir::clock::Timestamp;
use weir::limit::{
    Active, Calendar, CalendarRate, CalendarStart, CalendarZone, Charge, Limit, LimitKind,
    LimitSet, Rate, TokenBucket, Window,
};
use weir::request::{Cost, LeaseId, Unit};
use weir::store::{
    Batch, BatchOutcome, CounterKey, Enforcement, Hit, KeyBuilder, MemoryConfig, RedisAddress,
    RedisClock, RedisConfig, Store,
};

use weir_harness::{RedisServer, program};

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// The server of all tests that do not break it.
pub(crate) fn common_server() -> &'static RedisServer {
    static SERVER: OnceLock<RedisServer> = OnceLock::new();
    SERVER.get_or_init(RedisServer::start)
}

/// A prefix of keys that no other test of this process uses.
pub(crate) fn prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test{}:", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A store that no other test uses; in memory if Redis is not installed.
pub(crate) fn fresh(runtime: &Runtime) -> Store {
    if !program::REDIS.is_installed() {
        return Store::memory(MemoryConfig::default()).unwrap();
    }
    let config = RedisConfig {
        prefix: prefix(),
        ..exact(address(common_server().url()))
    };
    runtime.block_on(connected(config))
}

/// A store that is connected.
pub(crate) async fn connected(config: RedisConfig) -> Store {
    let store = Store::redis(config, MemoryConfig::default()).unwrap();
    store.prepare();
    let patience = Duration::from_secs(20);
    let connected = tokio::time::timeout(patience, store.connected()).await;
    assert!(connected.is_ok(), "{:?}", store.unavailable_reason());
    store
}

/// The address that a URL of the harness names.
pub(crate) fn address(url: String) -> RedisAddress {
    url.parse().unwrap()
}

/// How many of these names of keys, one a line, are counters of clients. Connecting counts at one that belongs to none.
pub(crate) fn count_counters(names: &str) -> usize {
    let counters = names.lines().filter(|name| name.contains(":1:"));
    counters
        .filter(|name| !name.contains(":1:0000000000000000"))
        .count()
}

/// Settings with which Redis decides exactly as memory does, by the clock of the test, however slow
/// the machine is.
pub(crate) fn exact(address: RedisAddress) -> RedisConfig {
    RedisConfig {
        deadline: Duration::from_secs(20),
        clock: RedisClock::Local,
        over_limit_cache_ttl: Duration::ZERO,
        grace_ttl: Duration::from_secs(3_600),
        ..RedisConfig::new(address)
    }
}

/// For a Redis that answers or is not there, so that a busy machine does not matter.
pub(crate) fn patient(address: RedisAddress) -> RedisConfig {
    RedisConfig {
        deadline: Duration::from_secs(1),
        ..RedisConfig::new(address)
    }
}

/// Runs a test that starts servers, if they are installed.
pub(crate) fn with_servers(test: impl Future<Output = ()>) {
    if program::REDIS.is_installed() {
        runtime().block_on(test);
    }
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

pub(crate) fn key(store: &Store, name: &str) -> CounterKey {
    let mut identity = KeyBuilder::new(&store.hasher());
    identity.add(0, name.as_bytes());
    identity.key()
}

pub(crate) fn limit(kind: impl Fn(Rate) -> LimitKind, requests: u32, secs: u32) -> Limit {
    let window = Window::new(Unit::Second, secs).unwrap();
    Limit::new(kind(Rate { requests, window }))
}

pub(crate) fn slots(max_in_flight: u32, lease_secs: u32) -> Limit {
    Limit::new(LimitKind::Concurrency {
        max_in_flight,
        lease_secs,
    })
}

pub(crate) fn calendar(start: CalendarStart, multiplier: u32, zone: &str, requests: u32) -> Limit {
    let zone = CalendarZone::named(zone).unwrap();
    let calendar = Calendar::new(start, multiplier, zone).unwrap().into();
    Limit::new(LimitKind::Calendar(CalendarRate { requests, calendar }))
}

pub(crate) fn bucket(requests: u32, burst: u32, secs: u32) -> Limit {
    let bucket = |rate| LimitKind::TokenBucket(TokenBucket::new(burst, rate).unwrap());
    limit(bucket, requests, secs)
}

pub(crate) fn rule(limits: impl Into<Box<[Limit]>>, charge: Charge) -> LimitSet {
    LimitSet {
        limits: limits.into(),
        charge,
    }
}

pub(crate) fn hit(key: CounterKey, set: &LimitSet, cost: Cost) -> Hit<'_> {
    Hit {
        key,
        set,
        active: Active::ALL,
        cost,
        lease: None,
        enforcement: Enforcement::Enforced,
    }
}

pub(crate) fn with_lease(hit: Hit<'_>, lease: LeaseId) -> Hit<'_> {
    Hit {
        lease: Some(lease),
        ..hit
    }
}

pub(crate) async fn apply(store: &Store, now: Timestamp, hits: &[Hit<'_>]) -> BatchOutcome {
    let batch = Batch {
        hits: hits.iter().copied().collect(),
        atomic: false,
    };
    store.hit(now, &batch).await
}

/// Whether one hit is admitted. Redis must count it.
pub(crate) async fn passes(store: &Store, name: &str, set: &LimitSet) -> bool {
    let answer = apply(store, NOW, &[hit(key(store, name), set, Cost::Hits(1))]).await;
    assert!(
        answer.not_counted.is_empty(),
        "{:?}",
        store.unavailable_reason()
    );
    !answer.outcomes[0].refused
}
