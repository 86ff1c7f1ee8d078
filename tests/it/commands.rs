//! `weir test` and `weir explain`, as processes.

use std::process::{Command, Output};

fn weir(args: &[&str]) -> Output {
    let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
    weir.args(args).output().unwrap()
}

/// Exit code, stdout, stderr.
fn said(args: &[&str]) -> (Option<i32>, String, String) {
    let output = weir(args);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

const FAILURES: &str = "tests/scenarios/failing/failures.test.yaml";

#[test]
fn weir_test_ends_with_0_if_all_pass() {
    let (code, out, _) = said(&["test", "config", "tests/scenarios"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.ends_with(" passed, 0 failed\n"), "{out}");
}

#[test]
fn weir_test_ends_with_1_if_one_fails_and_shows_it() {
    let (code, out, _) = said(&["test", FAILURES]);
    let expected = std::fs::read_to_string("tests/scenarios/failing/failures.txt").unwrap();
    assert_eq!((code, out), (Some(1), expected));
}

#[test]
fn weir_test_ends_with_2_if_a_file_is_no_good_and_runs_the_others() {
    let bad = "tests/scenarios/bad/keys.test.yaml";
    let (code, out, _) = said(&["test", bad, "config/peeker.test.yaml"]);
    assert_eq!(code, Some(2));
    assert!(out.contains("unknown key `polices`"), "{out}");
    assert!(
        out.ends_with("4 passed, 0 failed; 1 file could not be run\n"),
        "{out}"
    );
    let bad_policy = "tests/scenarios/bad/bad-policy.test.yaml";
    assert_eq!(said(&["test", bad_policy]).0, Some(2));
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
        let (code, out, err) = said(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(!err.is_empty());
    }
}

#[test]
fn weir_test_runs_the_tests_that_are_asked_for() {
    let (code, out, _) = said(&["test", FAILURES, "--run", "^this one"]);
    assert_eq!(code, Some(0));
    assert!(out.ends_with("1 passed, 0 failed\n"), "{out}");
}

#[test]
fn weir_test_writes_junit() {
    let (code, out, _) = said(&["test", FAILURES, "--format", "junit"]);
    assert_eq!(code, Some(1));
    assert!(out.starts_with("<?xml version=\"1.0\""), "{out}");
    assert!(
        out.contains("file=\"tests/scenarios/failing/failures.test.yaml\" line=\"8\""),
        "{out}"
    );
}

const EXPLAIN: [&str; 6] = [
    "explain",
    "--policies=config",
    "--at=2026-01-01T00:00:00Z",
    "--domain=skakio",
    "api_key=pk_top_secret",
    "+",
];

#[test]
fn weir_explain_tells_of_the_walk_and_the_answer() {
    let mut args = EXPLAIN.to_vec();
    args.extend([
        "endpoint=POST /auth/token",
        "api_key=sk_top_secret",
        "more=1",
    ]);
    let (code, out, _) = said(&args);
    let expected = "\
domain skakio, at 2026-01-01T00:00:00Z, with fresh counters

descriptor 1, 1 hit
  api_key=***
    wildcard   pk_*  taken
    wildcard   sk_*  does not fit
    any value        fits, but another one goes first
    counted by each value
  rule   config/skakio.yaml:32:5  descriptors[0]
  limit  100 per minute, token_bucket with a burst of 150; 150 left before, 149 after; resets in 1s
  limit  10000 per day, fixed_window; 10000 left before, 9999 after; resets in 86400s
  so     OK, 149 remaining of 100 per minute, reset in 1s

descriptor 2, 1 hit
  endpoint=POST /auth/token
    pattern    POST /auth/token     taken
    pattern    POST /auth/validate  does not fit
    pattern    POST /auth/refresh   does not fit
    counted by the pattern
  api_key=***
    wildcard   pk_*  does not fit
    wildcard   sk_*  taken
    any value        fits, but another one goes first
    counted by each value
    its rate_limit is for requests that end here, and not for this one
  more=1
    the policy has no level for this entry
  no rule is reached, so there is no limit
  so     OK, no limit

the answer is OK
  X-RateLimit-Limit: 100
  X-RateLimit-Remaining: 149
  X-RateLimit-Reset: 1767225601
  X-RateLimit-Tier: public_key
";
    assert_eq!((code, out.as_str()), (Some(0), expected));
}

#[test]
fn weir_explain_writes_json_without_secrets() {
    let mut args = EXPLAIN.to_vec();
    args.extend(["remote_address=192.0.2.1", "--hits=151", "--format=json"]);
    let (code, out, _) = said(&args);
    assert_eq!(code, Some(0));
    assert!(!out.contains("top_secret"));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["code"], "OVER_LIMIT");
    let first = &json["descriptors"][0];
    assert_eq!(
        first["entries"][0],
        serde_json::json!({"key": "api_key", "secret": true})
    );
    assert_eq!(first["walk"][0]["candidates"][0]["verdict"], "taken");
    assert_eq!(first["rule"]["line"], 32);
    assert_eq!(first["limits"][0]["standing"]["over"], true);
    assert_eq!(first["limits"][0]["standing"]["before"], 150);
    assert_eq!(json["descriptors"][1]["entries"][0]["value"], "192.0.2.1");
    assert!(
        json["body"]
            .as_str()
            .unwrap()
            .contains("RATE_LIMIT_EXCEEDED")
    );
}

#[test]
fn weir_explain_says_what_does_not_fit() {
    let explain = |args: &[&str]| {
        let (code, out, _) = said(&[&["explain", "--at=0", "--policies"], args].concat());
        assert_eq!(code, Some(0));
        out
    };
    let out = explain(&["config/platform.yaml", "acount=a"]);
    assert!(
        out.contains("no descriptor of this level has this key; there are: account"),
        "{out}"
    );
    let out = explain(&["config/platform.yaml", "--domain=none", "account=a"]);
    assert!(
        out.contains("No policy has this domain, so nothing is limited."),
        "{out}"
    );
    let out = explain(&[
        "tests/scenarios/replaces.yaml",
        "--look",
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
    assert!(out.contains("10 left before, 4 after; resets"), "{out}");
    assert!(
        out.contains("4 left before, 0 after: over; resets"),
        "{out}"
    );
    let out = explain(&["config/peeker.yaml", "channel=sms"]);
    assert!(
        out.contains("value      1 value  does not fit\n    nothing fits\n"),
        "{out}"
    );
    let out = explain(&["config/peeker.yaml", "--limit=5 per day", "api_key=k"]);
    assert!(
        out.contains("the limit that came with the request counts"),
        "{out}"
    );
    assert!(
        out.contains("limit  5 per day, fixed_window; 5 left before, 4 after"),
        "{out}"
    );
}

#[test]
fn weir_explain_ends_with_2_if_it_cannot_say() {
    let unusable: [&[&str]; 4] = [
        &["explain", "--policies=config", "a=b"],
        &["explain", "--policies=config/peeker.yaml"],
        &["explain", "--policies=config/peeker.yaml", "word"],
        &["explain", "--policies=tests/policies/bad/types.yaml", "a=b"],
    ];
    for args in unusable {
        let (code, out, err) = said(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(!err.is_empty());
    }
}
