//! The endpoints of the admin server: health, `/json` and metrics.

use weir::server::admin::{Access, ENDPOINTS};
use weir::telemetry::metric_families;

use crate::running::{descriptor, request as grpc_request};
use crate::site::{Options, Site, fixed_clock, request};
use weir::proto::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;

const POLICY: &str = "
domain: t
descriptors:
  - key: account
    descriptors:
      - {key: endpoint, value: 'GET /*', rate_limit: {unit: hour, requests_per_unit: 5}}
  - {key: api_key, secret: true, value: s3cret, rate_limit: {unit: hour, requests_per_unit: 1}}
  - {key: free, rate_limit: {unlimited: true}}
  - {key: tried, shadow_mode: true, rate_limit: {unit: hour, requests_per_unit: 1}}
  - key: both
    rate_limit:
      - {unit: minute, requests_per_unit: 2, name: per_minute}
      - {unit: day, unit_multiplier: 2, requests_per_unit: 1, shadow_mode: true}
  - {key: shown, detailed_metric: true, rate_limit: {unit: hour, requests_per_unit: 1}}
";

async fn site() -> Site {
    Site::start(POLICY, fixed_clock(), Options::default()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_checks_follow_the_server() {
    let mut site = site().await;
    // The drain lasts while a client is connected.
    let client = RateLimitServiceClient::connect(format!("http://{}", site.grpc)).await;
    let mut client = client.unwrap();
    let free = vec![descriptor(b"free", b"x")];
    client.should_rate_limit(grpc_request(free)).await.unwrap();
    let health = site.get("/healthcheck");
    assert_eq!((health.status, &*health.body), (200, "OK"));
    assert_eq!(site.get("/ready").status, 200);
    assert_eq!(site.get("/live").status, 200);

    site.shut_down();
    while site.get("/ready").status == 200 {}
    let ready = site.get("/ready");
    assert_eq!((ready.status, &*ready.body), (503, "draining\n"));
    let health = site.get("/healthcheck");
    assert_eq!((health.status, &*health.body), (500, ""));
    assert_eq!(site.get("/live").status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_requests_are_decided_as_by_envoyproxy_ratelimit() {
    let site = site().await;
    let entries = [("account", "a"), ("endpoint", "GET /x")];
    let first = site.post("/json", &request("t", &entries));
    assert_eq!(first.status, 200);
    assert!(first.head.contains("content-type: application/json"));
    let response = first.json();
    assert_eq!(response["overallCode"], "OK");
    let status = &response["statuses"][0];
    assert_eq!(status["currentLimit"]["requestsPerUnit"], 5);
    assert_eq!(status["currentLimit"]["unit"], "HOUR");
    assert_eq!(status["limitRemaining"], 4);
    assert!(status.get("quota").is_none());
    for _ in 0..4 {
        assert_eq!(site.hit("t", &entries), 200);
    }
    let over = site.post("/json", &request("t", &entries));
    assert_eq!(over.status, 429);
    assert_eq!(over.json()["overallCode"], "OVER_LIMIT");
    for bad in [
        "",
        "}",
        r#"{"domain": "t", "what": 1}"#,
        r#"{"domain": ""}"#,
    ] {
        let answer = site.post("/json", bad);
        assert_eq!(answer.status, 400, "{bad}");
        assert!(answer.head.contains("content-type: text/plain"));
    }
    assert_eq!(site.get("/json").status, 405);
    assert_eq!(site.get("/nothing").status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rule_has_its_metrics() {
    let site = site().await;
    for _ in 0..7 {
        site.hit("t", &[("account", "a"), ("endpoint", "GET /x")]);
    }
    for _ in 0..3 {
        site.hit("t", &[("tried", "x")]);
        site.hit("t", &[("both", "x")]);
        site.hit("t", &[("free", "x")]);
        site.hit("t", &[("nothing", "x")]);
        site.hit("t", &[("api_key", "s3cret")]);
    }
    site.hit("nowhere", &[("x", "y")]);
    let metrics = site.get("/metrics");
    assert!(metrics.head.contains("text/plain; version=0.0.4"));
    assert!(!metrics.body.contains("s3cret"), "{}", metrics.body);
    let rule = |what: &str, rule: &str| {
        let sample = format!("weir_rule_{what}_total{{domain=\"t\",rule=\"{rule}\"}}");
        metrics.sample(&sample)
    };
    let endpoint = "account, endpoint=GET /*";
    assert_eq!(rule("hits", endpoint), Some(7));
    assert_eq!(rule("within_limit", endpoint), Some(5));
    assert_eq!(rule("near_limit", endpoint), Some(1));
    assert_eq!(rule("over_limit", endpoint), Some(2));
    assert_eq!(rule("shadow", endpoint), Some(0));
    assert_eq!(rule("over_limit", "tried"), Some(2));
    assert_eq!(rule("shadow", "tried"), Some(2));
    assert_eq!(rule("hits", "free"), Some(3));
    assert_eq!(rule("over_limit", "api_key=***"), Some(2));
    assert_eq!(rule("over_limit", "both"), Some(1));
    let over = |limit: &str| {
        let labels = format!("domain=\"t\",rule=\"both\",limit=\"{limit}\"");
        metrics.sample(&format!("weir_limit_over_total{{{labels}}}"))
    };
    assert_eq!(over("per_minute"), Some(1));
    assert_eq!(over("2 days"), Some(2));
    let decisions =
        |labels: &str| metrics.sample(&format!("weir_decisions_total{{domain={labels}}}"));
    assert_eq!(decisions("\"t\",code=\"over_limit\""), Some(2 + 1 + 2));
    assert_eq!(decisions("\"t\",code=\"ok\""), Some(22 - 5));
    assert_eq!(decisions("\"\",code=\"ok\""), Some(1));
    let meets = |meets| metrics.sample(&format!("weir_descriptors_total{{match=\"{meets}\"}}"));
    assert_eq!(meets("none"), Some(3));
    assert_eq!(meets("unlimited"), Some(3));
    assert_eq!(meets("unknown_domain"), Some(1));
    assert_eq!(
        metrics.sample("weir_decision_duration_seconds_count"),
        Some(23)
    );
    assert_eq!(metrics.sample("weir_policy_rules"), Some(6));
    assert_eq!(metrics.sample("weir_store_counters"), Some(4));
    let limit = "domain=\"t\",rule=\"account, endpoint=GET /*\",limit=\"hour\"";
    assert_eq!(
        metrics.sample(&format!("weir_limit_requests{{{limit}}}")),
        Some(5)
    );
    for family in metric_families() {
        let typed = format!("# TYPE {} {}\n", family.name, family.kind.as_str());
        assert!(metrics.body.contains(&typed), "{typed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_most_a_thousand_values_per_rule_have_their_own_series() {
    let site = site().await;
    for value in 0..1_003 {
        site.hit("t", &[("shown", &value.to_string())]);
    }
    site.hit("t", &[("shown", "7")]);
    let metrics = site.get("/metrics");
    let of = |what: &str, values: &str| {
        let labels = format!("domain=\"t\",rule=\"shown\",values=\"{values}\"");
        metrics.sample(&format!("weir_rule_{what}_total{{{labels}}}"))
    };
    assert_eq!(of("hits", "shown=7"), Some(2));
    assert_eq!(of("over_limit", "shown=7"), Some(1));
    assert_eq!(of("hits", "shown=999"), Some(1));
    assert_eq!(of("hits", "shown=1000"), None);
    assert_eq!(of("hits", "other"), Some(3));
    assert_eq!(metrics.sample("weir_series_capped_total"), Some(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_calls_and_their_errors_are_counted() {
    let site = site().await;
    let client = RateLimitServiceClient::connect(format!("http://{}", site.grpc)).await;
    let mut client = client.unwrap();
    for _ in 0..3 {
        let message = grpc_request(vec![descriptor(b"free", b"\xff")]);
        client.should_rate_limit(message).await.unwrap();
    }
    let invalid = grpc_request(Vec::new());
    client.should_rate_limit(invalid).await.unwrap_err();
    let metrics = site.get("/metrics");
    let errors = metrics.sample("weir_errors_total{code=\"INVALID_ARGUMENT\"}");
    assert_eq!(errors, Some(1));
    let decisions = metrics.sample("weir_decisions_total{domain=\"t\",code=\"ok\"}");
    assert_eq!(decisions, Some(3));
    let connections = (0..2).map(|worker| format!("weir_connections{{worker=\"{worker}\"}}"));
    let connections = connections.map(|sample| metrics.sample(&sample).unwrap());
    assert_eq!(connections.sum::<u64>(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_exported_under_the_names_of_envoyproxy_ratelimit() {
    let options = Options {
        envoy_ratelimit_metrics: true,
        ..Options::default()
    };
    let site = Site::start(POLICY, fixed_clock(), options).await;
    for _ in 0..7 {
        site.hit("t", &[("account", "a"), ("endpoint", "GET /x")]);
        site.hit("t", &[("shown", "x:y")]);
    }
    let client = RateLimitServiceClient::connect(format!("http://{}", site.grpc)).await;
    let invalid = grpc_request(Vec::new());
    let error = client.unwrap().should_rate_limit(invalid).await;
    error.unwrap_err();
    let metrics = site.get("/metrics");
    let rule = |what: &str, keys: &str| {
        let labels = format!("domain=\"t\",{keys}");
        metrics.sample(&format!("ratelimit_service_rate_limit_{what}{{{labels}}}"))
    };
    let endpoint = "key1=\"account\",key2=\"endpoint_GET /*\"";
    assert_eq!(rule("total_hits", endpoint), Some(7));
    assert_eq!(rule("within_limit", endpoint), Some(5));
    assert_eq!(rule("over_limit", endpoint), Some(2));
    assert_eq!(rule("near_limit", endpoint), Some(1));
    assert_eq!(rule("shadow_mode", "key1=\"tried\""), None);
    assert_eq!(rule("over_limit", "key1=\"shown_x_y\""), Some(6));
    let calls = "ratelimit_service_total_requests{grpc_method=\"ShouldRateLimit\"}";
    assert_eq!(metrics.sample(calls), Some(15));
    let error = |kind: &str| {
        let name = "ratelimit_service_should_rate_limit_error";
        metrics.sample(&format!("{name}{{err_type=\"{kind}\"}}"))
    };
    assert_eq!(error("service_error"), Some(1));
    assert_eq!(error("redis_error"), Some(0));
    let sample = "ratelimit_service_response_time_seconds_count{grpc_method=\"ShouldRateLimit\"}";
    assert_eq!(metrics.sample(sample), Some(14));
    let without = self::site().await.get("/metrics").body;
    assert!(!without.contains("ratelimit_service"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_from_pages_of_other_sites_are_rejected() {
    let site = site().await;
    for endpoint in ENDPOINTS {
        // A health check, or Prometheus, may name a sidecar as it likes.
        let is_exempt = endpoint.access == Access::Anybody;
        let host = [("Host", "evil.example")];
        if is_exempt || endpoint.path != "/api/events" {
            let rebound = site.ask(endpoint.method, endpoint.path, &host, b"");
            assert_eq!(rebound.status == 403, !is_exempt, "{endpoint:?}");
        }
    }
    let body = request("t", &[("free", "x")]);
    let foreign = [("Origin", "http://evil.example")];
    let posted = site.ask("POST", "/json", &foreign, body.as_bytes());
    assert_eq!(posted.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_token_json_neither_refunds_nor_peeks() {
    let site = site().await;
    for cost in [
        "\"hitsAddend\": 0",
        "\"hitsAddend\": 1000, \"isNegativeHits\": true",
    ] {
        let body = format!(
            r#"{{"domain": "t", "descriptors": [{{"entries": [{{"key": "api_key", "value": "k"}}], {cost}}}]}}"#
        );
        assert_eq!(site.post("/json", &body).status, 403, "{cost}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_to_the_admin_server_are_bounded() {
    let site = site().await;
    let with = |descriptors: usize| {
        let list = vec!["{\"entries\": [{\"key\": \"free\"}]}"; descriptors].join(",");
        format!("{{\"domain\": \"t\", \"descriptors\": [{list}]}}")
    };
    assert_eq!(site.post("/json", &with(256)).status, 200);
    let many = site.post("/json", &with(257));
    assert_eq!(
        (many.status, &*many.body),
        (400, "descriptors: at most 256 are taken\n")
    );
    assert_eq!(site.post("/api/explain", &with(16)).status, 200);
    let many = site.post("/api/explain", &with(17));
    assert_eq!(many.status, 400);
    assert!(
        many.body.contains("at most 16 descriptors"),
        "{}",
        many.body
    );
    let long = format!("{{\"domain\": \"{}\"}}", "d".repeat(1 << 20));
    assert_eq!(site.post("/json", &long).status, 413);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_listed_endpoint_exists() {
    let site = site().await;
    // The event stream is endless and has its own test.
    let endpoints = ENDPOINTS.iter();
    for endpoint in endpoints.filter(|endpoint| endpoint.path != "/api/events") {
        let answer = site.ask(endpoint.method, endpoint.path, &[], b"");
        let exists = !matches!(answer.status, 404 | 405);
        assert!(exists, "{endpoint:?}: {}", answer.status);
        assert_eq!(
            answer.status == 403,
            endpoint.access == Access::Token,
            "{endpoint:?}"
        );
    }
}
