//! `weir query`, against a server in this process. The server has threads of its own: the test waits for the command.

use std::fs;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use weir::clock::{Clock, ManualClock};
use weir::engine::Engine;
use weir::policy;
use weir::store::{MemoryConfig, Store};

use crate::binary::{Serving, output, stderr, stdout, weir};
use crate::running::{Running, config};
use crate::shared::offline::START;

const POLICY: &str = "
domain: t
response:
  headers: {X-Left: '%REMAINING%'}
  over_limit: {body: '{\"wait\": %RETRY_AFTER%}'}
descriptors:
  - key: api_key
    rate_limit: {unit: minute, unit_multiplier: 5, requests_per_unit: 2, name: keys}
  - key: account
    descriptors:
      - {key: endpoint, rate_limit: {unit: hour, requests_per_unit: 9}}
  - {key: free, rate_limit: {unlimited: true}}
";

async fn start() -> Running {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t.yaml"), POLICY).unwrap();
    let policy = policy::load(&[folder.path().to_owned()], policy::LoadOptions::default())
        .unwrap()
        .policy;
    let store = Store::memory(MemoryConfig::default()).unwrap();
    let clock = Clock::Manual(ManualClock::new(START));
    let engine = Engine::new(policy.unwrap(), store, clock);
    Running::serving(Arc::new(engine), config(1, Duration::ZERO)).await
}

fn query(running: &Running, args: &[&str]) -> Output {
    weir(&["query", "--domain=t"])
        .env("WEIR_SERVER", running.address())
        .args(args)
        .output()
        .unwrap()
}

fn assert_says(output: &Output, code: i32, text: &str) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert_eq!(stdout(output), text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn hits_that_are_never_admitted_are_named() {
    let running = start().await;
    let output = query(&running, &["account=a", "endpoint=e", "--hits=10"]);
    let refused = stdout(&output);
    let note =
        "\nnever: 10 hits are more than the limit, 9 per hour, unless it has a larger burst\n";
    assert!(refused.contains(note), "{refused}");
    assert!(refused.contains("{\"wait\": null}"), "{refused}");
    let output = query(&running, &["account=a", "endpoint=e", "--hits=9"]);
    let refused = stdout(&output);
    assert!(!refused.contains("never"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_answer_is_a_table_and_an_exit_code() {
    let running = start().await;
    let ok = query(&running, &["api_key=k"]);
    assert_says(
        &ok,
        0,
        "OK\n\n\
         descriptor  code  limit                   remaining  reset\n\
         api_key=k   OK    2 per 5 minutes (keys)          1  290 s\n\n\
         X-Left: 1\n",
    );
    let look = query(&running, &["api_key=k", "--peek"]);
    assert!(stdout(&look).contains("X-Left: 1\n"), "{look:?}");
    query(&running, &["api_key=k"]);
    let over = query(&running, &["api_key=k"]);
    assert_says(
        &over,
        1,
        "OVER_LIMIT\n\n\
         descriptor  code        limit                   remaining  reset\n\
         api_key=k   OVER_LIMIT  2 per 5 minutes (keys)          0  290 s\n\n\
         X-Left: 0\n\n\
         {\"wait\": 290}\n",
    );
    query(&running, &["api_key=k", "--refund=3"]);
    let after = query(&running, &["api_key=k", "--peek"]);
    assert!(stdout(&after).contains("X-Left: 2\n"), "{after:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn several_descriptors_and_values_with_blanks_are_asked_for() {
    let running = start().await;
    let answer = query(
        &running,
        &[
            "account=a1",
            "endpoint=POST /x?y=1",
            "+",
            "free=x",
            "+",
            "nothing=x",
            "--hits=4",
        ],
    );
    assert_says(
        &answer,
        0,
        "OK\n\n\
         descriptor                       code  limit       remaining   reset\n\
         account=a1 endpoint=POST /x?y=1  OK    9 per hour          5  3590 s\n\
         free=x                           OK    -           unlimited       -\n\
         nothing=x                        OK    -                   -       -\n\n\
         no limit: no rule that counts matches the keys `nothing`, or the server has no domain `t`; \
         `weir explain` says why\n\n\
         X-Left: 5\n",
    );
}

#[test]
fn a_request_that_meets_no_limit_says_so_without_its_values() {
    let serving = Serving::start(&["--grpc=127.0.0.1:0", "--drain=0"]);
    let ask = |args: &[&str]| {
        let mut asked = weir(&[
            "query",
            "--server",
            &serving.address,
            "--admin",
            &serving.http,
        ]);
        let asked = asked.args(args).output().unwrap();
        assert_eq!(asked.status.code(), Some(0), "{asked:?}");
        stdout(&asked).to_owned()
    };
    let unmatched = ask(&["--domain=t", "nope=s3cret", "more=s3cret"]);
    let note = "\nno limit: no rule that counts in domain `t` matches the keys `nope more`; `weir explain` says why\n";
    assert!(unmatched.contains(note), "{unmatched}");
    let unknown = ask(&["--domain=nosuch", "api_key=k"]);
    let note = format!(
        "\nno limit: {} has no domain `nosuch`; it has t\n",
        serving.http
    );
    assert!(unknown.contains(&note), "{unknown}");
    let limited = ask(&["--domain=t", "api_key=k"]);
    assert!(!limited.contains("no limit"), "{limited}");
    let swapped = output(&["query", "--domain=t", "k=v", "--server", &serving.http]);
    assert_eq!(swapped.status.code(), Some(2));
    assert!(
        stderr(&swapped).contains("`weir serve --grpc`, not of --http"),
        "{swapped:?}"
    );
    let swapped = output(&["explain", "--domain=t", "k=v", "--server", &serving.address]);
    assert_eq!(swapped.status.code(), Some(2));
    assert!(
        stderr(&swapped).contains("This port serves gRPC over HTTP/2"),
        "{swapped:?}"
    );
    let json = ask(&["--domain=nosuch", "api_key=k", "--format=json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["domain_is_known"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn headers_are_printed_as_they_are() {
    const QUOTED: &str = "
domain: t
response: {standard: [ratelimit]}
descriptors: [{key: k, rate_limit: {unit: hour, requests_per_unit: 9, name: hourly}}]
";
    let policy = policy::load_text(std::path::Path::new("t.yaml"), QUOTED).policy;
    let store = Store::memory(MemoryConfig::default()).unwrap();
    let clock = Clock::Manual(ManualClock::new(START));
    let engine = Engine::new(policy.unwrap(), store, clock);
    let running = Running::serving(Arc::new(engine), config(1, Duration::ZERO)).await;
    let answer = query(&running, &["k=v"]);
    let text = stdout(&answer);
    assert!(
        text.contains("RateLimit-Policy: \"hourly\";q=9;w=3600\n"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn many_calls_are_summarized_as_json() {
    let running = start().await;
    let args = ["api_key=k", "--times=5", "--rate=10000", "--format=json"];
    let asked = query(&running, &args);
    assert_eq!(asked.status.code(), Some(1), "{asked:?}");
    let answer: serde_json::Value = serde_json::from_str(stdout(&asked)).unwrap();
    assert_eq!(answer["code"], "OVER_LIMIT");
    assert_eq!(answer["calls"]["ok"], 2);
    assert_eq!(answer["calls"]["over_limit"], 3);
    assert_eq!(answer["calls"]["first_over_limit"]["call"], 3);
    assert_eq!(answer["descriptors"][0]["limit"]["unit_multiplier"], 5);
    assert_eq!(answer["body"], "{\"wait\": 290}");

    let asked = query(&running, &["api_key=l", "--times=3", "--limit=1/hour"]);
    let text = stdout(&asked);
    assert!(
        text.contains(": 1 OK, 2 OVER_LIMIT; the first refusal was call 2, after "),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_unix_socket_can_be_asked() {
    use weir::server::{App, ListenConfig, Listener};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.sock");
    let listener = Listener::bind(&ListenConfig::Unix(path.clone()));
    let policy = policy::load_text(&folder.path().join("t.yaml"), POLICY).policy;
    let store = Store::memory(MemoryConfig::default()).unwrap();
    let engine = Arc::new(Engine::new(policy.unwrap(), store, Clock::System));
    let app = App::new(engine, config(1, Duration::ZERO));
    let server = weir::server::run(listener.unwrap(), app, std::future::pending());
    let server = tokio::spawn(server);
    let address = format!("--server=unix:{}", path.display());
    let answer = output(&["query", "--domain=t", "free=x", &address]);
    assert_eq!(answer.status.code(), Some(0), "{answer:?}");
    server.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_cannot_be_asked_is_one_clear_line_and_2() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let gone = output(&["query", "--domain=t", "a=b", "--server", &address]);
    assert_eq!(gone.status.code(), Some(2), "{gone:?}");
    assert_eq!(stderr(&gone).lines().count(), 1, "{gone:?}");
    let expected = format!("weir: cannot connect to {address}: Connection refused");
    assert!(stderr(&gone).starts_with(&expected), "{gone:?}");

    let running = start().await;
    let refused = weir(&["query", "--domain=", "a=b", "--server", running.address()]).output();
    let refused = refused.unwrap();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let said = "failed with InvalidArgument: domain: must not be empty";
    assert!(stderr(&refused).contains(said), "{refused:?}");

    for wrong in [
        &["query", "a=b"][..],
        &["query", "--domain=t"],
        &["query", "--domain=t", "a"],
        &["query", "--domain=t", "a=b", "--peek", "--hits=2"],
        &["query", "--domain=t", "a=b", "--limit=10"],
        &["query", "--domain=t", "a=b", "--rate=0"],
        &["query", "--domain=t", "a=b", "--times=0"],
        &["query", "--domain=t", "a=b", "--server=nowhere"],
    ] {
        assert_eq!(output(wrong).status.code(), Some(2), "{wrong:?}");
    }
}
