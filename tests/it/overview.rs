//! The data of the admin page and of `weir top`: rates and heavy hitters.

use serde_json::Value;

use crate::binary::{stderr, stdout, weir};
use crate::site::{Options, Site, fixed_clock};

const POLICY: &str = "
domain: shop
descriptors:
  - {key: remote_address, rate_limit: {unit: day, requests_per_unit: 2}}
  - {key: api_key, secret: true, rate_limit: {unit: day, requests_per_unit: 1}}
  - {key: tried, shadow_mode: true, rate_limit: {unit: day, requests_per_unit: 1}}
  - key: kinds
    rate_limit:
      - {algorithm: concurrency, max_in_flight: 8, lease_seconds: 180}
      - {algorithm: token_bucket, unit: minute, requests_per_unit: 60, burst: 90}
      - {algorithm: sliding_window, unit: hour, unit_multiplier: 2, requests_per_unit: 9}
";

async fn site(token: bool) -> Site {
    let options = Options {
        token,
        ..Options::default()
    };
    Site::start(POLICY, fixed_clock(), options).await
}

fn hit(site: &Site) {
    for _ in 0..5 {
        site.hit("shop", &[("remote_address", "10.0.0.7")]);
    }
    for _ in 0..3 {
        site.hit("shop", &[("api_key", "s3cret")]);
        site.hit("shop", &[("tried", "x")]);
    }
    site.hit("shop", &[("remote_address", "10.0.0.8")]);
    site.hit("nowhere", &[("remote_address", "10.0.0.9")]);
}

/// Clients, the rules that they matched, and their hits.
fn hitters(list: &Value) -> Vec<(String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let hitters = list.as_array().unwrap().iter();
    hitters
        .map(|one| {
            (
                text(&one["client"]),
                text(&one["rule"]),
                one["hits"].as_u64().unwrap(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_hitters_have_their_rule_and_no_secret_value() {
    let site = site(false).await;
    hit(&site);
    let top = site.get("/api/top");
    assert!(!top.body.contains("s3cret") && !top.body.contains("10.0.0.9"));
    let shop = &top.json()["domains"][0];
    let refused = hitters(&shop["refused"]);
    let address = ("remote_address=10.0.0.7", "remote_address", 3);
    assert_eq!((&*refused[0].0, &*refused[0].1, refused[0].2), address);
    assert!(refused[1].0.starts_with("api_key=***"), "{refused:?}");
    assert_eq!((&*refused[1].1, refused[1].2), ("api_key", 2));
    assert_eq!(refused.len(), 2);
    let requested = hitters(&shop["requested"]);
    assert_eq!(
        (&*requested[0].0, requested[0].2),
        ("remote_address=10.0.0.7", 5)
    );
    assert_eq!(requested.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_hitters_require_the_token() {
    let site = site(true).await;
    assert_eq!(site.get("/api/top").status, 401);
    let right = format!("Bearer {}", crate::site::TOKEN);
    let headers = [("Authorization", right.as_str())];
    assert_eq!(site.ask("GET", "/api/top", &headers, b"").status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_overview_has_every_rule_with_its_counts() {
    let site = site(false).await;
    hit(&site);
    let sum = |steps: &Value, at: usize| -> u64 {
        let steps = steps.as_array().unwrap().iter();
        steps.map(|step| step[at].as_u64().unwrap()).sum()
    };
    // A step ends every 20 ms.
    let overview = loop {
        let overview = site.get("/api/overview").json();
        let steps = &overview["domains"][0]["steps"];
        if sum(steps, 0) + sum(steps, 2) == 12 {
            break overview;
        }
    };
    assert_eq!(overview["stage"], "serving");
    assert_eq!(overview["generation"], 1);
    assert_eq!(overview["store"]["counters"], 4);
    let shop = &overview["domains"][0];
    assert_eq!(shop["decisions"]["over_limit"], 5);
    let rules = shop["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 4);
    assert_eq!(rules[0]["name"], "remote_address");
    let texts: Vec<_> = rules
        .iter()
        .flat_map(|rule| rule["limits"].as_array().unwrap())
        .map(|limit| (&limit["algorithm"], &limit["text"]))
        .collect();
    for limit in [
        ("fixed_window", "2 per day"),
        ("concurrency", "8 at once (lease 180 s)"),
        ("token_bucket", "60 per minute, burst 90"),
        ("sliding_window", "9 per 2 hours"),
    ] {
        assert!(
            texts.contains(&(&limit.0.into(), &limit.1.into())),
            "{texts:?}"
        );
    }
    let hits = &rules[0]["hits"];
    assert_eq!(
        (&hits["within"], &hits["near"], &hits["over"]),
        (&3.into(), &1.into(), &3.into())
    );
    let counted = |rule: &Value| [0, 1, 2, 3].map(|at| sum(&rule["steps"], at));
    assert_eq!(counted(&rules[0]), [3, 1, 3, 0]);
    assert_eq!(counted(&rules[2]), [1, 1, 0, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_overview_and_a_metric_have_the_slots_in_use() {
    let site = site(false).await;
    for _ in 0..3 {
        assert_eq!(site.hit("shop", &[("kinds", "x")]), 200);
    }
    let overview = site.get("/api/overview").json();
    let rules = overview["domains"][0]["rules"].as_array().unwrap();
    let kinds = rules.iter().find(|rule| rule["name"] == "kinds").unwrap();
    let id = kinds["id"].to_string();
    assert_eq!(overview["slots_in_use"], serde_json::json!({ id: 3 }));
    let metrics = site.get("/metrics");
    let labels = "domain=\"shop\",rule=\"kinds\"";
    let sample = |name: &str| metrics.sample(&format!("{name}{{{labels}}}"));
    assert_eq!(sample("weir_slots_in_use"), Some(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_overview_and_metrics_have_what_is_not_limited_without_values() {
    let site = site(false).await;
    site.hit("nowhere", &[("remote_address", "v4lue")]);
    for _ in 0..2 {
        site.hit(
            "elsewhere\n",
            &[("remote_address", "v4lue"), ("x", "v4lue")],
        );
    }
    site.hit("shop", &[("apikey", "v4lue")]);
    for value in ["v4lue1", "v4lue2", "v4lue3"] {
        site.hit("shop", &[("remote_address", value), ("plan", value)]);
    }
    let overview = site.get("/api/overview");
    assert!(!overview.body.contains("v4lue"), "{}", overview.body);
    let overview = overview.json();
    let expected = serde_json::json!([
        {"name": "elsewhere\u{fffd}", "requests": 2},
        {"name": "nowhere", "requests": 1},
    ]);
    assert_eq!(overview["unknown_domains"], expected);
    let expected = serde_json::json!([
        {"domain": "shop", "keys": ["remote_address", "plan"], "descriptors": 3},
        {"domain": "shop", "keys": ["apikey"], "descriptors": 1},
    ]);
    assert_eq!(overview["unmatched"], expected);
    let metrics = site.get("/metrics");
    let unmatched = metrics.sample("weir_descriptors_unmatched_total{domain=\"shop\"}");
    assert_eq!(unmatched, Some(4));
    let unknown = metrics.sample("weir_decisions_total{domain=\"\",code=\"ok\"}");
    assert_eq!(unknown, Some(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_domains_and_unmatched_keys_are_bounded() {
    let site = site(false).await;
    for n in 0..200 {
        site.hit(&format!("nowhere{n}"), &[("a", "b")]);
        site.hit("shop", &[(&*"k".repeat(1_000 + n), "v")]);
    }
    let overview = site.get("/api/overview").json();
    let lists = ["unknown_domains", "unmatched"].map(|list| overview[list].as_array().unwrap());
    assert_eq!(lists.map(Vec::len), [50, 50]);
    assert!(lists[1][0]["keys"][0].as_str().unwrap().len() <= 70);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_are_sent_as_events() {
    let site = site(false).await;
    let mut events = site.events();
    events.next().unwrap();
    hit(&site);
    let mut over = 0;
    while over < 5 {
        let event = events.next().unwrap();
        assert_eq!(event["generation"], 1);
        over += event["domains"][0][2].as_u64().unwrap();
    }
    assert_eq!(over, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_show_and_top_print_every_algorithm() {
    let site = site(true).await;
    for _ in 0..10 {
        site.hit("shop", &[("kinds", "x")]);
    }
    let server = format!("--server={}", site.address());
    let token = site.folder.path().join("token");
    let run = |command: &[&str]| {
        let mut command = weir(command);
        let command = command.arg(&server).arg("--admin-token-file").arg(&token);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output).to_owned()
    };
    let shown = run(&["keys", "show", "--domain=shop", "kinds=x"]);
    let lines: Vec<Vec<&str>> = shown
        .lines()
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    for (limit, left) in [
        ("8 at once (lease 180 s)", "0"),
        ("60 per minute, burst 90", "82"),
        ("9 per 2 hours", "1"),
    ] {
        let is_row =
            |cells: &Vec<&str>| cells.first() == Some(&limit) && cells.get(1) == Some(&left);
        assert!(lines.iter().any(is_row), "{limit}, {left} left:\n{shown}");
    }
    let top = run(&["top", "--count=1"]);
    let cells: Vec<Vec<&str>> = top
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert!(
        cells.contains(&vec!["2", "10", "shop", "kinds=x", "kinds"]),
        "{top}"
    );
    let rule = ["2", "10", "8", "shop", "kinds", "8", "at", "once"];
    assert!(cells.iter().any(|cells| cells.starts_with(&rule)), "{top}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn top_prints_heavy_hitters() {
    let site = site(true).await;
    hit(&site);
    let server = format!("--server={}", site.address());
    let token = site.folder.path().join("token");
    let shown = weir(&["top", &server, "--count=1", "--admin-token-file"])
        .arg(&token)
        .output()
        .unwrap();
    assert_eq!(shown.status.code(), Some(0), "{}", stderr(&shown));
    let text = stdout(&shown);
    assert!(
        text.contains(", serving, policy 1, 4 rules\n4 counters in memory, "),
        "{text}"
    );
    let refused = "\nrefused  hits  slots  domain  client                   rule\n      \
                   3     5         shop    remote_address=10.0.0.7  remote_address\n\n";
    assert!(text.contains(refused), "{text}");
    let unknown = weir(&["top", &server, "--domain=nosuch"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        stderr(&unknown).contains("no domain `nosuch`; it has shop"),
        "{}",
        stderr(&unknown)
    );
    let without = weir(&["top", &server]).output().unwrap();
    assert_eq!(without.status.code(), Some(2));
    assert!(stderr(&without).contains("token"), "{}", stderr(&without));
}
