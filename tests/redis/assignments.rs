//! Assignments that are added on one instance are in force on every instance, and Redis keeps them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use weir::clock::Clock;
use weir::engine::Engine;
use weir::policy::{AddedAssignment, AssignmentFields, AssignmentId, LoadOptions, load};
use weir::request::Cost;
use weir::server::assignments::Assignments;
use weir::server::reload::{PolicyFiles, PolicySource, Reloader};
use weir::store::{MemoryConfig, Store};
use weir::telemetry::Metrics;
use weir_harness::RedisServer;

use crate::instances::request;
use crate::stores::{address, patient, with_servers};

const POLICY: &str = "
domain: t
plans:
  standard: {rate_limit: {unit: hour, requests_per_unit: 10}}
  scale: {rate_limit: {unit: hour, requests_per_unit: 1000}}
descriptors: [{key: api_key, plan: standard, assignments: customers}]
";

/// An instance without its ports.
struct Instance {
    engine: Arc<Engine>,
    assignments: Assignments,
}

async fn instance(redis: &RedisServer, folder: &Path) -> Instance {
    std::fs::write(folder.join("t.yaml"), POLICY).unwrap();
    std::fs::write(folder.join("customers.assignments.csv"), "value,plan\n").unwrap();
    let paths: Vec<PathBuf> = vec![folder.to_owned()];
    let policy = load(&paths, LoadOptions::default()).unwrap().policy;
    let config = patient(address(redis.url()));
    let store = Store::redis(config, MemoryConfig::default()).unwrap();
    let engine = Arc::new(Engine::new(policy.unwrap(), store, Clock::System));
    let metrics = Arc::new(Metrics::new(&engine.policy()));
    let source = PolicySource::Files(PolicyFiles::new(paths, LoadOptions::default()));
    let reloader = Reloader::start(source, Arc::clone(&engine), metrics, None).unwrap();
    let assignments = Assignments::start(Arc::clone(&engine), Arc::new(reloader), None);
    Instance {
        assignments: assignments.await.unwrap(),
        engine,
    }
}

impl Instance {
    /// Waits until a client has this limit.
    async fn until(&self, value: &str, limit: &str) {
        let request = request("api_key", value, Cost::Peek);
        for _ in 0..10_000 {
            let explained = self.engine.explain(&request);
            if explained.descriptors[0].limits[0].text == limit {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("{value} never has {limit}");
    }
}

fn row(value: &str, plan: &str) -> AddedAssignment {
    AddedAssignment {
        id: AssignmentId::of_value("t", "customers", value.as_bytes()),
        fields: AssignmentFields {
            plan: Some(plan.to_owned()),
            note: Some("a note".to_owned()),
            ..AssignmentFields::default()
        },
    }
}

#[test]
fn every_instance_has_what_one_was_told() {
    with_servers(async {
        let redis = RedisServer::start();
        let folder = tempfile::tempdir().unwrap();
        let one = instance(&redis, folder.path()).await;
        let other = instance(&redis, folder.path()).await;
        one.assignments.set(row("a", "scale")).await.unwrap();
        one.until("a", "1000 per hour").await;
        other.until("a", "1000 per hour").await;
        other.until("b", "10 per hour").await;
        let keys = redis.cli(&["--scan"]);
        assert!(
            !redis
                .cli(&["HGETALL", "weir:1:assignments"])
                .contains("\na\n"),
            "{keys}"
        );

        // A later instance has it, too, and any may take it back.
        let third = instance(&redis, folder.path()).await;
        third.until("a", "1000 per hour").await;
        let id = row("a", "scale").id;
        assert!(third.assignments.remove(&id).await.unwrap().is_some());
        one.until("a", "10 per hour").await;
        other.until("a", "10 per hour").await;
    });
}

#[test]
fn a_redis_that_has_lost_them_gets_them_back() {
    with_servers(async {
        let redis = RedisServer::start();
        let folder = tempfile::tempdir().unwrap();
        let one = instance(&redis, folder.path()).await;
        one.assignments.set(row("a", "scale")).await.unwrap();
        one.assignments.set(row("b", "scale")).await.unwrap();
        redis.run(&["DEL", "weir:1:assignments"]);
        one.assignments.set(row("c", "scale")).await.unwrap();
        let other = instance(&redis, folder.path()).await;
        for value in ["a", "b", "c"] {
            one.until(value, "1000 per hour").await;
            other.until(value, "1000 per hour").await;
        }
    });
}
