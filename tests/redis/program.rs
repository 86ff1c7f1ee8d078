//! The `weir` binary with `--store`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::NamedTempFile;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use weir_harness::{Passwords, Process, RedisServer, Sentinels, free_port, program};

use crate::stores::{count_counters, runtime};

const POLICY: &str = "
domain: t
descriptors:
  - {key: k, rate_limit: {unit: day, requests_per_unit: 4}}
";

fn path(file: &NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

fn file(text: &str) -> NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// Passwords that no output may contain.
const PASSWORDS: Passwords<'_> = Passwords {
    redis: "open-sesame",
    sentinel: "speak-friend",
};

/// A running `weir serve`, and its addresses.
struct Serving {
    _process: Process,
    grpc: String,
    http: String,
}

impl Serving {
    /// One that is connected to Redis, however slow the machine is.
    fn sharing(policy: &NamedTempFile, arguments: &[&str]) -> Self {
        let patient = [arguments, &["--redis-deadline", "10000"]].concat();
        Self::until(policy, &patient, true)
    }

    /// One that serves, connected or not.
    fn start(policy: &NamedTempFile, arguments: &[&str]) -> Self {
        Self::until(policy, arguments, false)
    }

    fn until(policy: &NamedTempFile, arguments: &[&str], shares: bool) -> Self {
        let mut process = Process::start(
            Command::new(env!("CARGO_BIN_EXE_weir"))
                .args(["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"])
                .args(["--log-format", "json", "--policies"])
                .arg(policy.path())
                .args(arguments),
        );
        let mut addresses = None;
        // The addresses are logged when weir serves, the other line at the first connection.
        let mut is_shared = !shares;
        let (grpc, http) = process.wait_for(|line| {
            assert!(!contains_password(line), "{line}");
            let event: Value = serde_json::from_str(line).ok()?;
            is_shared |= event["message"] == "connected to redis";
            let address = |of: &str| Some(event.get(of)?.as_str()?.to_owned());
            addresses = addresses.take().or(address("grpc").zip(address("http")));
            addresses.clone().filter(|_| is_shared)
        });
        Self {
            _process: process,
            grpc,
            http,
        }
    }

    /// Whether both of two calls are admitted.
    fn ask_twice(&self) -> bool {
        let status = weir(&["query", "--server", &self.grpc, "--domain", "t", "k=v"])
            .args(["--times", "2"])
            .output()
            .unwrap()
            .status;
        status.success()
    }

    /// A whole HTTP response.
    fn ask(&self, method_and_path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method_and_path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

fn contains_password(text: &str) -> bool {
    text.contains(PASSWORDS.redis) || text.contains(PASSWORDS.sentinel)
}

fn weir(arguments: &[&str]) -> Command {
    let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
    weir.args(arguments);
    weir
}

#[test]
fn two_processes_share_a_limit() {
    if !program::REDIS.is_installed() {
        return;
    }
    let redis = RedisServer::start_with(&["--requirepass", PASSWORDS.redis]);
    let (policy, password) = (file(POLICY), file(PASSWORDS.redis));
    let store = redis.url();
    let with_password = store.replace("://", &format!("://:{}@", PASSWORDS.redis));
    let password = path(&password);
    let one = ["--store", &store, "--redis-password-file", password];
    let one = Serving::sharing(&policy, &one);
    let other = Serving::sharing(&policy, &["--store", &with_password]);
    assert!(one.ask_twice());
    assert!(other.ask_twice());
    assert!(!one.ask_twice());
    assert!(!other.ask_twice());
}

#[test]
fn sentinels_have_their_own_password() {
    if !program::REDIS.is_installed() {
        return;
    }
    let watched = Sentinels::start_with(PASSWORDS);
    let (policy, redis, sentinel) = (
        file(POLICY),
        file(PASSWORDS.redis),
        file(&format!("{}\n", PASSWORDS.sentinel)),
    );
    let store = watched.url();
    let for_redis = ["--store", &store, "--redis-password-file", path(&redis)];
    let for_both = ["--redis-sentinel-password-file", path(&sentinel)];
    let for_both = [&for_redis[..], &for_both].concat();
    let with_user = [&for_both[..], &["--redis-sentinel-user", "default"]].concat();
    let stranger = Serving::start(&policy, &for_redis);
    let one = Serving::sharing(&policy, &for_both);
    let other = Serving::sharing(&policy, &with_user);
    assert!(one.ask_twice());
    assert!(other.ask_twice());
    assert!(!one.ask_twice());
    // Without the password of the sentinels an instance counts alone.
    assert!(stranger.ask_twice());
}

/// What `weir keys` prints about the counter of `k=v`, and its remaining hits.
fn keys(of: &Serving, token: &str, action: &[&str]) -> (Value, u64) {
    let output = weir(&["keys"])
        .args(action)
        .args(["--server", &of.http, "--admin-token-file", token])
        .args(["--format", "json", "--domain=t", "k=v"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let left = &printed["descriptors"][0]["limits"][0]["state"]["remaining"];
    let left = left.as_u64().unwrap();
    (printed, left)
}

#[test]
fn keys_shows_credits_and_resets_shared_counters() {
    if !program::REDIS.is_installed() {
        return;
    }
    let redis = RedisServer::start();
    let (policy, token) = (file(POLICY), file("0123456789abcdef\n"));
    let token = path(&token);
    let store = redis.url();
    // Without a cache, so that each instance sees at once what the other does.
    let arguments = ["--store", &store, "--admin-token-file", token];
    let arguments = [&arguments[..], &["--redis-over-limit-cache-ttl", "0"]].concat();
    let one = Serving::sharing(&policy, &arguments);
    let other = Serving::sharing(&policy, &arguments);
    assert!(one.ask_twice());
    for server in [&one, &other] {
        assert_eq!(keys(server, token, &["show"]).1, 2);
    }
    assert!(other.ask_twice());
    assert!(!one.ask_twice());

    // Refused hits are charged, too.
    let (credited, left) = keys(&other, token, &["credit", "--hits", "4"]);
    assert_eq!(credited["outcome"], "4 hits refunded");
    assert_eq!(left, 2);
    assert!(one.ask_twice());
    assert!(!other.ask_twice());

    let counters = || count_counters(&redis.cli(&["keys", "*"]));
    assert_eq!(counters(), 1);
    let (reset, left) = keys(&other, token, &["reset"]);
    assert_eq!(reset["outcome"], "1 counter deleted");
    assert_eq!((left, counters()), (4, 0));
    assert_eq!(keys(&one, token, &["show"]).1, 4);
    assert!(one.ask_twice());
}

/// The status of a gRPC health check, and the reason in its metadata.
fn check_health(address: &str) -> (i32, Option<String>) {
    let checking = async {
        let channel = tonic::transport::Endpoint::new(format!("http://{address}"))?;
        let mut health = HealthClient::new(channel.connect().await?);
        let answer = health.check(HealthCheckRequest::default()).await?;
        let reason = answer.metadata().get("weir-store-unavailable");
        let reason = reason.map(|reason| reason.to_str().unwrap().to_owned());
        Ok::<_, Box<dyn std::error::Error>>((answer.get_ref().status, reason))
    };
    runtime().block_on(checking).unwrap()
}

#[test]
fn health_stays_serving_and_reports_why_redis_is_unavailable() {
    if !program::REDIS.is_installed() {
        return;
    }
    let policy = file(POLICY);
    let port = free_port();
    let store = format!("redis://:{}@127.0.0.1:{port}", PASSWORDS.redis);
    let serving = Serving::start(&policy, &["--store", &store]);
    while serving.ask("GET /ready", "").ends_with("\r\nstarting\n") {}
    let until = |is_expected: &dyn Fn(&str) -> bool| {
        for _ in 0..20_000 {
            let ready = serving.ask("GET /ready", "");
            assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
            assert!(!contains_password(&ready), "{ready}");
            if is_expected(&ready) {
                return;
            }
        }
        panic!("{}", serving.ask("GET /ready", ""));
    };
    let is_unavailable = |ready: &str| ready.contains("\r\nserving, but redis is unavailable: ");
    let is_available = |ready: &str| ready.ends_with("\r\nserving\n");
    until(&is_unavailable);
    let (status, reason) = check_health(&serving.grpc);
    assert_eq!(status, ServingStatus::Serving as i32);
    let reason = reason.unwrap();
    assert!(
        reason.contains("refused") && !contains_password(&reason),
        "{reason}"
    );

    let other = RedisServer::start_at(port, &["--requirepass", "open-barley"]);
    until(&|ready| is_unavailable(ready) && ready.to_lowercase().contains("password"));
    drop(other);
    let _redis = RedisServer::start_at(port, &["--requirepass", PASSWORDS.redis]);
    until(&is_available);
    assert_eq!(
        check_health(&serving.grpc),
        (ServingStatus::Serving as i32, None)
    );
}

fn refused(policy: &NamedTempFile, arguments: &[&str]) -> Output {
    let output = weir(&["serve", "--grpc", "127.0.0.1:0", "--http", "off"])
        .arg("--policies")
        .arg(policy.path())
        .args(arguments)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    output
}

#[test]
fn invalid_settings_are_rejected_at_startup() {
    let policy = file(POLICY);
    let printed = |policy: &NamedTempFile, arguments: &[&str]| {
        String::from_utf8(refused(policy, arguments).stderr).unwrap()
    };
    let store = ["--store", "redis://127.0.0.1:1"];
    let with = |more: &[&'static str]| [&store[..], more].concat();
    let missing = printed(&policy, &with(&["--redis-ca", "/nowhere/ca.pem"]));
    assert!(missing.contains("cannot read /nowhere/ca.pem"), "{missing}");
    let half = printed(&policy, &with(&["--redis-cert", "/nowhere/cert.pem"]));
    assert!(half.contains("--redis-key"), "{half}");
    let no_key = file("not a key");
    let arguments = ["--hash-key-file", path(&no_key)];
    let no_key = printed(&policy, &[&store[..], &arguments].concat());
    assert!(no_key.contains("32 hexadecimal digits"), "{no_key}");
    let useless = file(PASSWORDS.sentinel);
    let arguments = ["--redis-sentinel-password-file", path(&useless)];
    let useless = printed(&policy, &[&store[..], &arguments].concat());
    assert!(useless.contains("redis+sentinel://"), "{useless}");
    assert!(!contains_password(&useless), "{useless}");

    let atomic = file(&POLICY.replace("domain: t", "domain: t\natomic: true"));
    let cluster = printed(&atomic, &["--store", "redis-cluster://127.0.0.1:1"]);
    assert!(
        cluster.contains("`atomic`") && cluster.contains("cluster"),
        "{cluster}"
    );
}

#[test]
fn on_store_error_fails_calls_over_grpc_and_http() {
    let policy = file(&POLICY.replace("domain: t", "domain: t\non_store_error: error"));
    let serving = Serving::start(&policy, &["--store", "redis://127.0.0.1:1"]);
    let query = weir(&["query", "--server", &serving.grpc, "--domain", "t", "k=v"])
        .output()
        .unwrap();
    assert_eq!(query.status.code(), Some(2));
    let printed = String::from_utf8(query.stderr).unwrap();
    assert!(printed.contains("could not be counted"), "{printed}");

    let body = r#"{"domain": "t", "descriptors": [{"entries": [{"key": "k", "value": "v"}]}]}"#;
    let answer = serving.ask("POST /json", body);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("could not be counted"), "{answer}");
}
