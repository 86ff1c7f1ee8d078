//! `weir test` and `weir explain`, as processes.

use std::process::{Command, Output};

fn weir(args: &[&str]) -> Output {
    let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
    weir.env_remove("WEIR_MERGE_DOMAINS");
    weir.args(args).output().unwrap()
}

/// Exit code, stdout, stderr.
fn output_of(args: &[&str]) -> (Option<i32>, String, String) {
    let output = weir(args);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

const FAILURES: &str = "tests/scenario_faults/failing/failures.test.yaml";

#[test]
fn weir_test_ends_with_0_if_all_pass() {
    let (code, out, _) = output_of(&["test", "config", "tests/scenarios"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.ends_with(" passed, 0 failed\n"), "{out}");
}

#[test]
fn weir_test_ends_with_1_if_one_fails_and_shows_it() {
    let (code, out, _) = output_of(&["test", FAILURES]);
    let expected = std::fs::read_to_string("tests/scenario_faults/failing/failures.txt").unwrap();
    assert_eq!((code, out), (Some(1), expected));
}

#[test]
fn weir_test_ends_with_2_if_a_file_is_invalid_and_runs_the_others() {
    let bad = "tests/scenario_faults/bad/keys.test.yaml";
    let (code, out, _) = output_of(&["test", bad, "config/peeker.test.yaml"]);
    assert_eq!(code, Some(2));
    assert!(out.contains("unknown key `polices`"), "{out}");
    assert!(
        out.ends_with("11 passed, 0 failed; 1 file could not be run\n"),
        "{out}"
    );
    let bad_policy = "tests/scenario_faults/bad/bad-policy.test.yaml";
    assert_eq!(output_of(&["test", bad_policy]).0, Some(2));
}

#[test]
fn weir_test_ends_with_2_if_there_is_nothing_to_run() {
    let nothing: [&[&str]; 4] = [
        &["test", "no-such-path"],
        &["test", "docs"],
        &["test", "config", "--run", "no such name"],
        &["test", "config", "--run", "("],
    ];
    for args in nothing {
        let (code, out, err) = output_of(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(!err.is_empty());
    }
}

#[test]
fn weir_test_runs_the_tests_that_are_asked_for() {
    let (code, out, _) = output_of(&["test", FAILURES, "--run", "^this one"]);
    assert_eq!(code, Some(0));
    assert!(out.ends_with("1 passed, 0 failed\n"), "{out}");
}

#[test]
fn weir_test_writes_junit() {
    let (code, out, _) = output_of(&["test", FAILURES, "--format", "junit"]);
    assert_eq!(code, Some(1));
    assert!(out.starts_with("<?xml version=\"1.0\""), "{out}");
    assert!(
        out.contains("file=\"tests/scenario_faults/failing/failures.test.yaml\" line=\"8\""),
        "{out}"
    );
}

const EXPLAINED: &str = "tests/policies/good/explained.yaml";

fn explained(args: &[&str]) -> (Option<i32>, String, String) {
    let first = [
        "explain",
        "--policies",
        EXPLAINED,
        "--at=2026-01-01T00:00:00Z",
    ];
    output_of(&[&first, args].concat())
}

#[test]
fn weir_test_warns_of_descriptors_that_match_no_rule() {
    let file = "tests/scenario_faults/unlimited.test.yaml";
    let help = "help: check its keys and values with `weir explain`, or write `expect: no_limit` if that is meant";
    let expected = format!(
        "{file}: 2 passed\n\
         {file}:4:9: warning[no-rule]: the descriptor with `plan`, `apikey` matches no rule\n  {help}\n\
         {file}:5:9: warning[no-rule]: the descriptor with `plan` matches no rule\n  {help}\n\
         2 passed, 0 failed, 2 warnings\n"
    );
    let (code, out, _) = output_of(&["test", file]);
    assert_eq!((code, out), (Some(0), expected));
    assert_eq!(output_of(&["test", "--deny-warnings", file]).0, Some(1));
    let (_, out, _) = output_of(&["test", "--format=junit", file]);
    let written = out.split("<system-err>").nth(1).unwrap();
    assert_eq!(written.matches("warning[no-rule]").count(), 2);
}

#[test]
fn weir_explain_shows_the_walk_and_the_response() {
    let (code, out, _) = explained(&[
        "api_key=pk_top_secret",
        "+",
        "endpoint=POST /auth/token",
        "remote_address=10.1.2.3",
        "more=1",
    ]);
    let expected = "\
domain explained, at 2026-01-01T00:00:00Z, with fresh counters

descriptor 1, 1 hit
  api_key=***
    wildcard  ***  selected
    wildcard  ***  no match
    any            matches, but another one has precedence
    counted by each value
  rule   tests/policies/good/explained.yaml:11:5  descriptors[0]
  limit  per_minute: 100 per minute, burst 150, token_bucket; 100 remaining before, 100 after; 150 available before, 149 after, with the burst; resets in 1s
  limit  10000 per day, fixed_window; 10000 remaining before, 9999 after; resets in 86400s
  status OK, 100 remaining of 100 per minute, resets in 1s

descriptor 2, 1 hit
  endpoint=POST /auth/token
    pattern   POST /auth/{action}  selected
    wildcard  POST *               matches, but another one has precedence
    counted by the pattern, token
  remote_address=10.1.2.3
    cidr      192.0.2.0/24  no match
    cidr      10.0.0.0/8    selected
    counted by one counter for all values
    its rate_limit applies only to requests that end here
  more=1
    the policy has no level for this entry
  no rule matches, so there is no limit
  status OK, no limit

response OK
  X-RateLimit-Limit: 100
";
    assert_eq!((code, out.as_str()), (Some(0), expected));
}

#[test]
fn weir_explain_writes_json_without_secrets() {
    let (code, out, _) = explained(&[
        "api_key=pk_top_secret",
        "+",
        "endpoint=POST /auth/token",
        "remote_address=192.0.2.1",
        "--hits=151",
        "--format=json",
    ]);
    assert_eq!(code, Some(0));
    assert!(!out.contains("top_secret"));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["code"], "OVER_LIMIT");
    assert_eq!(json["body"], "come back in  s", "no wait helps");
    let (first, second) = (&json["descriptors"][0], &json["descriptors"][1]);
    assert_eq!(first["entries"][0]["value"], serde_json::Value::Null);
    assert_eq!(
        first["entries"][0]["level"]["candidates"][0]["verdict"],
        "selected"
    );
    assert_eq!(
        (&first["rule"]["line"], &first["result"]),
        (&11.into(), &"rule".into())
    );
    assert_eq!(first["limits"][0]["state"]["over_limit"], true);
    assert_eq!(first["limits"][0]["state"]["over_capacity"], true);
    assert_eq!(first["limits"][0]["state"]["remaining_before"], 100);
    assert_eq!(first["limits"][0]["state"]["available_before"], 150);
    assert_eq!(second["entries"][1]["value"], "192.0.2.1");
    assert_eq!(
        second["entries"][1]["level"]["candidates"][0]["text"],
        "192.0.2.0/24"
    );
}

#[test]
fn weir_explain_describes_shadow_mode_and_a_missing_rule() {
    let (_, out, _) = explained(&["api_key=sk_1", "--hits=2000"]);
    assert!(
        out.contains("in shadow mode: it counts and never refuses"),
        "{out}"
    );
    assert!(
        out.contains("1000 remaining before, 0 after: over limit"),
        "{out}"
    );
    assert!(out.contains("response OK\n"), "{out}");
    let (_, out, _) = explained(&["api_key=other"]);
    assert!(out.contains("the matching node has no rate_limit"), "{out}");
}

#[test]
fn weir_explain_describes_what_does_not_match() {
    let explain = |args: &[&str]| {
        let (code, out, _) = output_of(&[&["explain", "--at=0", "--policies"], args].concat());
        assert_eq!(code, Some(0));
        out
    };
    let out = explain(&["config/platform.yaml", "acount=a"]);
    assert!(
        out.contains("no node of this level has this key; it has: account"),
        "{out}"
    );
    let out = explain(&["config/platform.yaml", "--domain=none", "account=a"]);
    assert!(
        out.contains("No policy has this domain, so nothing is limited."),
        "{out}"
    );
    let out = explain(&[
        "tests/scenarios/replaces.yaml",
        "--peek",
        "user=u",
        "+",
        "trial=t",
    ]);
    assert!(
        out.contains("another descriptor's rule replaces this one"),
        "{out}"
    );
    assert!(!explain(&["config/peeker.yaml", "--domain=none", "api_key=k9"]).contains("k9"));
    let twice = [
        "tests/scenarios/costs.yaml",
        "--hits=6",
        "api_key=k",
        "+",
        "api_key=k",
    ];
    let out = explain(&twice);
    assert!(
        out.contains("10 remaining before, 4 after; resets"),
        "{out}"
    );
    assert!(
        out.contains("4 remaining before, 0 after: over limit; resets"),
        "{out}"
    );
    let out = explain(&["config/peeker.yaml", "channel=sms"]);
    assert!(
        out.contains("value     1 value  no match\n    no match\n"),
        "{out}"
    );
    let out = explain(&["config/peeker.yaml", "--limit=5/day", "api_key=k"]);
    assert!(out.contains("the limit in the request applies"), "{out}");
    assert!(
        out.contains("limit  5 per day, fixed_window; 5 remaining before, 4 after"),
        "{out}"
    );
}

#[test]
fn weir_explain_ends_with_2_if_the_request_is_invalid() {
    let unusable: [&[&str]; 4] = [
        &["explain", "--policies=config", "a=b"],
        &["explain", "--policies=config/peeker.yaml"],
        &["explain", "--policies=config/peeker.yaml", "word"],
        &["explain", "--policies=tests/policies/bad/types.yaml", "a=b"],
    ];
    for args in unusable {
        let (code, out, err) = output_of(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(!err.is_empty());
    }
}
