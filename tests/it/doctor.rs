//! `weir doctor`, as a process, against a real server. `tests/e2e/doctor.rs` has those with Envoy.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::binary::{Serving, stderr, stdout, weir};

const TOKEN: &str = "0123456789abcdef";

const POLICY: &str = "
domain: shop
descriptors:
  - {key: api_key, secret: true, rate_limit: {unit: day, requests_per_unit: 1000}}
  - {key: none, rate_limit: {unit: day, requests_per_unit: 0}}
";

fn doctor(server: &Serving, flags: &[&str]) -> Output {
    let mut doctor = weir(&["doctor", "--server", &server.http]);
    doctor.args(flags).output().unwrap()
}

fn query(server: &Serving, args: &[&str]) {
    let mut query = weir(&["query", "--server", &server.address]);
    let code = query.args(args).output().unwrap().status.code();
    assert!(matches!(code, Some(0 | 1)), "{code:?}");
}

/// The symptom and the cause of each finding.
fn findings(output: &Output) -> Vec<(String, String)> {
    let report: Value = serde_json::from_str(stdout(output)).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| (text(&finding["symptom"]), text(&finding["cause"])))
        .collect()
}

#[test]
fn nothing_is_found_in_a_healthy_server() {
    let server = Serving::start_policy(POLICY, &["--grpc=127.0.0.1:0"]);
    query(&server, &["--domain", "shop", "api_key=k"]);
    let output = doctor(&server, &["--grpc", &server.address]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        stdout(&output),
        "no findings\nnot checked: Envoy (--envoy HOST:PORT)\n"
    );
}

#[test]
fn findings_are_those_of_the_traffic_and_end_with_1() {
    let server = Serving::start_policy(POLICY, &["--grpc=127.0.0.1:0"]);
    query(&server, &["--domain", "Shop", "api_key=s3cret"]);
    query(&server, &["--domain", "shop", "Api_Key=s3cret"]);
    query(&server, &["--domain", "shop", "none=s3cret"]);
    let output = doctor(&server, &["--json", "--grpc", &server.http]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let found = findings(&output);
    let expected = [
        (
            "nothing_is_limited",
            "the gRPC port does not pass a health check",
        ),
        ("nothing_is_limited", "no policy defines the domain `Shop`"),
        (
            "nothing_is_limited",
            "no rule of domain `shop` matches descriptors with the keys `Api_Key`",
        ),
        (
            "everything_is_refused",
            "rule `none` of domain `shop` has a limit of 0",
        ),
        // The health check above went to the HTTP port.
        ("calls_time_out", "calls are rejected: `http2`"),
    ];
    let expected = expected.map(|(symptom, cause)| (symptom.to_owned(), cause.to_owned()));
    assert_eq!(found, expected);
    assert!(!stdout(&output).contains("s3cret"), "{output:?}");
}

#[test]
fn a_rejected_change_is_found_with_its_diagnostics() {
    let mut server = Serving::start_policy(POLICY, &["--grpc=127.0.0.1:0", "--reload-interval=0"]);
    fs::write(
        server.folder.path().join("t.yaml"),
        POLICY.replace("key:", "kye:"),
    )
    .unwrap();
    server.signal("HUP");
    server.wait_for("policy reload failed");
    let output = doctor(&server, &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = stdout(&output);
    assert!(
        text.contains("the last change of the policies was rejected"),
        "{text}"
    );
    assert!(text.contains("unknown key `kye`"), "{text}");
}

#[test]
fn clients_are_checked_with_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, TOKEN).unwrap();
    let token = token.to_str().unwrap();
    let flags = ["--grpc=127.0.0.1:0", "--admin-token-file", token];
    let server = Serving::start_policy(POLICY, &flags);
    let unchecked = |output: &Output| stdout(output).contains("not checked: clients");
    assert!(unchecked(&doctor(&server, &[])));
    assert!(!unchecked(&doctor(&server, &["--admin-token-file", token])));
}

#[test]
fn who_cannot_be_asked_ends_it_with_2() {
    let server = Serving::start_policy(POLICY, &["--grpc=127.0.0.1:0"]);
    let output = weir(&["doctor", "--server", "127.0.0.1:1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr(&output).contains("127.0.0.1:1"), "{output:?}");
    for (envoy, expected) in [
        (
            "127.0.0.1:1",
            "cannot connect to 127.0.0.1:1; --envoy is the address",
        ),
        (&server.http, "cannot ask Envoy"),
    ] {
        let output = doctor(&server, &["--envoy", envoy]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr(&output).contains(expected), "{output:?}");
    }
}
