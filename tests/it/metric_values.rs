//! The values of metrics that depend on more than a count of calls, and settings that decide who may be counted.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream, UdpSocket};

use serde_json::json;
use weir::clock::Clock;
use weir::proto::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;

use crate::binary::{Serving, stderr, weir};
use crate::running::{descriptor, request};
use crate::site::{Options, Site, fixed_clock};

const POLICY: &str = "
domain: t
descriptors:
  - {key: big, rate_limit: {unit: hour, requests_per_unit: 20}}
  - {key: small, rate_limit: {unit: hour, requests_per_unit: 10}}
  - {key: tried, shadow_mode: true, rate_limit: {unit: hour, requests_per_unit: 10}}
  - {key: detailed, detailed_metric: true, rate_limit: {unit: hour, requests_per_unit: 1}}
  - key: route
    descriptors:
      - {key: masked_remote_address, value: 0.0.0.0/0, rate_limit: {unit: hour, requests_per_unit: 1}}
";

async fn site() -> Site {
    let options = Options {
        envoy_ratelimit_metrics: true,
        token: true,
        ..Options::default()
    };
    Site::start(POLICY, fixed_clock(), options).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_hits_are_split_at_the_thresholds_as_by_envoyproxy_ratelimit() {
    // The hits of each request; near, over, within and shadow after them.
    let cases: [(&str, &[u32], [u64; 4]); 9] = [
        ("big", &[2, 3], [0, 0, 5, 0]),
        ("big", &[16, 3], [3, 0, 19, 0]),
        ("big", &[15, 4], [3, 0, 19, 0]),
        ("big", &[19, 3], [4, 2, 19, 0]),
        ("big", &[15, 7], [4, 2, 15, 0]),
        ("big", &[22], [4, 2, 0, 0]),
        ("small", &[27, 3], [2, 20, 0, 0]),
        ("small", &[4, 4, 4], [2, 2, 8, 0]),
        ("tried", &[4, 4, 4, 1], [2, 3, 8, 3]),
    ];
    for (key, requests, expected) in cases {
        let site = site().await;
        for hits in requests {
            let body = json!({
                "domain": "t",
                "descriptors": [{"entries": [{"key": key, "value": "x"}]}],
                "hitsAddend": hits,
            });
            site.post_as_admin("/json", &body.to_string());
        }
        let metrics = site.get("/metrics");
        let of = |what: &str| {
            let labels = format!("domain=\"t\",key1=\"{key}\"");
            let name = format!("ratelimit_service_rate_limit_{what}{{{labels}}}");
            metrics.sample(&name).unwrap_or_default()
        };
        let values = ["near_limit", "over_limit", "within_limit", "shadow_mode"].map(of);
        assert_eq!(values, expected, "{key} {requests:?}");
        assert_eq!(
            of("total_hits"),
            requests.iter().map(|hits| u64::from(*hits)).sum::<u64>()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_in_labels_have_no_dots() {
    let site = site().await;
    site.hit(
        "t",
        &[("route", "r"), ("masked_remote_address", "0.0.0.0/0")],
    );
    let labels = "{domain=\"t\",key1=\"route\",key2=\"masked_remote_address_0_0_0_0/0\"}";
    let sample = format!("ratelimit_service_rate_limit_total_hits{labels}");
    assert_eq!(site.get("/metrics").sample(&sample), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_value_is_part_of_a_detailed_name() {
    let site = site().await;
    site.hit("t", &[("detailed", "")]);
    let sample = "ratelimit_service_rate_limit_total_hits{domain=\"t\",key1=\"detailed_\"}";
    assert_eq!(site.get("/metrics").sample(sample), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_http_requests_are_counted_by_status() {
    let site = site().await;
    let count = |status: u16| {
        let name = format!("weir_http_rejections_total{{status=\"{status}\"}}");
        site.get("/metrics").sample(&name)
    };
    assert_eq!(count(404), Some(0));
    site.get("/wp-login.php");
    site.ask("DELETE", "/live", &[], b"");
    site.ask("GET", "/", &[("Host", "evil.example")], b"");
    site.post("/api/keys/credit", "{}");
    site.post("/json", "no JSON");
    // A request over a limit is not a rejection.
    let body =
        r#"{"domain": "t", "descriptors": [{"entries": [{"key": "detailed", "value": "x"}]}]}"#;
    assert_eq!(site.post("/json", body).status, 200);
    assert_eq!(site.post("/json", body).status, 429);
    let rejected = [400, 401, 403, 404, 405].map(count);
    assert_eq!(rejected, [Some(1); 5]);
    // Heads that never become a request are counted once their connection has ended.
    let mut long = "GET / HTTP/1.1\r\nX: ".to_owned();
    // All of it is read, so that the connection is not reset.
    long.push_str(&"x".repeat(64 * 1024 - long.len()));
    for (head, status) in [
        (&*long, "431"),
        ("GET / HTTP/1.1\r\nnot a name: x\r\n\r\n", "400"),
    ] {
        let mut stream = TcpStream::connect(site.address()).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(status));
    }
    while (count(431), count(400)) != (Some(1), Some(2)) {
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_load_is_successful_until_a_change_is_rejected() {
    let site = site().await;
    let is_successful = || {
        site.get("/metrics")
            .sample("weir_policy_last_load_successful ")
    };
    let file = site.folder.path().join("policies/t.yaml");
    assert_eq!(is_successful(), Some(1));
    std::fs::write(&file, "domain: t\ndescriptors: [{kye: a}]\n").unwrap();
    site.post_as_admin("/api/reload", "");
    assert_eq!(is_successful(), Some(0));
    std::fs::write(&file, POLICY).unwrap();
    site.post_as_admin("/api/reload", "");
    assert_eq!(is_successful(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_start_time_is_that_of_the_start() {
    let secs = || Clock::System.now().micros() as f64 / 1e6;
    let before = secs();
    let site = site().await;
    let after = secs();
    let metrics = site.get("/metrics").body;
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix("process_start_time_seconds "));
    let started: f64 = value.unwrap().parse().unwrap();
    assert!(
        (before..=after).contains(&started),
        "{before} {started} {after}"
    );
}

/// Sends one request over HTTP, and returns the answer whole.
fn ask(address: (IpAddr, u16), method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let (host, length) = (address.0, body.len());
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn port(serving: &Serving) -> u16 {
    serving.http.rsplit(':').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_nobody_reads_are_dropped_and_counted() {
    let flags = [
        "--grpc=127.0.0.1:0",
        "--drain=0",
        "--log-refused-per-second=1000000",
    ];
    let mut serving = Serving::start(&flags);
    let http = (IpAddr::from([127, 0, 0, 1]), port(&serving));
    let dropped = || {
        let metrics = ask(http, "GET", "/metrics", "");
        let value = metrics
            .lines()
            .find_map(|line| line.strip_prefix("weir_log_lines_dropped_total "));
        value.unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(dropped(), 0);
    let mut client = RateLimitServiceClient::new(serving.connect().await);
    // The log is not read until the end.
    while dropped() == 0 {
        for _ in 0..500 {
            let asked = request(vec![descriptor(b"api_key", &[b'k'; 64])]);
            client.should_rate_limit(asked).await.unwrap();
        }
    }
    // A reload does not wait for a reader, either.
    let file = serving.folder.path().join("t.yaml");
    let policy = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{policy}# changed\n")).unwrap();
    serving.signal("HUP");
    while !ask(http, "GET", "/metrics", "").contains("\nweir_policy_generation 2\n") {}
    serving.signal("TERM");
    let (code, _) = tokio::task::spawn_blocking(move || serving.end())
        .await
        .unwrap();
    assert_eq!(code, Some(0));
}

#[test]
fn json_of_other_hosts_needs_to_be_opened() {
    // An address of this machine that is not loopback; nothing is sent.
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let local = socket
        .connect("192.0.2.1:9")
        .and_then(|()| socket.local_addr());
    let Some(address) = local
        .ok()
        .map(|local| local.ip())
        .filter(|ip| !ip.is_loopback())
    else {
        return;
    };
    let body =
        json!({"domain": "t", "descriptors": [{"entries": [{"key": "api_key", "value": "k"}]}]});
    for (flags, status) in [(&[][..], "403"), (&["--open-json"], "200")] {
        let common = ["--grpc=127.0.0.1:0", "--http=0.0.0.0:0", "--drain=0"];
        let mut serving = Serving::start(&[&common[..], flags].concat());
        let answer = ask(
            (address, port(&serving)),
            "POST",
            "/json",
            &body.to_string(),
        );
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{flags:?}: {answer}"
        );
        serving.signal("TERM");
        serving.end();
    }
}

#[test]
fn json_can_require_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "0123456789abcdef\n").unwrap();
    let mut serving = Serving::start(&[
        "--grpc=127.0.0.1:0",
        "--http=127.0.0.1:0",
        "--drain=0",
        "--json-token",
        &format!("--admin-token-file={}", token.display()),
    ]);
    let address = ([127, 0, 0, 1].into(), port(&serving));
    let answer = ask(address, "POST", "/json", "{}");
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    serving.signal("TERM");
    serving.end();
}

#[test]
fn switches_are_taken_as_charts_write_them() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.yaml", "b.yaml"] {
        std::fs::write(
            folder.path().join(name),
            "domain: t\ndescriptors: [{key: k}]\n",
        )
        .unwrap();
    }
    let policies = folder.path().to_str().unwrap();
    for (value, is_merged) in [
        ("1", true),
        ("true", true),
        ("TRUE", true),
        ("yes", true),
        ("on", true),
        ("0", false),
        ("false", false),
        ("No", false),
        ("off", false),
    ] {
        for args in [
            &["check", policies][..],
            &["replay", "/nowhere.log", "--policies", policies],
            &["explain", "--policies", policies, "--domain=t", "k=v"],
        ] {
            let output = weir(args)
                .env("WEIR_MERGE_DOMAINS", value)
                .output()
                .unwrap();
            let said = format!(
                "{}{}",
                stderr(&output),
                String::from_utf8_lossy(&output.stdout)
            );
            assert!(!said.contains("invalid value"), "{value} {args:?}: {said}");
            assert_eq!(
                !said.contains("duplicate-domain") && !said.contains("domain \"t\""),
                is_merged,
                "{value} {args:?}: {said}"
            );
        }
    }
    let output = weir(&["check", policies])
        .env("WEIR_MERGE_DOMAINS", "perhaps")
        .output()
        .unwrap();
    assert!(
        stderr(&output).contains("invalid value 'perhaps'"),
        "{output:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_over_a_soft_limit_and_exempt_ones_are_counted_and_not_refused() {
    let policy = "
domain: t
descriptors:
  - key: soft
    response: {over_limit: {allow: true}}
    rate_limit: {unit: hour, requests_per_unit: 2}
  - {key: network, value: internal, exempt: true}
  - {key: hard, rate_limit: {unit: hour, requests_per_unit: 1}}
";
    let site = Site::start(policy, fixed_clock(), Options::default()).await;
    for _ in 0..5 {
        site.hit("t", &[("soft", "k")]);
    }
    site.hit("t", &[("network", "internal")]);
    let two = json!({"domain": "t", "descriptors": [
        {"entries": [{"key": "hard", "value": "k"}]},
        {"entries": [{"key": "network", "value": "internal"}]},
    ]});
    for _ in 0..3 {
        site.post("/json", &two.to_string());
    }
    let metrics = site.get("/metrics");
    for (sample, expected) in [
        ("weir_rule_over_limit_total{domain=\"t\",rule=\"soft\"}", 3),
        ("weir_rule_soft_total{domain=\"t\",rule=\"soft\"}", 3),
        ("weir_rule_soft_total{domain=\"t\",rule=\"hard\"}", 0),
        (
            "weir_rule_hits_total{domain=\"t\",rule=\"network=internal\"}",
            4,
        ),
        ("weir_rule_hits_total{domain=\"t\",rule=\"hard\"}", 0),
        ("weir_decisions_total{domain=\"t\",code=\"ok\"}", 9),
        ("weir_decisions_total{domain=\"t\",code=\"over_limit\"}", 0),
        ("weir_decisions_exempt_total{domain=\"t\"}", 4),
        ("weir_descriptors_total{match=\"exempt\"}", 7),
    ] {
        assert_eq!(metrics.sample(sample), Some(expected), "{sample}");
    }
    let overview = site.get("/api/overview").json();
    let rules = &overview["domains"][0]["rules"];
    assert_eq!(
        (&rules[0]["is_soft"], &rules[1]["is_exempt"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(rules[0]["hits"]["allowed"], 3);
}
