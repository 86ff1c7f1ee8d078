//! `weir doctor` for an instance with counters in Redis: healthy, without its Redis, and with a wrong password.

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use weir_harness::{PATIENCE, Process, RedisServer, http_get, program, wait_until};

const POLICY: &str = "
domain: t
descriptors:
  - {key: k, rate_limit: {unit: day, requests_per_unit: 1000}}
  - {key: strict, on_store_error: error, rate_limit: {unit: day, requests_per_unit: 1000}}
";

struct Serving {
    _process: Process,
    grpc: String,
    http: String,
    _folder: TempDir,
}

impl Serving {
    fn start(store: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.yaml"), POLICY).unwrap();
        let mut process = Process::start(
            Command::new(env!("CARGO_BIN_EXE_weir"))
                .args(["serve", "--log-format", "json", "--drain", "0"])
                .args(["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"])
                .args(["--store", store])
                .arg("--policies")
                .arg(folder.path()),
        );
        let (grpc, http) = process.wait_for(|line| {
            let event: Value = serde_json::from_str(line).ok()?;
            let address = |name| Some(event.get(name)?.as_str()?.to_owned());
            Some((address("grpc")?, address("http")?))
        });
        Self {
            _process: process,
            grpc,
            http,
            _folder: folder,
        }
    }

    /// Asks once for a key.
    fn query(&self, key: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(["query", "--server", &self.grpc, "--admin", &self.http])
            .args(["--domain", "t", &format!("{key}=v")])
            .output()
            .unwrap()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(["doctor", "--json", "--server", &self.http]);
        command
    }

    /// The causes that `weir doctor` finds, and its evidence as one text.
    fn findings(&self) -> (Vec<String>, String) {
        findings(&self.command().output().unwrap())
    }

    /// Waits until `/ready` has a note about Redis, or none.
    fn wait_for_redis(&self, is_available: bool) {
        wait_until("the state of Redis", PATIENCE, || {
            overview(&self.http)["store"]["redis"]["unavailable_reason"].is_null() == is_available
        });
    }
}

/// `/api/overview`.
fn overview(http: &str) -> Value {
    serde_json::from_str(&http_get(http, "/api/overview")).unwrap()
}

fn findings(output: &Output) -> (Vec<String>, String) {
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let found = report["findings"].as_array().unwrap();
    let causes = found.iter().map(|found| found["cause"].as_str().unwrap());
    let causes: Vec<String> = causes.map(str::to_owned).collect();
    assert_eq!(output.status.code(), Some(i32::from(!causes.is_empty())));
    (causes, report.to_string())
}

/// A Redis, and an instance that is connected to it; none if the test is to be skipped.
fn connected() -> Option<(RedisServer, Serving)> {
    program::REDIS.is_installed().then(|| {
        let redis = RedisServer::start();
        let serving = Serving::start(&redis.url());
        serving.wait_for_redis(true);
        (redis, serving)
    })
}

const UNAVAILABLE: &str =
    "Redis is unavailable, and the circuit is open: `on_store_error` of each rule applies";
const FAILED: &str = "calls fail because Redis does not count, and `on_store_error: error` applies";

#[test]
fn a_redis_that_is_gone_is_found_and_one_that_is_back_is_not() {
    let Some((mut redis, serving)) = connected() else {
        return;
    };
    assert_eq!(serving.query("k").status.code(), Some(0));
    assert_eq!(serving.findings().0, [""; 0]);

    redis.kill();
    serving.wait_for_redis(false);
    assert_eq!(serving.query("k").status.code(), Some(0));
    assert_eq!(serving.query("strict").status.code(), Some(2));
    let (causes, _) = serving.findings();
    assert!(
        causes.iter().any(|cause| cause == UNAVAILABLE),
        "{causes:?}"
    );
    assert!(causes.iter().any(|cause| cause == FAILED), "{causes:?}");

    redis.restart();
    serving.wait_for_redis(true);
    // What was not counted since the start is still in the counters; nothing is in those of the next second.
    let output = serving.command().args(["--during", "1"]).output().unwrap();
    assert_eq!(findings(&output).0, [""; 0]);
    assert_ne!(serving.findings().0, [""; 0]);
}

#[test]
fn only_what_happens_during_the_look_is_found() {
    let Some((mut redis, serving)) = connected() else {
        return;
    };
    redis.kill();
    serving.wait_for_redis(false);
    let mut looking = serving
        .command()
        .args(["--during", "2"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // As long as it looks, whenever it begins.
    while looking.try_wait().unwrap().is_none() {
        serving.query("strict");
    }
    let (causes, _) = findings(&looking.wait_with_output().unwrap());
    assert!(causes.iter().any(|cause| cause == FAILED), "{causes:?}");
}

#[test]
fn a_wrong_password_is_the_reason_and_is_not_shown() {
    if !program::REDIS.is_installed() {
        return;
    }
    let redis = RedisServer::start_with(&["--requirepass", "right"]);
    let url = redis.url().replace("redis://", "redis://:wr0ng@");
    let serving = Serving::start(&url);
    serving.wait_for_redis(false);
    serving.query("k");
    let (causes, report) = serving.findings();
    assert!(
        causes.iter().any(|cause| cause == UNAVAILABLE),
        "{causes:?}"
    );
    assert!(report.contains("password"), "{report}");
    assert!(!report.contains("wr0ng"), "{report}");
}
