//! What Envoy Gateway's own end-to-end tests expect of a rate-limit service: requests, and what must come of them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;

use serde::Deserialize;
use serde_json::Value;
use weir_harness::PATIENCE;

use crate::http::{Answer, Client, Request};
use crate::window::now_secs;

/// How long a service may take to report what it has counted.
const REPORT_SECS: u64 = 5;

/// One of `cases.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    name: String,
    /// The tests of Envoy Gateway that it stands for.
    #[serde(default, rename = "of")]
    _of: String,
    steps: Vec<Step>,
    metric: Option<Metric>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    request: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default = "once")]
    times: usize,
    status: u16,
    /// `x-ratelimit-limit`; null if there must be none, absent if it does not matter.
    #[serde(default, deserialize_with = "given")]
    limit: Option<Value>,
    /// `x-ratelimit-remaining`.
    #[serde(default, deserialize_with = "given")]
    remaining: Option<Value>,
    /// Calls that Envoy makes for the request, if one of them comes after the response.
    calls: Option<u64>,
}

/// A counter that must be above 0 after the steps.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metric {
    name: String,
    key2: String,
}

fn once() -> usize {
    1
}

/// Unlike the default, distinguishes null from absent.
fn given<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

/// Reads cases.
pub(crate) fn read(text: &str) -> Vec<Case> {
    serde_json::from_str(text).expect("cases")
}

pub(crate) fn all() -> Vec<Case> {
    let cases = read(include_str!("cases.json"));
    assert_eq!(cases.len(), 17);
    cases
}

/// Runs cases against an Envoy. Returns what differs, a line each.
pub(crate) fn run(cases: &[Case], envoy: SocketAddr, metrics: SocketAddr) -> String {
    let mut wrong = String::new();
    for case in cases {
        for (number, step) in case.steps.iter().enumerate() {
            for turn in 1..=step.times {
                let before = step.calls.map(|_| calls(metrics));
                let answer = send(envoy, step);
                if let Some(before) = before {
                    wait_for_calls(metrics, before + step.calls.unwrap_or(0));
                }
                for difference in differences(step, &answer) {
                    let _ = writeln!(wrong, "{}, step {number}, {turn}: {difference}", case.name);
                }
            }
        }
        if let Some(metric) = &case.metric {
            let (name, label) = (&metric.name, format!("key2=\"{}\"", metric.key2));
            // envoyproxy/ratelimit counts first and reports then.
            let start = now_secs();
            let counts = || {
                sum(&text(metrics), |series| {
                    series.starts_with(&format!("{name}{{")) && series.contains(&label)
                })
            };
            while counts() == 0 && now_secs() - start < REPORT_SECS {}
            if counts() == 0 {
                let _ = writeln!(wrong, "{}: no {name} with {label}", case.name);
            }
        }
    }
    wrong
}

fn send(envoy: SocketAddr, step: &Step) -> Answer {
    let request = Request::new(&step.request).header("content-length", "0");
    let request = step.headers.iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    });
    Client::connect(envoy).send(&request)
}

fn differences(step: &Step, answer: &Answer) -> Vec<String> {
    let mut differences = Vec::new();
    if answer.status != step.status {
        differences.push(format!("status {}, not {}", answer.status, step.status));
    }
    for (name, expected) in [
        ("x-ratelimit-limit", &step.limit),
        ("x-ratelimit-remaining", &step.remaining),
    ] {
        let seen = Value::from(answer.headers.get(name).cloned());
        if let Some(expected) = expected.as_ref().filter(|expected| **expected != seen) {
            differences.push(format!("{name} is {seen}, not {expected}"));
        }
    }
    differences
}

/// What the metrics port serves.
pub(crate) fn text(metrics: SocketAddr) -> String {
    let answer = Client::connect(metrics).send(&Request::new("GET /metrics"));
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body).expect("UTF-8")
}

/// Calls that have been answered.
fn calls(metrics: SocketAddr) -> u64 {
    sum(&text(metrics), |series| {
        series.starts_with("ratelimit_service_total_requests")
    })
}

fn wait_for_calls(metrics: SocketAddr, expected: u64) {
    let start = now_secs();
    while calls(metrics) < expected {
        let waited = now_secs() - start;
        assert!(waited < PATIENCE.as_secs(), "not {expected} calls");
    }
}

/// The sum of some series.
fn sum(metrics: &str, is_wanted: impl Fn(&str) -> bool) -> u64 {
    let samples = metrics.lines().filter_map(|line| line.rsplit_once(' '));
    samples
        .filter(|(series, _)| is_wanted(series))
        .map(|(_, value)| value.parse::<f64>().expect("a number") as u64)
        .sum()
}
