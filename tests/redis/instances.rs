//! Instances of weir without their servers: a policy, and counters in a Redis.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use weir::clock::Clock;
use weir::engine::{Code, CountingStatus, Decision, Engine};
use weir::request::{Cost, Descriptor, Entry, Request};
use weir::store::{MemoryConfig, RedisConfig, Store};
use weir_harness::RedisServer;

use crate::stores::{address, patient};

pub(crate) const POLICY: &str = "
domain: t
descriptors:
  - {key: plain, rate_limit: {unit: hour, requests_per_unit: 100, charge: allowed}}
  - {key: allow, on_store_error: allow, rate_limit: {unit: hour, requests_per_unit: 1}}
  - {key: deny, on_store_error: deny, rate_limit: {unit: hour, requests_per_unit: 100}}
  - {key: error, on_store_error: error, rate_limit: {unit: hour, requests_per_unit: 100}}
";

pub(crate) fn start(config: RedisConfig) -> Arc<Engine> {
    let loaded = weir::policy::load_text(Path::new("t.yaml"), POLICY);
    let policy = loaded.policy.expect("a sound policy");
    let store = Store::redis(config, MemoryConfig::default()).unwrap();
    let engine = Engine::new(policy, store, Clock::System);
    engine.prepare();
    Arc::new(engine)
}

/// An instance that counts in this Redis.
pub(crate) async fn counting(redis: &RedisServer) -> Arc<Engine> {
    let engine = start(patient(address(redis.url())));
    until(&engine, CountingStatus::Counted).await;
    engine
}

pub(crate) fn request(key: &str, value: &str, cost: Cost) -> Request {
    let entry = Entry {
        key: key.to_owned().into(),
        value: value.to_owned().into(),
    };
    Request {
        domain: "t".into(),
        descriptors: vec![Descriptor {
            entries: vec![entry],
            cost,
            limit: None,
        }],
    }
}

pub(crate) async fn decide(engine: &Engine, key: &str) -> Decision {
    engine.decide(&request(key, "v", Cost::Hits(1))).await
}

/// The code of an answer, and how it was counted.
pub(crate) async fn ask(engine: &Engine, key: &str) -> (Code, CountingStatus) {
    let decision = decide(engine, key).await;
    (decision.code, decision.counting_status)
}

/// Peeks until a decision has that status.
pub(crate) async fn until(engine: &Engine, status: CountingStatus) {
    let peek = request("plain", "somebody else", Cost::Peek);
    for _ in 0..10_000 {
        if engine.decide(&peek).await.counting_status == status {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("never {status:?}: {:?}", engine.unavailable_reason());
}
