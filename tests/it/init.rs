//! `weir init`: what it writes passes the checks of weir.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::binary::{stderr, stdout, weir};

const OPENAPI: &str = "
openapi: 3.1.0
servers: [{url: https://api.example.com/v1}]
paths:
  /orders:
    get: {}
    post: {}
  /orders/{id}:
    get: {}
  /files/{name}.json:
    get: {}
";

fn run(folder: &Path, args: &[&str]) -> Output {
    weir(args).current_dir(folder).output().unwrap()
}

/// Runs it, and every command that it then proposes but for the servers.
fn init_and_check(folder: &Path, args: &[&str]) -> String {
    let output = run(folder, &[&["init", "--domain=shop"], args].concat());
    assert!(output.status.success(), "{output:?}");
    let report = stdout(&output).to_owned();
    assert!(
        report.contains("  weir serve --policies ./policies\n"),
        "{report}"
    );
    let checked = run(folder, &["check", "--deny-warnings", "./policies"]);
    assert!(checked.status.success(), "{}", stdout(&checked));
    let tested = run(folder, &["test", "--deny-warnings", "./policies"]);
    assert!(tested.status.success(), "{}", stdout(&tested));
    stdout(&tested).to_owned()
}

#[test]
fn a_policy_and_its_tests_pass() {
    let folder = tempfile::tempdir().unwrap();
    let tested = init_and_check(
        folder.path(),
        &["--limit=1000 per 6 hours", "--header=X-Client"],
    );
    assert!(tested.contains("2 passed, 0 failed"), "{tested}");
    let policy = fs::read_to_string(folder.path().join("policies/shop.yaml")).unwrap();
    assert!(policy.contains("{unit: hour, unit_multiplier: 6, requests_per_unit: 1000,"));
    let envoy = fs::read_to_string(folder.path().join("envoy.yaml")).unwrap();
    assert!(envoy.contains("header_name: x-client,"));
    assert!(
        !envoy.contains('@') || !envoy.contains("@HEADER"),
        "{envoy}"
    );
}

#[test]
fn the_operations_of_an_openapi_document_get_limits() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("openapi.yaml"), OPENAPI).unwrap();
    let tested = init_and_check(
        folder.path(),
        &["--openapi=openapi.yaml", "--per-operation=5/second"],
    );
    assert!(tested.contains("3 passed, 0 failed"), "{tested}");
    let policy = fs::read_to_string(folder.path().join("policies/shop.yaml")).unwrap();
    for pattern in [
        "GET|HEAD /v1/orders",
        "POST /v1/orders",
        "GET|HEAD /v1/orders/{id}",
    ] {
        assert!(
            policy.contains(&format!("pattern: \"{pattern}\"\n")),
            "{policy}"
        );
    }
    assert!(!policy.contains("files"), "{policy}");
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("envoy.yaml"), "mine").unwrap();
    let output = run(folder.path(), &["init", "--domain=shop"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("envoy.yaml exists and is not overwritten"),
        "{output:?}"
    );
    assert!(!folder.path().join("policies").exists());
    let envoy = fs::read_to_string(folder.path().join("envoy.yaml")).unwrap();
    assert_eq!(envoy, "mine");
}

#[test]
fn bad_answers_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    for (args, said) in [
        (
            &["--domain=a/b"][..],
            "a domain here has letters, digits, `_` and `-`",
        ),
        (
            &["--domain=a", "--limit=fast"],
            "write a limit such as `600 per minute`",
        ),
        (
            &["--domain=a", "--openapi=none.yaml"],
            "cannot read none.yaml",
        ),
        (
            &["--domain=a", "--upstream=localhost"],
            "expected HOST:PORT, such as 127.0.0.1:3000 or orders.internal:8080",
        ),
    ] {
        let output = run(folder.path(), &[&["init"], args].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
