//! `weir compare`, with servers whose policies are equal or not.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use weir_harness::http_get;

use crate::binary::{Serving, stderr, stdout, weir};

/// A limit of a number of requests a day: no test crosses midnight twice.
fn policy(requests: u32) -> String {
    format!(
        "
domain: shop
descriptors:
  - {{key: api_key, rate_limit: {{unit: day, requests_per_unit: {requests}}}}}
  - {{key: path, pattern: '/items/{{id}}', rate_limit: {{unit: day, requests_per_unit: 1000}}}}
  - {{key: token, value: v4lue, secret: true, rate_limit: {{unit: day, requests_per_unit: 2}}}}
"
    )
}

fn serve(requests: u32) -> Serving {
    let ports = ["--grpc=127.0.0.1:0", "--http=127.0.0.1:0", "--drain=0"];
    Serving::start_policy(&policy(requests), &ports)
}

fn compare(server: &Serving, against: &Serving, more: &[&str]) -> Output {
    weir(&["compare", "--server", &server.address])
        .args(["--against", &against.address])
        .args(more)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The report in JSON, and the exit code.
fn report(server: &Serving, against: &Serving, more: &[&str]) -> (Value, Option<i32>) {
    let more: Vec<&str> = more.iter().copied().chain(["--format", "json"]).collect();
    let output = compare(server, against, &more);
    let report = serde_json::from_str(stdout(&output));
    (
        report.unwrap_or_else(|_| panic!("{output:?}")),
        output.status.code(),
    )
}

/// Requests of one client, as `weir replay` reads them.
fn lines(count: usize) -> String {
    let line = r#"{"time": 1, "domain": "shop", "descriptors": [{"api_key": "s3cret"}]}"#;
    format!("{line}\n").repeat(count)
}

fn log(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn servers_with_the_same_policy_decide_the_same() {
    let (server, against) = (serve(5), serve(5));
    let policies = server.folder.path().display().to_string();
    let (report, code) = report(&server, &against, &["--policies", &policies]);
    // 5 and 2 beyond it, 3 of a limit that is not crossed, and one that no rule matches.
    assert_eq!(report["requests"], 11, "{report}");
    assert_eq!(report["same"], 11, "{report}");
    assert_eq!(report["hidden_rules"], 1);
    assert_eq!(code, Some(0));
}

#[test]
fn a_lower_limit_is_found_and_no_value_is_printed() {
    let (server, against) = (serve(3), serve(5));
    let log = log(&lines(6));
    let path = log.path().to_str().unwrap();
    let output = compare(&server, &against, &[path]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = stdout(&output);
    let heading = format!(
        "6 requests answered by {} (server) and {} (against)\n\n",
        server.address, against.address
    );
    let rest = text
        .strip_prefix(&heading)
        .unwrap_or_else(|| panic!("{text}"));
    let words: Vec<Vec<&str>> = rest
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert!(words.contains(&vec!["the", "same", "0"]), "{text}");
    assert!(words.contains(&vec!["other", "details", "4"]), "{text}");
    assert!(words.contains(&vec!["other", "decisions", "2"]), "{text}");
    let decision = [
        "decision",
        "shop",
        "api_key",
        "OVER_LIMIT",
        "OK",
        "2",
        "line",
        "4",
    ];
    assert!(words.contains(&decision.to_vec()), "{text}");
    assert!(rest.contains("3 per day"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}

#[test]
fn requests_can_come_through_a_pipe_and_from_an_access_log() {
    let (server, against) = (serve(2), serve(2));
    let entry = r#"{"start_time": "2026-11-26T10:00:00Z", "key": "k1"}"#;
    let text =
        format!("{entry}\n\nnonsense\n{entry}\n{{\"start_time\": \"2026-11-26T10:00:01Z\"}}\n");
    let mut process = weir(&[
        "compare",
        "-",
        "--domain",
        "shop",
        "--descriptor",
        "api_key={key}",
    ])
    .args(["--server", &server.address, "--against", &against.address])
    .args(["--format", "json"])
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    process
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = process.wait_with_output().unwrap();
    let report: Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!(report["same"], 2, "{report}");
    assert_eq!(report["malformed_lines"], 1);
    assert_eq!(report["lines_without_descriptors"], 1);
    let said = stderr(&output);
    assert!(said.starts_with("line 3: "), "{said}");
    assert!(
        said.contains("1 of 4 lines are malformed, more than 1 %"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn messages_of_the_protocol_are_requests() {
    let (server, against) = (serve(5), serve(5));
    let log = log(
        r#"{"domain": "shop", "hitsAddend": 4, "descriptors": [{"entries": [{"key": "api_key", "value": "k"}]}]}
{"domain": "shop", "descriptors": [{"entries": [{"key": "api_key", "value": "k"}], "hitsAddend": "0"}]}
{"domain": "shop", "descriptors": [{"entries": [{"key": "api_key", "value": "k"}], "hits_addend": 2}]}
"#,
    );
    let path = log.path().to_str().unwrap();
    let (first, code) = report(&server, &against, &[path]);
    assert_eq!((&first["same"], code), (&3.into(), Some(0)), "{first}");
    // Six of five were charged, and the peek took nothing: the next four hits are refused, and a peek is, too.
    let (second, _) = report(&server, &serve(5), &[path]);
    assert_eq!(second["decisions_differ"], 2, "{second}");
    assert_eq!(second["differences"][0]["first"], 1, "{second}");
}

#[test]
fn options_that_would_have_no_effect_are_rejected() {
    for more in [
        &["--policies", "x", "log"][..],
        &["--policies", "x", "--domain", "shop"],
        &["--policies", "x", "--descriptor", "a={a}"],
        &[],
    ] {
        let arguments = [&["compare", "--against", "127.0.0.1:1"][..], more].concat();
        let output = weir(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        assert!(
            stderr(&output).contains("Usage: weir compare"),
            "{output:?}"
        );
    }
}

/// Each line is sent when it comes, and the report is of those that were sent.
#[test]
fn ctrl_c_ends_a_live_log_with_the_report() {
    let (server, against) = (serve(5), serve(5));
    let mut process = weir(&["compare", "-", "--format", "json"])
        .args(["--server", &server.address, "--against", &against.address])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(lines(3).as_bytes()).unwrap();
    // A process that has called both servers notices signals.
    for serving in [&server, &against] {
        while calls(serving) < 3 {
            std::thread::yield_now();
        }
    }
    let pid = process.id().to_string();
    let sent = Command::new("kill").args(["-s", "INT", &pid]).status();
    assert!(sent.unwrap().success());
    let output = process.wait_with_output().unwrap();
    drop(stdin);
    let report: Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!(report["same"], 3, "{report}");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

/// Calls that the server has answered.
fn calls(serving: &Serving) -> u64 {
    let text = http_get(&serving.http, "/metrics");
    let samples = text
        .lines()
        .filter(|line| line.starts_with("weir_decisions_total"));
    samples
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
        .sum()
}

#[test]
fn a_server_that_does_not_answer_is_named() {
    let (server, mut against) = (serve(5), serve(5));
    let log = log(&lines(3));
    let path = log.path().to_str().unwrap();
    let http = weir(&["compare", path, "--server", &server.address])
        .args(["--against", &server.http])
        .output()
        .unwrap();
    assert_eq!(http.status.code(), Some(2));
    let text = stderr(&http);
    assert!(text.contains("nothing was compared"), "{text}");
    assert!(text.contains(&server.http), "{text}");
    against.signal("TERM");
    against.end();
    let gone = compare(&server, &against, &[path]);
    assert_eq!(gone.status.code(), Some(2));
    assert!(stderr(&gone).contains(&against.address), "{gone:?}");
}

#[test]
fn a_comparison_that_meets_no_limit_proves_nothing() {
    let server = serve(5);
    let log = log(&lines(3).replace("shop", "elsewhere"));
    let output = compare(&server, &server, &[log.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        stdout(&output).starts_with("3 requests answered"),
        "{output:?}"
    );
    assert!(
        stderr(&output).contains("nothing was limited"),
        "{output:?}"
    );
}

#[test]
fn a_log_without_requests_says_what_to_do() {
    let server = serve(5);
    let log = log("{\"start_time\": 1}\n");
    let output = compare(&server, &server, &[log.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains("--descriptor 'KEY={FIELD}'"), "{text}");
    let missing = compare(&server, &server, &["/no/such/log"]);
    assert!(
        stderr(&missing).contains("cannot read /no/such/log"),
        "{missing:?}"
    );
}
