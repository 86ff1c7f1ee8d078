//! Policies that change while they are served. The looks at the files are made by hand: nothing here waits for time.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use weir::clock::Clock;
use weir::engine::Engine;
use weir::policy::LoadOptions;
use weir::proto::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;
use weir::server::reload::{PolicyFiles, PolicySource, ReloadOutcome, Reloader};
use weir::store::{MemoryConfig, Store};
use weir::telemetry::Metrics;

use crate::running::{Running, config, descriptor, request};

type Client = RateLimitServiceClient<Channel>;

/// A server of the policies in a folder.
struct Reloading {
    running: Running,
    reloader: Reloader,
}

impl Reloading {
    async fn start(folder: &Path) -> Self {
        let mut files = PolicyFiles::new(vec![folder.to_owned()], LoadOptions::default());
        let policy = files.load().unwrap().policy.unwrap();
        let store = Store::memory(MemoryConfig::default()).unwrap();
        let engine = Arc::new(Engine::new(policy, store, Clock::System));
        let metrics = Arc::new(Metrics::new(&engine.policy()));
        let reloader = Reloader::start(
            PolicySource::Files(files),
            Arc::clone(&engine),
            metrics,
            None,
        )
        .unwrap();
        let running = Running::serving(engine, config(2, Duration::ZERO)).await;
        Self { running, reloader }
    }

    /// The first check sees a change, the second loads it.
    async fn two_checks(&self) -> ReloadOutcome {
        assert_eq!(self.reloader.check().await, ReloadOutcome::Unchanged);
        self.reloader.check().await
    }
}

/// Two descriptors whose limits change together.
fn policy(limit: u32) -> String {
    format!(
        "domain: t\ndescriptors:\n\
         - {{key: a, rate_limit: {{unit: hour, requests_per_unit: {limit}}}}}\n\
         - {{key: b, rate_limit: {{unit: hour, requests_per_unit: {limit}}}}}\n"
    )
}

fn folder(limit: u32) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t.yaml"), policy(limit)).unwrap();
    folder
}

/// The limits of one answer, and what remains of them.
async fn limits(client: &mut Client) -> [(u32, u32); 2] {
    let message = request(vec![descriptor(b"a", b"x"), descriptor(b"b", b"x")]);
    let answer = client.should_rate_limit(message).await.unwrap();
    let statuses = answer.into_inner().statuses;
    [0, 1].map(|index| {
        let status = &statuses[index];
        let limit = status.current_limit.as_ref().unwrap();
        (limit.requests_per_unit, status.limit_remaining)
    })
}

/// As kubelet does: a new folder of files, then one rename of the link that all files go through.
fn swap_config_map(volume: &Path, version: &str, limit: u32) {
    let old = fs::read_link(volume.join("..data")).ok();
    fs::create_dir(volume.join(version)).unwrap();
    fs::write(volume.join(version).join("t.yaml"), policy(limit)).unwrap();
    symlink(version, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    match old {
        Some(old) => fs::remove_dir_all(volume.join(old)).unwrap(),
        None => symlink("..data/t.yaml", volume.join("t.yaml")).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_ever_sees_half_a_policy() {
    const FLIPS: u32 = 60;
    let volume = tempfile::tempdir().unwrap();
    swap_config_map(volume.path(), "..v0", 1_000_000);
    let reloading = Reloading::start(volume.path()).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = reloading.running.client().await;
        let done = Arc::clone(&done);
        clients.push(tokio::spawn(async move {
            let mut seen = BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                let [(a, _), (b, _)] = limits(&mut client).await;
                assert_eq!(a, b);
                seen.insert(a);
            }
            seen.len()
        }));
    }
    let mut client = reloading.running.client().await;
    for flip in 1..=FLIPS {
        let limit = 1_000_000 + flip;
        swap_config_map(volume.path(), &format!("..v{flip}"), limit);
        assert_eq!(reloading.two_checks().await, ReloadOutcome::Reloaded);
        assert_eq!(
            limits(&mut client).await.map(|(limit, _)| limit),
            [limit; 2]
        );
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.await.unwrap() > 1, "it has seen one policy only");
    }
}

#[tokio::test]
async fn counters_of_rules_survive() {
    let folder = folder(10);
    let reloading = Reloading::start(folder.path()).await;
    let mut client = reloading.running.client().await;
    assert_eq!(limits(&mut client).await, [(10, 9); 2]);
    fs::write(folder.path().join("t.yaml"), policy(20)).unwrap();
    assert_eq!(reloading.two_checks().await, ReloadOutcome::Reloaded);
    assert_eq!(limits(&mut client).await, [(20, 18); 2]);
}

#[tokio::test]
async fn a_file_that_an_editor_puts_in_place_is_taken_up() {
    let folder = folder(10);
    let reloading = Reloading::start(folder.path()).await;
    let mut client = reloading.running.client().await;
    fs::write(folder.path().join(".t.yaml.swp"), policy(11)).unwrap();
    assert_eq!(reloading.two_checks().await, ReloadOutcome::Unchanged);
    fs::rename(folder.path().join("t.yaml"), folder.path().join("t.yaml~")).unwrap();
    fs::rename(
        folder.path().join(".t.yaml.swp"),
        folder.path().join("t.yaml"),
    )
    .unwrap();
    assert_eq!(reloading.two_checks().await, ReloadOutcome::Reloaded);
    assert_eq!(limits(&mut client).await[0].0, 11);
}

#[tokio::test]
async fn a_bad_file_leaves_the_policy_in_force_and_is_tried_once() {
    let folder = folder(10);
    let reloading = Reloading::start(folder.path()).await;
    let mut client = reloading.running.client().await;
    fs::write(folder.path().join("t.yaml"), "domain: t\ndescriptor: []\n").unwrap();
    assert_eq!(reloading.two_checks().await, ReloadOutcome::Failed);
    for _ in 0..5 {
        assert_eq!(reloading.reloader.check().await, ReloadOutcome::Unchanged);
    }
    let mut health = HealthClient::new(reloading.running.connect().await);
    let healthy = health.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(healthy.into_inner().status(), ServingStatus::Serving);
    assert_eq!(limits(&mut client).await[0].0, 10);
    assert_eq!(reloading.reloader.reload().await, ReloadOutcome::Failed);
    fs::write(folder.path().join("t.yaml"), policy(12)).unwrap();
    assert_eq!(reloading.two_checks().await, ReloadOutcome::Reloaded);
    assert_eq!(limits(&mut client).await[0].0, 12);
}

#[tokio::test]
async fn files_that_vanish_leave_the_policy_in_force() {
    let folder = folder(10);
    let reloading = Reloading::start(folder.path()).await;
    let mut client = reloading.running.client().await;
    fs::remove_file(folder.path().join("t.yaml")).unwrap();
    assert_eq!(reloading.two_checks().await, ReloadOutcome::Failed);
    fs::remove_dir(folder.path()).unwrap();
    assert_eq!(reloading.two_checks().await, ReloadOutcome::Failed);
    assert_eq!(reloading.reloader.check().await, ReloadOutcome::Unchanged);
    assert_eq!(limits(&mut client).await[0].0, 10);
}
