//! The programs in `examples`, run as their heads show.

use std::process::Command;
use std::time::Duration;

use crate::running::{Running, config};

/// What an example prints.
fn run(example: &str, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--offline", "--example", example, "--"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn embed_decides_by_a_policy_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.yaml");
    let policy =
        "domain: t\ndescriptors:\n  - {key: k, rate_limit: {unit: day, requests_per_unit: 9}}\n";
    std::fs::write(&file, policy).unwrap();
    let printed = run("embed", &[file.to_str().unwrap(), "t", "k=v"]);
    assert_eq!(printed, "OK, 8 remaining\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_asks_a_server() {
    let server = Running::with(config(1, Duration::ZERO)).await;
    let address = server.address().to_owned();
    let asking = move || run("client", &[&address, "t", "api_key=v"]);
    let printed = tokio::task::spawn_blocking(asking).await.unwrap();
    assert_eq!(printed, "OK\n");
}
