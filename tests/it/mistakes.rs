//! What people type who know another program: each mistake has an answer that names the way out.

use std::net::TcpListener;
use std::path::Path;

use crate::binary::{Serving, stderr, stdout, weir};

/// Runs a command that cannot work, and returns what it says.
#[track_caller]
fn fails(args: &[&str]) -> String {
    let output = weir(args).env_remove("WEIR_POLICIES").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}");
    stderr(&output).to_owned()
}

#[test]
fn files_that_are_named_in_another_way_get_a_tip() {
    let cases: [(&[&str], &str); 6] = [
        (
            &["serve", "policies"],
            "tip: policies are named by a flag: `--policies policies`",
        ),
        (
            &["serve", "--config", "a.yaml"],
            "tip: policies are named by `--policies PATH`",
        ),
        (
            &["serve", "-c", "a.yaml"],
            "tip: policies are named by `--policies PATH`",
        ),
        (
            &["check", "--policies", "a"],
            "tip: paths have no flag: `weir check PATH`",
        ),
        (
            &["check", "--config=a.yaml"],
            "tip: paths have no flag: `weir check PATH`",
        ),
        (
            &["test", "--file", "a.yaml"],
            "tip: paths have no flag: `weir test PATH`",
        ),
    ];
    for (args, tip) in cases {
        let said = fails(args);
        assert!(said.contains(tip), "{args:?}\n{said}");
    }
}

#[test]
fn a_flag_that_is_nearly_right_keeps_the_tip_of_the_parser() {
    let said = fails(&["serve", "--worker", "2"]);
    assert!(
        said.contains("a similar argument exists: '--workers'"),
        "{said}"
    );
}

#[test]
fn policies_that_do_not_exist_name_the_flag() {
    let said = fails(&["explain", "--policies", "no-such-folder", "api_key=k"]);
    assert!(
        said.contains("cannot read no-such-folder: No such file"),
        "{said}"
    );
    assert!(
        said.contains("name policy files or folders with --policies"),
        "{said}"
    );
}

#[test]
fn a_policy_is_not_run_as_tests() {
    let output = weir(&["test", "config/first_limit.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = stdout(&output);
    assert!(
        said.contains("the file is a policy, not a scenario file"),
        "{said}"
    );
}

#[test]
fn servers_are_named_with_a_scheme_or_without() {
    let serving = Serving::start_policy(
        "domain: shop\ndescriptors:\n  - {key: api_key, rate_limit: {unit: minute, requests_per_unit: 5}}\n",
        &["--grpc=127.0.0.1:0"],
    );
    let (grpc, http) = (
        format!("http://{}", serving.address),
        format!("http://{}/", serving.http),
    );
    for args in [
        ["query", "--server", &grpc, "--domain", "shop", "api_key=k"].as_slice(),
        &["top", "--once", "--server", &http],
    ] {
        let output = weir(args).output().unwrap();
        assert!(output.status.success(), "{args:?}\n{}", stderr(&output));
    }
}

#[test]
fn a_port_that_is_the_other_one_is_said_to_be() {
    let serving = Serving::start_policy("domain: shop\n", &["--grpc=127.0.0.1:0"]);
    let said = fails(&[
        "query",
        "--server",
        &serving.http,
        "--domain",
        "shop",
        "api_key=k",
    ]);
    assert!(
        said.contains("the address of `weir serve --grpc`, not of --http"),
        "{said}"
    );
    let said = fails(&["top", "--once", "--server", &serving.address]);
    assert!(said.contains("This port serves gRPC over HTTP/2"), "{said}");
}

#[test]
fn a_server_that_does_not_run_is_said_not_to() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let said = fails(&[
        "query",
        "--server",
        &address,
        "--domain",
        "shop",
        "api_key=k",
    ]);
    assert!(said.contains("is the server running?"), "{said}");
    let said = fails(&["doctor", "--server", &address]);
    assert!(said.contains("(--http): Connection refused"), "{said}");
}

#[test]
fn files_that_are_skipped_are_one_warning() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.yaml", "README.md", "notes.txt", "x.json"] {
        std::fs::write(
            folder.path().join(name),
            "domain: a\ndescriptors: [{key: k, rate_limit: {unit: day, requests_per_unit: 1}}]\n",
        )
        .unwrap();
    }
    let path: &Path = folder.path();
    let output = weir(&["check", path.to_str().unwrap()]).output().unwrap();
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(said.matches("[skipped-file]").count(), 1, "{said}");
    assert!(
        said.contains("this file and 2 other files of the folder are skipped"),
        "{said}"
    );
}
