//! The log, as an operator reads it: traffic that is not limited, and changes of the policies.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::binary::{Serving, stderr, weir};
use crate::site::{Options, Site, fixed_clock};

/// Sends `times` requests with `weir query`.
fn query(serving: &Serving, domain: &str, entries: &[&str], times: &str) {
    let address = serving.address.as_str();
    let mut command = weir(&["query", "--server", address, "--domain", domain]);
    let output = command.args(["--times", times]).args(entries).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn unlimited_traffic_is_logged_once_and_without_values() {
    let mut serving = Serving::start(&["--grpc=127.0.0.1:0", "--drain=0"]);
    query(&serving, "nowhere", &["api_key=s3cret"], "5");
    query(&serving, "t", &["plan=s3cret", "apikey=s3cret"], "5");
    serving.signal("TERM");
    let (_, log) = serving.end();
    assert!(!log.contains("s3cret"), "{log}");
    let lines = |message: &str| -> Vec<serde_json::Value> {
        let lines = log.lines().filter(|line| line.contains(message));
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let unknown = lines("request for an unknown domain");
    assert_eq!(unknown.len(), 1, "{log}");
    assert_eq!(unknown[0]["domain"], "nowhere");
    let unmatched = lines("descriptor matches no rule");
    assert_eq!(unmatched.len(), 1, "{log}");
    assert_eq!(unmatched[0]["domain"], "t");
    assert_eq!(unmatched[0]["keys"], "plan, apikey");
}

#[test]
fn http2_at_the_http_port_is_counted_and_logged_with_advice() {
    let mut serving = Serving::start(&["--grpc=127.0.0.1:0", "--drain=0"]);
    for _ in 0..3 {
        let mut stream = TcpStream::connect(&serving.http).unwrap();
        // What a gRPC client sends first.
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .unwrap();
        // It is closed, or reset.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let line = serving.wait_for("rejected on the HTTP port");
    assert_eq!(line["reason"], "http2");
    let advice = line["message"].as_str().unwrap();
    assert!(advice.contains("--grpc"), "{advice}");
    let mut stream = TcpStream::connect(&serving.http).unwrap();
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut metrics = String::new();
    stream.read_to_string(&mut metrics).unwrap();
    let count = "weir_rejections_total{reason=\"http2\"} 3\n";
    assert!(metrics.contains(count), "{metrics}");
}

#[test]
fn values_with_spaces_are_quoted_in_the_text_format() {
    let folder = tempfile::tempdir().unwrap();
    let policy =
        "domain: t\ndescriptors:\n  - {key: a b, rate_limit: {unit: day, requests_per_unit: 0}}\n";
    std::fs::write(folder.path().join("t.yaml"), policy).unwrap();
    let address = format!("unix:{}", folder.path().join("weir.sock").display());
    let serving = weir(&["serve", "--http=off", "--drain=0", "--log-format=text"])
        .args(["--log-refused-per-second=10", "--grpc", &address])
        .arg("--policies")
        .arg(folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It is refused as soon as weir listens.
    let query = ["query", "--server", &address, "--domain=t", "a b=GET /x"];
    while weir(&query).output().unwrap().status.code() != Some(1) {}
    let pid = serving.id().to_string();
    let stopped = Command::new("kill").arg(&pid).status().unwrap();
    assert!(stopped.success());
    let output = serving.wait_with_output().unwrap();
    let log = stderr(&output);
    let line = log
        .lines()
        .find(|line| line.contains("request rate limited"));
    let quoted = r#"domain="t" client="a b=GET /x" rule="a b" "#;
    assert!(line.unwrap().contains(quoted), "{log}");
}

#[test]
fn a_reload_names_the_rules_that_differ() {
    let mut serving = Serving::start(&["--grpc=127.0.0.1:0", "--drain=0", "--reload-interval=0"]);
    let file = serving.folder.path().join("t.yaml");
    let rule = |key: &str, requests: u32| {
        format!("  - {{key: {key}, rate_limit: {{unit: day, requests_per_unit: {requests}}}}}\n")
    };
    let mut reload = |rules: &[String]| {
        let text = format!("domain: t\ndescriptors:\n{}", rules.concat());
        std::fs::write(&file, text).unwrap();
        serving.signal("HUP");
        serving.wait_for("policies reloaded")
    };
    let before = reload(&[rule("a", 1), rule("b", 1)]);
    let after = reload(&[rule("b", 2), rule("c", 1)]);
    assert_ne!(before["hash"], after["hash"]);
    for kind in ["added", "removed", "changed"] {
        assert_eq!(after[kind], 1, "{after}");
    }
    assert_eq!(after["added_rules"], "t: c");
    assert_eq!(after["removed_rules"], "t: a");
    assert_eq!(after["changed_rules"], "t: b");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_metric_and_the_overview_have_the_hash_of_the_policy_in_force() {
    let options = Options {
        token: true,
        ..Options::default()
    };
    let site = Site::start("domain: t\n", fixed_clock(), options).await;
    let file = site.folder.path().join("policies/t.yaml");
    let hash = || {
        let overview = site.get("/api/overview").json();
        let hash = overview["policy_hash"].as_str().unwrap().to_owned();
        let sample = format!("weir_policy_info{{hash=\"{hash}\"}}");
        assert_eq!(site.get("/metrics").sample(&sample), Some(1));
        hash
    };
    assert_eq!(site.post_as_admin("/api/reload", "").status, 200);
    let first = hash();
    std::fs::write(&file, "domain: t # changed\n").unwrap();
    assert_eq!(site.post_as_admin("/api/reload", "").status, 200);
    let second = hash();
    assert_ne!(first, second);
    std::fs::write(&file, "domain: [\n").unwrap();
    assert_eq!(site.post_as_admin("/api/reload", "").status, 409);
    assert_eq!(hash(), second);
}
