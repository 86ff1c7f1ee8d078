//! `weir doctor` asks a real Envoy: a healthy one, and some whose configuration is wrong. `docs/troubleshooting.md` shows
//! what it prints.

use std::path::Path;
use std::process::Command;

use weir_harness::free_port;
use weir_harness::transcript::{Shown, shown};

use crate::envoy::{Envoy, Setup};
use crate::http::Request;
use crate::weir::Weir;

const FIRST_LIMIT: &str = include_str!("../../config/first_limit.yaml");

/// The cluster speaks HTTP/1. Envoy rejects a health check of gRPC for such a cluster.
const HTTP1: [(&str, &str); 2] = [
    ("http2_protocol_options", "http_protocol_options"),
    (
        "    health_checks:\n    - { timeout: 30s, interval: 2s, no_traffic_interval: 2s, unhealthy_threshold: 2, healthy_threshold: 1, grpc_health_check: {} }\n",
        "",
    ),
];

/// A second filter before the router.
const TWO_FILTERS: [(&str, &str); 1] = [(
    "          - name: envoy.filters.http.router\n",
    "          - name: again
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit
              domain: first_limit
              rate_limit_service: { transport_api_version: V3, grpc_service: { envoy_grpc: { cluster_name: weir } } }
              rate_limits:
              - actions: [{ request_headers: { header_name: x-api-key, descriptor_key: api_key } }]
          - name: envoy.filters.http.router\n",
)];

fn envoy(weir: impl FnOnce() -> Weir, edits: &[(&str, &str)]) -> Option<Envoy> {
    let setup = Setup {
        edits,
        ..Setup::default()
    };
    Envoy::before(weir, "first_limit", &setup)
}

/// Sends requests of one client.
fn send(envoy: &Envoy, requests: usize) {
    let request = Request::new("GET /").header("x-api-key", "alice");
    envoy.client().repeat(&request, requests);
}

/// The exit code of `weir doctor`, and its output.
fn doctor(envoy: &Envoy) -> (Option<i32>, String) {
    doctor_of(envoy, &envoy.weir.http.to_string())
}

/// The same, if weir is looked for at this address.
fn doctor_of(envoy: &Envoy, server: &str) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["doctor", "--server", server])
        .args(["--envoy", &envoy.admin.to_string()])
        .output()
        .expect("weir starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    (output.status.code(), text)
}

/// That there are findings, all those that are expected and no other ones.
#[track_caller]
fn assert_finds(envoy: &Envoy, causes: &[&str]) {
    let (code, text) = doctor(envoy);
    assert_eq!(code, Some(1), "{text}");
    for cause in causes {
        assert!(text.contains(cause), "{cause}\n{text}");
    }
    let end = match causes.len() {
        1 => "\n1 finding\n".to_owned(),
        many => format!("\n{many} findings\n"),
    };
    assert!(text.ends_with(&end), "{text}");
}

/// That it prints what a section of the page shows.
fn assert_shown(envoy: &Envoy, section: &str) {
    shown_in(section)[0].assert_prints(&doctor(envoy).1);
}

/// What a section of the page shows of an Envoy that is asked.
fn shown_in(section: &str) -> Vec<Shown> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let mut commands = shown(&page);
    commands.retain(|command| {
        command.section == section && command.command == "weir doctor --envoy 127.0.0.1:9901"
    });
    assert!(!commands.is_empty(), "no command in {section}");
    commands
}

#[test]
fn nothing_is_found_when_requests_are_limited() {
    let Some(envoy) = envoy(|| Weir::start("first_limit"), &[]) else {
        return;
    };
    send(&envoy, 6);
    assert_eq!(doctor(&envoy), (Some(0), "no findings\n".to_owned()));
}

#[test]
fn a_cluster_without_http2_is_found() {
    let Some(envoy) = envoy(|| Weir::start("first_limit"), &HTTP1) else {
        return;
    };
    send(&envoy, 1);
    let causes = [
        "Envoy's cluster `weir` speaks HTTP/1",
        "Envoy lets requests pass unchecked",
        "calls are rejected: `http1`",
    ];
    assert_finds(&envoy, &causes);
    assert_shown(&envoy, "Nothing is limited");
}

#[test]
fn a_weir_that_does_not_run_is_found() {
    let Some(envoy) = envoy(|| Weir::start("first_limit"), &[]) else {
        return;
    };
    let nobody = format!("127.0.0.1:{}", free_port());
    let (code, text) = doctor_of(&envoy, &nobody);
    assert_eq!(code, Some(1), "{text}");
    let text = text.replace(&nobody, "127.0.0.1:8080");
    shown_in("Nothing is limited")[1].assert_prints(&text);
}

#[test]
fn another_domain_than_the_policy_s_is_found() {
    let edits = [("domain: first_limit", "domain: first-limit")];
    let Some(envoy) = envoy(|| Weir::start("first_limit"), &edits) else {
        return;
    };
    // Its configuration is enough.
    assert_finds(&envoy, &["no policy defines the domain `first-limit`"]);
    send(&envoy, 2);
    assert_finds(&envoy, &["2 requests in the last 10 minutes"]);
}

#[test]
fn shadow_mode_is_found() {
    let policy = FIRST_LIMIT.replace("domain:", "shadow_mode: true\ndomain:");
    let Some(envoy) = envoy(|| Weir::with_policy(&policy), &[]) else {
        return;
    };
    send(&envoy, 7);
    assert_finds(&envoy, &["domain `first_limit` is in shadow mode"]);
}

#[test]
fn two_filters_for_one_domain_are_found() {
    let Some(envoy) = envoy(|| Weir::start("first_limit"), &TWO_FILTERS) else {
        return;
    };
    assert_finds(&envoy, &["2 times for the domain `first_limit`"]);
    assert_shown(&envoy, "Limits count twice");
}

#[test]
fn a_header_that_nobody_sends_is_found() {
    let Some(envoy) = envoy(|| Weir::start("first_limit"), &[]) else {
        return;
    };
    envoy.client().repeat(&Request::new("GET /"), 3);
    assert_finds(&envoy, &["asks weir about none of them"]);
}
