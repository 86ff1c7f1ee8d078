//! Each cause is found in the observations that show it, and in no others.

use serde_json::{Value, json};

use super::diagnose;
use super::envoy::EnvoyView;
use super::finding::{Finding, Symptom};
use super::observations::{Observations, ServerView};
use super::samples::MetricSamples;
use crate::api::{Overview, Top};

fn healthy_overview() -> Value {
    let last_load =
        json!({"generation": 1, "at_micros": 0, "hash": "x", "error": null, "diagnostics": []});
    let store = json!({
        "counters": 0, "bytes": 0, "pinned": 0, "evicted": 0, "evicted_over_limit": 0,
        "redis": null, "disk": null,
    });
    let mut overview = json!({
        "version": "0", "now_micros": 0, "stage": "serving", "generation": 1, "slots_in_use": {},
        "policy_hash": null, "loaded_at_micros": 0, "unknown_domains": [], "unmatched": [],
        "store": store,
        "rules": 1, "step_secs": 5.0, "max_steps": 180, "has_token": false,
        "last_load": last_load,
        "domains": [{
            "name": "shop", "shadow_mode": false, "quota_mode": false,
            "decisions": {"ok": 0, "over_limit": 0, "shadow": 0},
            "steps": [], "rules": [{
                "id": 0, "name": "api_key", "levels": [], "shadow_mode": false, "quota_mode": false,
                "file": null, "line": null, "steps": [],
                "limits": [{
                    "name": null, "text": "5 per minute", "algorithm": "token_bucket", "burst": 5,
                    "shadow_mode": false,
                }],
                "hits": {"within": 0, "near": 0, "over": 0, "shadow": 0},
            }],
        }],
    });
    overview["policy_origin"] = json!({"kind": "files"});
    overview
}

const HEALTHY_SAMPLES: &str = "weir_decisions_total{domain=\"shop\",code=\"ok\"} 100\n\
    weir_limit_requests{domain=\"shop\",rule=\"api_key\",limit=\"\"} 5\n\
    weir_rejections_total{reason=\"http1\"} 0\n\
    weir_decision_duration_seconds_bucket{le=\"0.005\"} 100\n\
    weir_decision_duration_seconds_count 100\n";

fn seen(overview: &Value) -> Observations {
    let server = ServerView {
        overview: serde_json::from_value::<Overview>(overview.clone()).unwrap(),
        samples: MetricSamples::parse(HEALTHY_SAMPLES),
        top: Err("it wants the token".to_owned()),
    };
    Observations {
        server: Ok(server),
        grpc: None,
        envoy: None,
        during_secs: None,
    }
}

/// The observations of a server whose overview differs.
fn with_overview(change: impl FnOnce(&mut Value)) -> Observations {
    let mut overview = healthy_overview();
    change(&mut overview);
    seen(&overview)
}

/// The observations of a server of which something else differs.
fn with_server(change: impl FnOnce(&mut ServerView)) -> Observations {
    let mut seen = seen(&healthy_overview());
    change(seen.server.as_mut().unwrap());
    seen
}

fn with_samples(more: &str) -> Observations {
    let samples = MetricSamples::parse(&format!("{HEALTHY_SAMPLES}{more}"));
    with_server(|server| server.samples = samples)
}

/// An Envoy in good health.
struct EnvoyJson {
    config: Value,
    clusters: Value,
    stats: Vec<(&'static str, u64)>,
}

impl EnvoyJson {
    fn healthy() -> Self {
        let filter = json!({
            "name": "any name",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit",
                "domain": "shop", "timeout": "0.050s",
                "rate_limit_service": {"grpc_service": {"envoy_grpc": {"cluster_name": "weir"}}},
            },
        });
        let actions = json!([{"actions": [{"remote_address": {}}]}]);
        let config = json!({"configs": [
            {"static_clusters": [{"cluster": {
                "name": "weir", "load_assignment": {},
                "typed_extension_protocol_options": {
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions":
                        {"explicit_http_config": {"http2_protocol_options": {}}},
                },
            }}]},
            {"static_listeners": [{"listener": {"filter_chains": [{"filters": [{"typed_config": {
                "stat_prefix": "edge",
                "http_filters": [filter],
                "route_config": {"virtual_hosts": [{
                    "name": "api",
                    "rate_limits": actions,
                    "routes": [{"route": {"cluster": "upstream", "rate_limits": actions}}],
                }]},
            }}]}]}}]},
        ]});
        let clusters = json!({"cluster_statuses": [{
            "name": "weir",
            "host_statuses": [{
                "address": {"socket_address": {"address": "10.0.0.1", "port_value": 8081}},
                "health_status": {"eds_health_status": "HEALTHY"},
            }],
        }]});
        let stats = vec![
            ("http.edge.downstream_rq_total", 9),
            ("cluster.upstream.ratelimit.ok", 9),
            ("cluster.weir.upstream_cx_http2_total", 1),
        ];
        Self {
            config,
            clusters,
            stats,
        }
    }

    fn manager(&mut self) -> &mut Value {
        self.config
            .pointer_mut(
                "/configs/1/static_listeners/0/listener/filter_chains/0/filters/0/typed_config",
            )
            .unwrap()
    }

    fn view(&self) -> EnvoyView {
        let stats = self.stats.iter();
        let stats: Vec<Value> = stats
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        let stats = json!({"stats": stats});
        EnvoyView::new(&self.config, &self.clusters, &stats)
    }

    fn findings(&self) -> Vec<Finding> {
        diagnose::findings(&Observations {
            envoy: Some(self.view()),
            ..seen(&healthy_overview())
        })
    }
}

/// Exactly one finding, of this symptom, whose cause contains these words.
#[track_caller]
fn assert_found(findings: &[Finding], symptom: Symptom, words: &str) {
    let [finding] = findings else {
        panic!("not one finding: {findings:#?}");
    };
    assert_eq!(finding.symptom, symptom, "{finding:#?}");
    assert!(finding.cause.contains(words), "{finding:#?}");
    assert!(!finding.next_step.is_empty(), "{finding:#?}");
}

#[track_caller]
fn assert_server(observations: &Observations, symptom: Symptom, words: &str) {
    assert_found(&diagnose::findings(observations), symptom, words);
}

/// Changes a healthy Envoy, and expects one finding.
#[track_caller]
fn assert_envoy(change: impl FnOnce(&mut EnvoyJson), symptom: Symptom, words: &str) {
    let mut envoy = EnvoyJson::healthy();
    change(&mut envoy);
    assert_found(&envoy.findings(), symptom, words);
}

#[test]
fn health_is_not_a_finding() {
    assert_eq!(diagnose::findings(&seen(&healthy_overview())), []);
    assert_eq!(EnvoyJson::healthy().findings(), []);
}

#[test]
fn policies_that_limit_nothing_are_found() {
    let symptom = Symptom::NothingIsLimited;
    let empty = with_overview(|overview| overview["domains"] = json!([]));
    assert_server(&empty, symptom, "no policy is in force");
    let rejected = with_overview(|overview| overview["last_load"]["error"] = json!("1 error"));
    assert_server(&rejected, symptom, "was rejected");
    let unknown = json!([{"name": "Shop", "requests": 1}]);
    let unknown = with_overview(|overview| overview["unknown_domains"] = unknown);
    assert_server(&unknown, symptom, "no policy defines the domain `Shop`");
    let unmatched = json!([{"domain": "shop", "keys": ["a", "b"], "descriptors": 2}]);
    let unmatched = with_overview(|overview| overview["unmatched"] = unmatched);
    assert_server(&unmatched, symptom, "keys `a, b`");
    let shadow = with_overview(|overview| overview["domains"][0]["shadow_mode"] = json!(true));
    assert_server(&shadow, symptom, "domain `shop` is in shadow mode");
    let rule = with_overview(|overview| {
        overview["domains"][0]["rules"][0]["shadow_mode"] = json!(true);
    });
    assert_server(
        &rule,
        symptom,
        "rule `api_key` of domain `shop` is in shadow mode",
    );
    let draining = with_overview(|overview| overview["stage"] = json!("draining"));
    assert_server(&draining, symptom, "draining");
    let mut sick = seen(&healthy_overview());
    sick.grpc = Some(Err("cannot connect".to_owned()));
    assert_server(&sick, symptom, "health check");
}

#[test]
fn a_server_that_does_not_answer_is_found_beside_its_envoy() {
    let mut down = seen(&healthy_overview());
    down.server = Err("connection refused".to_owned());
    let mut envoy = EnvoyJson::healthy();
    let unhealthy = &mut envoy.clusters["cluster_statuses"][0]["host_statuses"][0];
    unhealthy["health_status"]["failed_active_health_check"] = json!(true);
    down.envoy = Some(envoy.view());
    let findings = diagnose::findings(&down);
    let causes: Vec<&str> = findings.iter().map(|found| &*found.cause).collect();
    assert!(causes[0].starts_with("weir does not answer"), "{causes:?}");
    assert!(causes[1].contains("1 of 1 endpoints"), "{causes:?}");
    assert_eq!(findings[0].evidence, ["connection refused"]);
}

#[test]
fn an_envoy_that_cannot_ask_is_found() {
    let symptom = Symptom::NothingIsLimited;
    assert_envoy(
        |envoy| envoy.manager()["http_filters"] = json!([]),
        symptom,
        "no rate-limit filter",
    );
    assert_envoy(
        |envoy| envoy.clusters = json!({"cluster_statuses": []}),
        symptom,
        "no cluster `weir`",
    );
    assert_envoy(
        |envoy| {
            let cluster = &mut envoy.config["configs"][0]["static_clusters"][0]["cluster"];
            cluster["typed_extension_protocol_options"] = json!({});
        },
        symptom,
        "speaks HTTP/1",
    );
    assert_envoy(
        |envoy| {
            let host = &mut envoy.clusters["cluster_statuses"][0]["host_statuses"][0];
            host["health_status"]["failed_active_health_check"] = json!(true);
        },
        symptom,
        "1 of 1 endpoints",
    );
    assert_envoy(
        |envoy| envoy.clusters["cluster_statuses"][0]["host_statuses"] = json!([]),
        symptom,
        "has no endpoint",
    );
    assert_envoy(
        |envoy| envoy.stats[1].1 = 0,
        symptom,
        "asks weir about none of them",
    );
    assert_envoy(
        |envoy| {
            let errors = [
                ("cluster.upstream.ratelimit.error", 2),
                ("cluster.upstream.ratelimit.failure_mode_allowed", 2),
            ];
            envoy.stats.extend(errors);
        },
        symptom,
        "pass unchecked",
    );
    assert_envoy(
        |envoy| {
            let config = &mut envoy.manager()["http_filters"][0]["typed_config"];
            config["filter_enforced"] = json!({"default_value": {"denominator": "HUNDRED"}});
        },
        symptom,
        "`filter_enforced` at 0 %",
    );
    assert_envoy(
        |envoy| {
            let config = &mut envoy.manager()["http_filters"][0]["typed_config"];
            config["domain"] = json!("shops");
        },
        symptom,
        "no policy defines the domain `shops`",
    );
}

#[test]
fn what_refuses_everything_is_found() {
    let symptom = Symptom::EverythingIsRefused;
    let zero = "weir_limit_requests{domain=\"shop\",rule=\"none\",limit=\"\"} 0\n\
        weir_rule_over_limit_total{domain=\"shop\",rule=\"none\",values=\"\"} 3\n";
    assert_server(&with_samples(zero), symptom, "`none` of domain `shop`");
    let unused = zero.replace("} 3", "} 0");
    assert_eq!(diagnose::findings(&with_samples(&unused)), []);
    let refused = "weir_decisions_total{domain=\"shop\",code=\"over_limit\"} 900\n";
    assert_server(&with_samples(refused), symptom, "nearly all requests");
    let failed = "weir_decisions_degraded_total{outcome=\"failed\"} 1\n";
    assert_server(&with_samples(failed), symptom, "on_store_error: error");
    assert_envoy(
        |envoy| {
            envoy.stats.push(("cluster.upstream.ratelimit.error", 2));
            let config = &mut envoy.manager()["http_filters"][0]["typed_config"];
            config["failure_mode_deny"] = json!(true);
        },
        symptom,
        "failure_mode_deny",
    );
}

#[test]
fn what_counts_twice_is_found() {
    let symptom = Symptom::LimitsCountTwice;
    assert_envoy(
        |envoy| {
            let filters = envoy.manager()["http_filters"].as_array_mut().unwrap();
            filters.push(filters[0].clone());
        },
        symptom,
        "2 times for the domain `shop`",
    );
    assert_envoy(
        |envoy| {
            let host = &mut envoy.manager()["route_config"]["virtual_hosts"][0];
            host["routes"][0]["route"]["include_vh_rate_limits"] = json!(true);
        },
        symptom,
        "virtual host `api`",
    );
    assert_envoy(
        |envoy| {
            let hosts = &mut envoy.clusters["cluster_statuses"][0]["host_statuses"];
            let hosts = hosts.as_array_mut().unwrap();
            hosts.push(hosts[0].clone());
        },
        symptom,
        "its limit 2 times",
    );
}

fn with_clients(clients: &[(&str, u64)]) -> Observations {
    let hits: Vec<Value> = clients
        .iter()
        .map(|(client, hits)| json!({"client": client, "rule": "", "hits": hits, "overcount": 0}))
        .collect();
    let top = json!({"now_micros": 0, "domains": [
        {"name": "shop", "requested": hits, "refused": [], "since_micros": 0},
    ]});
    with_server(|server| server.top = Ok(serde_json::from_value::<Top>(top).unwrap()))
}

#[test]
fn one_internal_address_for_all_is_found() {
    let proxy = [("remote_address=10.0.0.9", 99), ("api_key=k", 9)];
    assert_server(
        &with_clients(&proxy),
        Symptom::ClientsShareAddress,
        "one internal address",
    );
    for fine in [
        &[("remote_address=10.0.0.9", 9)][..],
        &[("remote_address=8.8.8.8", 99)],
        &[
            ("remote_address=10.0.0.9", 99),
            ("remote_address=8.8.8.8", 1),
        ],
    ] {
        assert_eq!(diagnose::findings(&with_clients(fine)), [], "{fine:?}");
    }
}

#[test]
fn what_makes_calls_time_out_is_found() {
    let symptom = Symptom::CallsTimeOut;
    for (stat, words) in [
        ("cluster.weir.upstream_rq_timeout", "`timeout`, 0.050s"),
        ("cluster.weir.upstream_rq_pending_overflow", "max_requests"),
        (
            "cluster.weir.upstream_cx_connect_fail",
            "cannot always connect",
        ),
    ] {
        assert_envoy(|envoy| envoy.stats.push((stat, 1)), symptom, words);
    }
    let rejections = "weir_rejections_total{reason=\"tls\"} 1\n";
    assert_server(&with_samples(rejections), symptom, "`tls`");
    let slow = HEALTHY_SAMPLES.replace("_bucket{le=\"0.005\"} 100", "_bucket{le=\"0.005\"} 90");
    let slow = with_server(|server| server.samples = MetricSamples::parse(&slow));
    assert_server(&slow, symptom, "decisions are slow");
    let redis = |reason: Option<&str>| {
        with_overview(|overview| {
            overview["store"]["redis"] = json!({"unavailable_reason": reason});
        })
    };
    assert_eq!(diagnose::findings(&redis(None)), []);
    assert_server(&redis(Some("refused")), symptom, "Redis is unavailable");
    let mut late = redis(None);
    late.server.as_mut().unwrap().samples =
        MetricSamples::parse("weir_store_fallback_hits_total 2\n");
    assert_server(&late, symptom, "Redis is slow");
}
