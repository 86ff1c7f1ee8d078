//! The log, as an operator reads it: traffic that is not limited, and changes of the policies.

use crate::binary::{Serving, stderr, weir};

/// Sends `times` requests with `weir query`.
fn query(serving: &Serving, domain: &str, entries: &[&str], times: &str) {
    let address = serving.address.as_str();
    let mut command = weir(&["query", "--server", address, "--domain", domain]);
    let output = command.args(["--times", times]).args(entries).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn what_is_not_limited_is_logged_once_and_without_values() {
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
    assert_eq!(unknown[0]["domain"], "\"nowhere\"");
    let unmatched = lines("descriptor matches no rule");
    assert_eq!(unmatched.len(), 1, "{log}");
    assert_eq!(unmatched[0]["domain"], "t");
    assert_eq!(unmatched[0]["keys"], "plan, apikey");
}
