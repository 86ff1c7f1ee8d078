//! `weir replay`: recorded traffic through policies.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binary::{output, stderr, stdout, weir};

const POLICY: &str = "
domain: shop
descriptors:
  - {key: api_key, secret: true, rate_limit: {unit: minute, requests_per_unit: 2}}
  - key: account
    descriptors:
      - {key: endpoint, rate_limit: {unit: hour, requests_per_unit: 1, name: site}, shadow_mode: true}
";

/// A folder with a policy and a log.
pub(crate) struct Replaying {
    folder: TempDir,
}

impl Replaying {
    pub(crate) fn new(log: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("shop.yaml"), POLICY).unwrap();
        std::fs::write(folder.path().join("log.jsonl"), log).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        weir(&["replay"])
            .arg(self.path("log.jsonl"))
            .arg("--policies")
            .arg(self.path("shop.yaml"))
            .args(args)
            .output()
            .unwrap()
    }

    pub(crate) fn report(&self, args: &[&str]) -> Value {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let json = self.run(&[args, &["--format=json"]].concat());
        serde_json::from_str(stdout(&json)).unwrap()
    }
}

pub(crate) fn line(time: impl Into<Value>, descriptors: &Value) -> String {
    let line = json!({"time": time.into(), "domain": "shop", "descriptors": descriptors});
    format!("{line}\n")
}

pub(crate) fn key(time: impl Into<Value>, key: &str) -> String {
    line(time, &json!([{"api_key": key}]))
}

#[test]
fn limits_count_in_the_time_of_the_record() {
    let mut log = String::new();
    // Three in a minute, the third refused; then a new minute.
    for time in [
        "2026-11-22T10:00:00Z",
        "2026-11-22T10:00:01.5Z",
        "2026-11-22T10:00:59Z",
    ] {
        log.push_str(&key(time, "a"));
    }
    log.push_str(&key("2026-11-22T10:01:00Z", "a"));
    log.push_str(&key(1_795_341_660, "b"));
    let report = Replaying::new(&log).report(&[]);
    let policies = &report["policies"];
    assert_eq!(policies["requests"], 5);
    assert_eq!(policies["refused"], 1);
    assert_eq!(policies["rules"][0]["requests"], 5);
    assert_eq!(policies["rules"][0]["refused"], 1);
    assert_eq!(
        policies["rules"][0]["peak"],
        json!({"used": 2, "capacity": 2})
    );
    assert_eq!(policies["rules"][0]["refused_most"][0]["line"], 3);
    assert_eq!(
        report["last"].as_f64().unwrap() - report["first"].as_f64().unwrap(),
        60.0
    );
}

#[test]
fn assignments_apply_until_they_end_in_the_time_of_the_record() {
    let limit = "rate_limit: {unit: minute, requests_per_unit: 2}, assignments: customers";
    let policy = format!("domain: shop\ndescriptors:\n  - {{key: api_key, {limit}}}\n");
    let table = "value,rate_limit,until
big,4 per minute,
launch,4 per minute,2026-11-22T10:00:30Z
";
    let mut log = String::new();
    // Of five, the limit of the table lets four pass, that of the policy two.
    for (client, seconds) in [
        ("big", [1, 2, 3, 31, 32]),
        ("small", [1, 2, 3, 31, 32]),
        // Three pass before the assignment ends; then they are too many.
        ("launch", [1, 2, 3, 31, 32]),
    ] {
        for second in seconds {
            log.push_str(&key(format!("2026-11-22T10:00:{second:02}Z"), client));
        }
    }
    let replaying = Replaying::new(sorted_by_time(&log));
    std::fs::write(replaying.path("shop.yaml"), policy).unwrap();
    std::fs::write(replaying.path("customers.assignments.csv"), table).unwrap();
    let report = replaying.report(&[]);
    let policies = &report["policies"];
    assert_eq!(
        (&policies["requests"], &policies["refused"]),
        (&json!(15), &json!(1 + 3 + 2))
    );
    let clients = policies["rules"][0]["refused_most"].as_array().unwrap();
    let refused: Vec<_> = clients
        .iter()
        .map(|client| (client["descriptor"].as_str(), client["refused"].as_u64()))
        .collect();
    let expected = [("small", 3), ("launch", 2), ("big", 1)];
    let expected = expected.map(|(client, refused)| (format!("api_key={client}"), refused));
    let expected = expected
        .each_ref()
        .map(|(client, refused)| (Some(client.as_str()), Some(*refused)));
    assert_eq!(refused, expected);
}

/// The lines of a log in the order of their times.
fn sorted_by_time(log: &str) -> String {
    let time = |line: &str| serde_json::from_str::<Value>(line).unwrap()["time"].to_string();
    let mut lines: Vec<&str> = log.lines().collect();
    lines.sort_by_key(|line| time(line));
    lines.join("\n") + "\n"
}

#[test]
fn time_never_goes_back() {
    let log = [key(119, "a"), key(120, "a"), key(60, "a"), key(121, "a")].concat();
    let report = Replaying::new(&log).report(&[]);
    assert_eq!(report["policies"]["refused"], 1);
}

#[test]
fn secrets_are_masked_and_other_values_shown() {
    let mut log = String::new();
    for _ in 0..5 {
        log.push_str(&key(1, "sk_live_secret"));
    }
    let endpoint = json!([[
        {"key": "account", "value": "a1"},
        {"key": "endpoint", "value": "POST /x"}
    ]]);
    log.push_str(&line(2, &endpoint));
    log.push_str(&line(3, &endpoint));
    log.push_str(&line(4, &json!([{"unknown": "x"}])));
    let replaying = Replaying::new(&log);
    let text = replaying.run(&[]);
    let said = stdout(&text);
    assert!(!said.contains("secret"), "{said}");
    assert!(
        said.starts_with("8 requests in 3 s: 3 refused (37.5 %), 1 without a rule\n"),
        "{said}"
    );
    assert!(said.contains("api_key=***"), "{said}");

    let report = replaying.report(&[]);
    let shadowed = &report["policies"]["rules"][1];
    assert_eq!(shadowed["rule"]["name"], "account, endpoint");
    assert_eq!(shadowed["rule"]["path"], "descriptors[1].descriptors[0]");
    assert_eq!(shadowed["rule"]["limits"], "1 per hour (site)");
    assert_eq!(shadowed["rule"]["position"], "shop.yaml:7");
    assert_eq!(
        (&shadowed["refused"], &shadowed["shadow"]),
        (&json!(0), &json!(1))
    );
}

#[test]
fn an_access_log_is_mapped_to_descriptors() {
    let mut log = String::new();
    for second in 0..3 {
        let line = json!({
            "start_time": format!("2026-11-22T10:00:0{second}.000Z"),
            "method": "POST",
            "path": "/x",
            "authorization": "k",
            "account": null,
        });
        writeln!(log, "{line}").unwrap();
    }
    log.push_str("{\"start_time\": 1795341603, \"authorization\": null}\n");
    let report = Replaying::new(&log).report(&[
        "--domain=shop",
        "--descriptor=api_key={authorization}",
        "--descriptor=account={account} endpoint={method} {path}",
    ]);
    assert_eq!(report["policies"]["refused"], 1);
    assert_eq!(report["policies"]["rules"].as_array().unwrap().len(), 1);
    assert_eq!(report["without_descriptors"], 1);
}

#[test]
fn two_policies_are_compared_by_the_rules_that_were_met() {
    let log = [key(1, "a"), key(2, "a"), key(3, "a"), key(4, "b")].concat();
    let replaying = Replaying::new(&log);
    let tighter = POLICY.replace("requests_per_unit: 2", "requests_per_unit: 1");
    std::fs::write(replaying.path("other.yaml"), tighter).unwrap();
    let other = replaying.path("other.yaml");
    let report = replaying.report(&["--against", other.to_str().unwrap()]);
    assert_eq!(report["policies"]["refused"], 1);
    assert_eq!(report["against"]["refused"], 2);
    let change = &report["changes"][0];
    assert_eq!(change["rule"]["limits"], "2 per minute");
    assert_eq!(change["against"]["limits"], "1 per minute");
    assert_eq!(
        (&change["newly_refused"], &change["newly_passed"]),
        (&json!(0), &json!(1))
    );
}

#[test]
fn malformed_lines_are_skipped_and_reported_by_number() {
    let mut log = key(1, "a").repeat(1_400);
    for _ in 0..14 {
        log.push_str("{\"time\": \"sk_live_secret\"}\n\n");
    }
    let replaying = Replaying::new(&log);
    let output = replaying.run(&[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(stderr(&output).lines().count(), 10, "{output:?}");
    assert!(
        stderr(&output).starts_with("line 1401: `time` is neither RFC 3339"),
        "{output:?}"
    );
    assert!(!stderr(&output).contains("secret"));
    assert!(
        stdout(&output).contains("14 of 1414 lines are malformed"),
        "{output:?}"
    );

    std::fs::write(
        replaying.path("log.jsonl"),
        key(1, "a").repeat(90) + "nonsense\n",
    )
    .unwrap();
    let output = replaying.run(&[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stdout(&output).starts_with("90 requests"), "{output:?}");
    let said = "1 of 91 lines are malformed, more than 1 %";
    assert!(stderr(&output).contains(said), "{output:?}");
}

#[test]
fn a_record_can_come_from_stdin() {
    let replaying = Replaying::new("");
    let mut process = weir(&["replay", "-", "--format=json", "--policies"])
        .arg(replaying.path("shop.yaml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    input.write_all(key(1, "a").as_bytes()).unwrap();
    drop(input);
    let output = process.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["policies"]["requests"], 1);
}

#[test]
fn replay_fails_with_2_on_unusable_input() {
    let replaying = Replaying::new(key(1, "a"));
    let policies = replaying.path("shop.yaml");
    let policies = policies.to_str().unwrap();
    for (args, said) in [
        (
            &["replay", "/nowhere.log", "--policies", policies][..],
            "cannot read /nowhere.log",
        ),
        (
            &["replay", policies, "--policies=/nowhere"],
            "cannot read /nowhere",
        ),
        (&["replay", policies], "--policies"),
        (
            &[
                "replay",
                policies,
                "--policies",
                policies,
                "--descriptor=a={b}",
            ],
            "--domain",
        ),
        (
            &[
                "replay",
                policies,
                "--policies",
                policies,
                "--domain=t",
                "--descriptor=a={b",
            ],
            "a brace",
        ),
    ] {
        let output = output(args);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr(&output).contains(said), "{output:?}");
    }
    std::fs::write(policies, "domain: t\ndescriptors: [{kye: a}]\n").unwrap();
    let output = replaying.run(&[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr(&output).contains("shop.yaml:2:"), "{output:?}");
}
