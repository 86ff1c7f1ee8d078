//! `/api/keys/…` and `weir keys`: the counters of one client, and access to them.

use serde_json::Value;

use crate::binary::{Serving, stderr, stdout, weir};
use crate::site::{Options, Site, TOKEN, fixed_clock, request};

const POLICY: &str = "
domain: shop
descriptors:
  - key: api_key
    secret: true
    rate_limit:
      - {unit: minute, requests_per_unit: 3, name: per_minute}
      - {unit: day, requests_per_unit: 100}
";

const SECRET: &[(&str, &str)] = &[("api_key", "s3cret")];

async fn site(token: bool) -> Site {
    let options = Options {
        token,
        ..Options::default()
    };
    Site::start(POLICY, fixed_clock(), options).await
}

/// The remaining hits of each limit.
fn left(answer: &Value) -> Vec<u64> {
    let limits = answer["descriptors"][0]["limits"].as_array().unwrap();
    let left = |limit: &Value| limit["state"]["remaining"].as_u64().unwrap();
    limits.iter().map(left).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_are_shown_credited_and_reset() {
    let site = site(true).await;
    let body = request("shop", SECRET);
    let show = || site.post_as_admin("/api/keys/show", &body).json();
    assert_eq!(left(&show()), [3, 100]);
    for _ in 0..5 {
        site.hit("shop", SECRET);
    }
    assert_eq!(left(&show()), [0, 97]);
    assert_eq!(left(&show()), [0, 97]);
    assert_eq!(site.hit("shop", SECRET), 429);

    let two = body.replace("[{\"entries\"", "[{\"hitsAddend\": 2, \"entries\"");
    let credited = site.post_as_admin("/api/keys/credit", &two).json();
    assert_eq!(credited["outcome"], "2 hits refunded");
    assert_eq!(left(&credited), [2, 99]);
    assert_eq!(site.hit("shop", SECRET), 200);

    let reset = site.post_as_admin("/api/keys/reset", &body).json();
    assert_eq!(reset["outcome"], "1 counter deleted");
    assert_eq!(left(&reset), [3, 100]);
    let again = site.post_as_admin("/api/keys/reset", &body);
    assert_eq!(again.json()["outcome"], "0 counters deleted");
    assert!(!again.body.contains("s3cret"));
    assert_eq!(site.hit("shop", SECRET), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_that_was_over_can_be_reset() {
    let site = site(true).await;
    let body = request("shop", SECRET);
    for _ in 0..9 {
        site.hit("shop", SECRET);
    }
    let pinned = |site: &Site| site.get("/metrics").sample("weir_store_pinned");
    assert_eq!(pinned(&site), Some(1));
    site.post_as_admin("/api/keys/reset", &body);
    assert_eq!(pinned(&site), Some(0));
    assert_eq!(site.get("/metrics").sample("weir_store_counters"), Some(0));
    assert_eq!(site.get("/metrics").sample("weir_store_bytes"), Some(0));
    assert_eq!(site.hit("shop", SECRET), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_is_shown_and_lifted_by_a_reset() {
    let policy = "
domain: login
descriptors:
  - {key: user, rate_limit: {unit: minute, requests_per_unit: 2, block_seconds: [600, 3600]}}
";
    let options = Options {
        token: true,
        ..Options::default()
    };
    let site = Site::start(policy, fixed_clock(), options).await;
    let user = &[("user", "ann")];
    let statuses: Vec<u16> = (0..5).map(|_| site.hit("login", user)).collect();
    assert_eq!(statuses, [200, 200, 429, 429, 429]);
    let blocks = "weir_rule_blocks_total{domain=\"login\",rule=\"user\"}";
    assert_eq!(site.get("/metrics").sample(blocks), Some(1));

    let body = request("login", user);
    let shown = site.post_as_admin("/api/keys/show", &body).json();
    let limit = &shown["descriptors"][0]["limits"][0];
    assert_eq!(limit["text"], "2 per minute, then blocked for 600, 3600 s");
    assert_eq!(limit["block_seconds"], serde_json::json!([600, 3600]));
    assert_eq!(limit["state"]["is_blocked"], true);
    assert_eq!(limit["state"]["reset_after_secs"], 600);

    let reset = site.post_as_admin("/api/keys/reset", &body).json();
    assert_eq!(
        reset["descriptors"][0]["limits"][0]["state"]["is_blocked"],
        false
    );
    assert_eq!(site.hit("login", user), 200);
    assert_eq!(site.get("/metrics").sample("weir_store_pinned"), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_require_the_token() {
    let open = site(true).await;
    let closed = site(false).await;
    let body = request("shop", SECRET);
    let right = format!("Bearer {TOKEN}");
    for path in [
        "/api/keys/show",
        "/api/keys/reset",
        "/api/keys/credit",
        "/api/reload",
    ] {
        assert_eq!(open.post(path, &body).status, 401, "{path}");
        for wrong in [
            "",
            "Bearer ",
            "Bearer 0123456789abcdeF",
            "Basic 0123456789abcdef",
        ] {
            let headers = [("Authorization", wrong)];
            let answer = open.ask("POST", path, &headers, body.as_bytes());
            assert_eq!(answer.status, 401, "{path} {wrong:?}");
        }
        let headers = [("Authorization", right.as_str())];
        let answer = closed.ask("POST", path, &headers, body.as_bytes());
        assert_eq!(answer.status, 403, "{path}");
        assert_eq!(open.ask("GET", path, &headers, b"").status, 405, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explanation_shows_live_counters_only_with_the_token() {
    let site = site(true).await;
    let body = request("shop", SECRET);
    site.hit("shop", SECRET);
    let fresh = site.post("/api/explain", &body).json();
    assert_eq!(fresh["counters"], "fresh");
    assert_eq!(left(&fresh), [2, 99]);
    let live = site.post_as_admin("/api/explain", &body).json();
    assert_eq!(live["counters"], "live");
    assert_eq!(left(&live), [2, 99]);
    let wrong = [("Authorization", "Bearer wrong")];
    let refused = site.ask("POST", "/api/explain", &wrong, body.as_bytes());
    assert_eq!(refused.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_are_reloaded_with_the_token() {
    let site = site(true).await;
    let file = site.folder.path().join("policies/t.yaml");
    std::fs::write(&file, POLICY.replace("100", "200")).unwrap();
    let answer = site.post_as_admin("/api/reload", "");
    assert_eq!(
        (answer.status, answer.json()["generation"].as_u64()),
        (200, Some(2))
    );
    std::fs::write(&file, "domain: shop\ndescriptors: [{kye: x}]").unwrap();
    let answer = site.post_as_admin("/api/reload", "");
    assert_eq!(answer.status, 409);
    let load = answer.json();
    assert_eq!(load["error"], "2 errors");
    assert!(
        load["diagnostics"][0]
            .as_str()
            .unwrap()
            .contains("t.yaml:2:")
    );
    let metrics = site.get("/metrics");
    assert_eq!(metrics.sample("weir_policy_generation"), Some(2));
    assert_eq!(
        metrics.sample("weir_reloads_total{outcome=\"failure\"}"),
        Some(1)
    );
    let limit = "domain=\"shop\",rule=\"api_key\",limit=\"day\"";
    assert_eq!(
        metrics.sample(&format!("weir_limit_requests{{{limit}}}")),
        Some(200)
    );
}

#[test]
fn commands_use_a_running_server_and_are_logged() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    let token = token.to_str().unwrap();
    let mut serving = Serving::start(&[
        "--grpc=127.0.0.1:0",
        "--drain=0",
        "--admin-token-file",
        token,
    ]);
    let server = format!("--server={}", serving.http);
    let ask = |command: &[&str], stdin: &str| {
        use std::io::Write;
        let mut asked = weir(command);
        asked.args([&server, "--admin-token-file", token]);
        let piped = std::process::Stdio::piped;
        let mut child = asked
            .stdin(piped())
            .stdout(piped())
            .stderr(piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(stdin.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    };
    let shown = ask(&["keys", "show", "--domain=t", "api_key=-"], "k3y\n");
    assert_eq!(shown.status.code(), Some(0), "{}", stderr(&shown));
    let text = stdout(&shown);
    assert!(text.starts_with("api_key=k3y\n"), "{text}");
    let expected = "t.yaml:5:5  descriptors[0]\n\
                    limit  allows       left  resets in\n       \
                    10 per hour    10";
    assert!(text.contains(expected), "{text}");
    let unmatched = ask(&["keys", "show", "--domain=t", "nope=x"], "");
    let text = stdout(&unmatched);
    assert_eq!(text, "nope=x\nno limit: no rule matches\n");
    let unknown = ask(&["keys", "show", "--domain=nosuch", "nope=x"], "");
    let text = stdout(&unknown);
    assert!(
        text.ends_with("\nno limit: the policy does not have this domain\n"),
        "{text}"
    );
    let positional = ask(&["keys", "show", "t", "api_key=x"], "");
    assert_eq!(positional.status.code(), Some(2));
    assert!(
        stderr(&positional).contains("the domain is given with --domain"),
        "{positional:?}"
    );
    let no_line = ask(&["keys", "show", "--domain=t", "api_key=-"], "");
    assert!(
        stderr(&no_line).contains("no line for the value of api_key"),
        "{no_line:?}"
    );
    let hits = ask(&["explain", "--domain=t", "api_key=k", "--hits=5"], "");
    assert_eq!(hits.status.code(), Some(2));
    assert!(
        stderr(&hits).contains("--hits has no effect with the admin token"),
        "{hits:?}"
    );
    // The address as a word of its own, and hits without the token.
    let fresh = weir(&[
        "explain",
        "--server",
        &serving.http,
        "--domain=t",
        "api_key=k",
        "--hits=5",
    ]);
    let fresh = { fresh }.output().unwrap();
    assert!(
        stdout(&fresh).contains("10 remaining before, 5 after"),
        "{fresh:?}"
    );
    let reset = ask(&["keys", "reset", "--domain=t", "api_key=k3y"], "");
    assert!(stdout(&reset).starts_with("0 counters deleted\n\n"));
    let explained = ask(&["explain", "--domain=t", "api_key=k3y"], "");
    let text = stdout(&explained);
    assert!(text.contains("with the counters of the server"), "{text}");
    assert!(text.contains("response OK"), "{text}");

    let mut lines = Vec::new();
    for (action, domain, keys) in [
        ("show", "t", "api_key"),
        ("show", "t", "nope"),
        ("show", "unknown", "nope"),
        ("reset", "t", "api_key"),
        ("explain", "t", "api_key"),
    ] {
        let line = serving.wait_for("admin");
        assert_eq!(line["action"], action);
        assert_eq!(line["domain"], domain);
        assert_eq!(line["keys"], keys);
        lines.push(line.to_string());
    }
    assert!(!lines.join("\n").contains("k3y"));
    serving.signal("TERM");
    serving.end();
}

#[test]
fn a_token_is_not_sent_in_plaintext_to_another_host() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    let token = token.to_str().unwrap();
    let far = weir(&[
        "keys",
        "show",
        "--domain=t",
        "api_key=x",
        "--server=192.0.2.1:80",
    ])
    .args(["--admin-token-file", token])
    .output()
    .unwrap();
    assert_eq!(far.status.code(), Some(2));
    assert!(stderr(&far).contains("use a tunnel"), "{}", stderr(&far));
}
