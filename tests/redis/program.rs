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

use crate::stores::runtime;

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

/// What nobody is told.
const PASSWORDS: Passwords<'_> = Passwords {
    redis: "open-sesame",
    sentinel: "speak-friend",
};

/// A running `weir serve`, and where it is.
struct Serving {
    _process: Process,
    grpc: String,
    http: String,
}

impl Serving {
    /// One that shares its counters, however long the machine takes.
    fn sharing(policy: &NamedTempFile, arguments: &[&str]) -> Self {
        let patient = [arguments, &["--redis-deadline", "10000"]].concat();
        Self::until(policy, &patient, true)
    }

    /// One that serves, whether it shares its counters or not.
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
        // One is said when weir serves, the other when the first connection is there, in any order.
        let mut is_shared = !shares;
        let (grpc, http) = process.wait_for(|line| {
            assert!(!tells_a_password(line), "{line}");
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

    /// How many of two calls are over limit.
    fn ask_twice(&self) -> bool {
        let status = weir(&["query", "--server", &self.grpc, "--domain", "t", "k=v"])
            .args(["--times", "2"])
            .output()
            .unwrap()
            .status;
        status.success()
    }

    /// What is answered over HTTP, status line and all.
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

fn tells_a_password(text: &str) -> bool {
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
fn sentinels_have_a_password_of_their_own() {
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
    // Who does not know the sentinels' password counts alone.
    assert!(stranger.ask_twice());
}

/// What `weir keys` prints of a server's counter of `k=v`, and how much it says is left.
fn keys(of: &Serving, token: &str, action: &[&str]) -> (Value, u64) {
    let output = weir(&["keys"])
        .args(action)
        .args(["--server", &of.http, "--admin-token-file", token])
        .args(["--format", "json", "t", "k=v"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let left = &said["descriptors"][0]["limits"][0]["state"]["remaining"];
    let left = left.as_u64().unwrap();
    (said, left)
}

#[test]
fn counters_of_all_are_shown_credited_and_reset_through_one() {
    if !program::REDIS.is_installed() {
        return;
    }
    let redis = RedisServer::start();
    let (policy, token) = (file(POLICY), file("0123456789abcdef\n"));
    let token = path(&token);
    let store = redis.url();
    // Who is over its limit is asked for each time, so that what the other weir does is seen at once.
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

    // Those that were refused are charged, too.
    let (credited, left) = keys(&other, token, &["credit", "--hits", "4"]);
    assert_eq!(credited["outcome"], "4 hits refunded");
    assert_eq!(left, 2);
    assert!(one.ask_twice());
    assert!(!other.ask_twice());

    let counters = || redis.cli(&["keys", "weir:[0-9]:*"]).lines().count();
    assert_eq!(counters(), 1);
    let (reset, left) = keys(&other, token, &["reset"]);
    assert_eq!(reset["outcome"], "1 counters forgotten");
    assert_eq!((left, counters()), (4, 0));
    assert_eq!(keys(&one, token, &["show"]).1, 4);
    assert!(one.ask_twice());
}

/// What a health check over gRPC is answered, and the reason beside it.
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
fn health_stays_serving_and_says_what_is_wrong() {
    if !program::REDIS.is_installed() {
        return;
    }
    let policy = file(POLICY);
    let port = free_port();
    let store = format!("redis://:{}@127.0.0.1:{port}", PASSWORDS.redis);
    let serving = Serving::start(&policy, &["--store", &store]);
    while serving.ask("GET /ready", "").ends_with("\r\nstarting\n") {}
    let until = |such: &dyn Fn(&str) -> bool| {
        for _ in 0..20_000 {
            let ready = serving.ask("GET /ready", "");
            assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
            assert!(!tells_a_password(&ready), "{ready}");
            if such(&ready) {
                return;
            }
        }
        panic!("{}", serving.ask("GET /ready", ""));
    };
    let is_in_trouble = |ready: &str| ready.contains("\r\nserving, but redis is unavailable: ");
    let is_well = |ready: &str| ready.ends_with("\r\nserving\n");
    until(&is_in_trouble);
    let (status, reason) = check_health(&serving.grpc);
    assert_eq!(status, ServingStatus::Serving as i32);
    let reason = reason.unwrap();
    assert!(
        reason.contains("refused") && !tells_a_password(&reason),
        "{reason}"
    );

    let other = RedisServer::start_at(port, &["--requirepass", "open-barley"]);
    until(&|ready| is_in_trouble(ready) && ready.to_lowercase().contains("password"));
    drop(other);
    let _redis = RedisServer::start_at(port, &["--requirepass", PASSWORDS.redis]);
    until(&is_well);
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
fn what_cannot_be_is_refused_at_the_start() {
    let policy = file(POLICY);
    let said = |policy: &NamedTempFile, arguments: &[&str]| {
        String::from_utf8(refused(policy, arguments).stderr).unwrap()
    };
    let store = ["--store", "redis://127.0.0.1:1"];
    let with = |more: &[&'static str]| [&store[..], more].concat();
    let missing = said(&policy, &with(&["--redis-ca", "/nowhere/ca.pem"]));
    assert!(missing.contains("cannot read /nowhere/ca.pem"), "{missing}");
    let half = said(&policy, &with(&["--redis-cert", "/nowhere/cert.pem"]));
    assert!(half.contains("--redis-key"), "{half}");
    let no_key = file("not a key");
    let arguments = ["--hash-key-file", path(&no_key)];
    let no_key = said(&policy, &[&store[..], &arguments].concat());
    assert!(no_key.contains("32 hexadecimal digits"), "{no_key}");
    let nobodys = file(PASSWORDS.sentinel);
    let arguments = ["--redis-sentinel-password-file", path(&nobodys)];
    let nobodys = said(&policy, &[&store[..], &arguments].concat());
    assert!(nobodys.contains("redis+sentinel://"), "{nobodys}");
    assert!(!tells_a_password(&nobodys), "{nobodys}");

    let atomic = file(&POLICY.replace("domain: t", "domain: t\natomic: true"));
    let cluster = said(&atomic, &["--store", "redis-cluster://127.0.0.1:1"]);
    assert!(
        cluster.contains("`atomic`") && cluster.contains("cluster"),
        "{cluster}"
    );
}

#[test]
fn a_rule_that_is_to_fail_without_redis_fails_by_grpc_and_by_http() {
    let policy = file(&POLICY.replace("domain: t", "domain: t\non_store_error: error"));
    let serving = Serving::start(&policy, &["--store", "redis://127.0.0.1:1"]);
    let query = weir(&["query", "--server", &serving.grpc, "--domain", "t", "k=v"])
        .output()
        .unwrap();
    assert_eq!(query.status.code(), Some(2));
    let said = String::from_utf8(query.stderr).unwrap();
    assert!(said.contains("could not be counted"), "{said}");

    let body = r#"{"domain": "t", "descriptors": [{"entries": [{"key": "k", "value": "v"}]}]}"#;
    let answer = serving.ask("POST /json", body);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("could not be counted"), "{answer}");
}
