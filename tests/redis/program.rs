//! The `weir` binary with `--store`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::process::Process;
use crate::server::{self, RedisServer};

const POLICY: &str = "
domain: t
descriptors:
  - {key: k, rate_limit: {unit: day, requests_per_unit: 4}}
";

fn file(text: &str) -> NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// A server that shares its counters, and where it is.
fn serve(policy: &NamedTempFile, arguments: &[&str]) -> (Process, String) {
    let mut process = Process::start(
        Command::new(env!("CARGO_BIN_EXE_weir"))
            .args([
                "serve",
                "--grpc",
                "127.0.0.1:0",
                "--http",
                "off",
                "--log-format",
                "json",
            ])
            .arg("--policies")
            .arg(policy.path())
            .args(arguments),
    );
    let mut address = None;
    // One is said when weir serves, the other when the first connection is there, in any order.
    let mut is_shared = false;
    let address = process.wait_for(|line| {
        let event: Value = serde_json::from_str(line).ok()?;
        assert!(!line.contains("open-sesame"), "{line}");
        is_shared |= event["message"] == "counters are shared";
        if let Some(grpc) = event["grpc"].as_str() {
            address = Some(grpc.to_owned());
        }
        address.clone().filter(|_| is_shared)
    });
    (process, address)
}

/// How many of two calls are over limit.
fn ask_twice(address: &str) -> bool {
    let status = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args([
            "query", "--server", address, "--domain", "t", "k=v", "--times", "2",
        ])
        .output()
        .unwrap()
        .status;
    status.success()
}

#[test]
fn two_processes_share_a_limit() {
    if !server::is_there() {
        return;
    }
    let redis = RedisServer::with(&["--requirepass", "open-sesame"]);
    let (policy, password) = (file(POLICY), file("open-sesame\n"));
    let store = format!("redis://127.0.0.1:{}", redis.port);
    let with_password = format!("redis://:open-sesame@127.0.0.1:{}", redis.port);
    let password = password.path().to_str().unwrap();
    let (_one, one) = serve(
        &policy,
        &["--store", &store, "--redis-password-file", password],
    );
    let (_other, other) = serve(&policy, &["--store", &with_password]);
    assert!(ask_twice(&one));
    assert!(ask_twice(&other));
    assert!(!ask_twice(&one));
    assert!(!ask_twice(&other));
}

fn refused(policy: &NamedTempFile, arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args([
            "serve",
            "--grpc",
            "127.0.0.1:0",
            "--http",
            "off",
            "--policies",
        ])
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
    let arguments = ["--hash-key-file", no_key.path().to_str().unwrap()];
    let no_key = said(&policy, &[&store[..], &arguments].concat());
    assert!(no_key.contains("32 hexadecimal digits"), "{no_key}");

    let atomic = file(&POLICY.replace("domain: t", "domain: t\natomic: true"));
    let cluster = said(&atomic, &["--store", "redis-cluster://127.0.0.1:1"]);
    assert!(
        cluster.contains("`atomic`") && cluster.contains("cluster"),
        "{cluster}"
    );
}

/// What is answered to a decision over HTTP, status line and all.
fn post_json(address: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_rule_that_is_to_fail_without_redis_fails_by_grpc_and_by_http() {
    let policy = file(&POLICY.replace("domain: t", "domain: t\non_store_error: error"));
    let mut process = Process::start(
        Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .args(["--log-format", "json", "--store", "redis://127.0.0.1:1"])
            .arg("--policies")
            .arg(policy.path()),
    );
    let (grpc, http) = process.wait_for(|line| {
        let event: Value = serde_json::from_str(line).ok()?;
        let address = |of: &str| Some(event.get(of)?.as_str()?.to_owned());
        Some((address("grpc")?, address("http")?))
    });
    let query = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["query", "--server", &grpc, "--domain", "t", "k=v"])
        .output()
        .unwrap();
    assert_eq!(query.status.code(), Some(2));
    let said = String::from_utf8(query.stderr).unwrap();
    assert!(said.contains("could not be counted"), "{said}");

    let body = r#"{"domain": "t", "descriptors": [{"entries": [{"key": "k", "value": "v"}]}]}"#;
    let answer = post_json(&http, body);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("could not be counted"), "{answer}");
}
