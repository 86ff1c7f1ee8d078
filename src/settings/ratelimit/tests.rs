use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use weir_harness::envoy_gateway_environment;

use super::*;
use crate::server::ListenConfig;
use crate::server::ReadyCondition;
use crate::server::admin::{HttpPort, HttpPurpose};
use crate::telemetry::{StatsdProtocol, TraceProtocol};

fn settings(variables: &[(&str, &str)]) -> Result<ServeSettings, RatelimitError> {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    ratelimit_settings(|name| variables.get(name).map(ToString::to_string))
}

fn error(variables: &[(&str, &str)]) -> String {
    crate::error_text::with_sources(&settings(variables).unwrap_err())
}

fn ports(settings: &ServeSettings) -> Vec<(&str, &HttpPurpose)> {
    let ports = settings.admin.iter().flat_map(|admin| &admin.ports);
    ports
        .map(|port| (port.address.as_str(), &port.purpose))
        .collect()
}

#[test]
fn without_variables_the_settings_are_the_defaults_of_envoyproxy_ratelimit() {
    let settings = settings(&[]).unwrap();
    assert_eq!(settings.listen, ListenConfig::Tcp(":8081".to_owned()));
    assert_eq!(
        ports(&settings),
        [
            (":8080", &HttpPurpose::Main),
            (":6070", &HttpPurpose::Debug)
        ]
    );
    let folder = PathBuf::from("/srv/runtime_data/current/config");
    assert_eq!(settings.policies, [folder]);
    assert_eq!(settings.log.level, tracing::Level::WARN);
    assert_eq!(
        settings.server.max_connection_age,
        Some(Duration::from_secs(86_400))
    );
    assert!(settings.ready_when.policy && !settings.ready_when.domain);
    let statsd = settings.statsd.unwrap();
    assert_eq!(
        (statsd.server.as_str(), statsd.protocol, statsd.interval),
        (
            "localhost:8125",
            StatsdProtocol::Statsd,
            Duration::from_secs(10)
        )
    );
    assert_eq!(settings.notices, [""; 0]);
}

#[test]
fn the_variables_of_envoy_gateway_are_taken() {
    let environment = envoy_gateway_environment("/certs");
    let environment = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()));
    // It adds these for a Redis with TLS.
    let with_tls = [
        ("REDIS_TLS", "true"),
        ("REDIS_TLS_CLIENT_CERT", "/redis-certs/tls.crt"),
        ("REDIS_TLS_CLIENT_KEY", "/redis-certs/tls.key"),
    ];
    let environment: Vec<_> = environment.chain(with_tls).collect();
    let settings = settings(&environment).unwrap();
    let xds = settings.xds.unwrap();
    let certs = |name: &str| PathBuf::from("/certs").join(name);
    assert_eq!(
        (xds.server.as_str(), xds.node_id.as_str()),
        ("envoy-gateway:18001", "envoy-ratelimit")
    );
    let identity = (certs("tls.crt"), certs("tls.key"));
    let xds_tls = xds.tls.unwrap();
    assert_eq!(xds_tls.ca, Some(certs("ca.crt")));
    assert_eq!(xds_tls.identity, Some(identity));
    assert_eq!(xds_tls.server_name, None);
    let tls = settings.tls.grpc.unwrap();
    assert_eq!(
        (tls.certificate, tls.key),
        (certs("tls.crt"), certs("tls.key"))
    );
    assert_eq!(tls.client_ca, None);
    assert_eq!(settings.ready_when, ReadyCondition::default());
    assert_eq!(settings.statsd, None);
    let admin = settings.admin.unwrap();
    assert!(admin.envoy_ratelimit_metrics);
    let path = "/metrics".to_owned();
    assert_eq!(
        admin.ports.last(),
        Some(&HttpPort {
            address: ":19001".to_owned(),
            purpose: HttpPurpose::Metrics { path },
            setting: "PROMETHEUS_ADDR",
        })
    );
    let ignored: Vec<&str> = settings
        .notices
        .iter()
        .map(|notice| notice.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        ignored,
        ["GRPC_SERVER_TLS_CA_CERT", "PROMETHEUS_MAPPER_YAML"]
    );
}

#[cfg(feature = "redis")]
mod redis_addresses {
    use super::*;

    fn address(variables: &[(&str, &str)]) -> String {
        let redis = settings(variables).unwrap().redis.unwrap();
        redis.config.unwrap().address.to_string()
    }

    #[test]
    fn every_form_of_address_is_taken() {
        for (kind, socket, url, tls, expected) in [
            ("SINGLE", "tcp", "redis:6379", "false", "redis://redis:6379"),
            ("SINGLE", "tcp", "redis:6379", "1", "rediss://redis:6379"),
            (
                "single",
                "tcp",
                "redis://:pw@redis:1/2",
                "f",
                "redis://redis:1/2",
            ),
            (
                "SINGLE",
                "tcp",
                "redis://redis:1",
                "true",
                "rediss://redis:1",
            ),
            ("SINGLE", "tcp", "[::1]:6379", "false", "redis://[::1]:6379"),
            (
                "SINGLE",
                "unix",
                "/run/redis.sock",
                "false",
                "redis+unix:///run/redis.sock",
            ),
            (
                "CLUSTER",
                "tcp",
                "a:1,redis://b:2",
                "false",
                "redis-cluster://a:1,b:2",
            ),
            (
                "SENTINEL",
                "tcp",
                "mymaster,a:26379,b:26379",
                "T",
                "rediss+sentinel://a:26379,b:26379/mymaster",
            ),
        ] {
            let variables = [
                ("REDIS_TYPE", kind),
                ("REDIS_SOCKET_TYPE", socket),
                ("REDIS_URL", url),
                ("REDIS_TLS", tls),
            ];
            assert_eq!(address(&variables), expected);
        }
        let default = "redis+unix:///var/run/nutcracker/ratelimit.sock";
        assert_eq!(address(&[]), default);
    }

    #[test]
    fn a_login_may_name_a_user_and_is_never_shown() {
        for auth in [
            "open-sesame",
            "me:open-sesame",
            "me:open:sesame",
            ":open-sesame",
        ] {
            let variables = [
                ("REDIS_SOCKET_TYPE", "tcp"),
                ("REDIS_URL", "r:1"),
                ("REDIS_AUTH", auth),
            ];
            let settings = settings(&variables).unwrap();
            assert!(!format!("{settings:?}").contains("sesame"));
            let address = settings.redis.unwrap().config.unwrap().address;
            let alone = "redis://r:1".parse::<crate::store::RedisAddress>().unwrap();
            assert_ne!(address, alone);
        }
    }

    #[test]
    fn keys_have_a_prefix_and_the_local_cache_is_off_unless_it_has_a_size() {
        let config = |variables: &[(&str, &str)]| {
            settings(variables).unwrap().redis.unwrap().config.unwrap()
        };
        let plain = config(&[]);
        assert_eq!(
            (plain.prefix.as_str(), plain.over_limit_cache_ttl),
            ("weir:", Duration::ZERO)
        );
        let other = config(&[
            ("CACHE_KEY_PREFIX", "eg:rl:"),
            ("LOCAL_CACHE_SIZE_IN_BYTES", "65536"),
        ]);
        assert_eq!(other.prefix, "eg:rl:weir:");
        assert_eq!(other.over_limit_cache_ttl, Duration::from_secs(1));
    }
}

#[test]
fn counters_are_in_memory_if_that_is_asked_for() {
    let with = |backend| settings(&[("BACKEND_TYPE", backend), ("REDIS_URL", "redis:6379")]);
    assert_eq!(with("memory").unwrap().redis, None);
    assert!(with("redis").unwrap().redis.is_some());
}

#[test]
fn a_second_redis_is_used_if_that_is_asked_for() {
    let with = |value| settings(&[("REDIS_PERSECOND", value)]).unwrap();
    assert!(with("true").redis_per_second.is_some());
    assert_eq!(with("false").redis_per_second, None);
}

#[test]
fn modes_and_headers_apply_to_all_domains() {
    let settings = settings(&[
        ("SHADOW_MODE", "1"),
        ("QUOTA_MODE", "t"),
        ("STOP_CACHE_KEY_INCREMENT_WHEN_OVERLIMIT", "TRUE"),
        ("LIMIT_RESPONSE_HEADERS_ENABLED", "True"),
        ("LIMIT_LIMIT_HEADER", "X-Limit"),
        ("NEAR_LIMIT_RATIO", "0.5"),
        ("RESPONSE_DYNAMIC_METADATA", "true"),
        ("MERGE_DOMAIN_CONFIG", "true"),
    ])
    .unwrap();
    let defaults = settings.domain_defaults;
    assert!(defaults.shadow_mode && defaults.quota_mode && defaults.atomic);
    let response = defaults.response.unwrap();
    let names: Vec<&str> = response
        .headers
        .iter()
        .map(|header| &*header.name)
        .collect();
    assert_eq!(names, ["X-Limit", "RateLimit-Remaining", "RateLimit-Reset"]);
    assert_eq!(settings.near_limit_ratio, Some(0.5));
    assert!(settings.server.request_metadata && settings.merge_domains);
}

#[test]
fn spans_are_sent_over_http_unless_grpc_is_asked_for() {
    let traces = |variables: &[(&str, &str)]| {
        let enabled = [("TRACING_ENABLED", "true")];
        settings(&[&enabled, variables].concat()).unwrap().traces
    };
    let of_gateway = traces(&[
        ("TRACING_SERVICE_NAME", "envoy-ratelimit"),
        ("TRACING_SAMPLING_RATE", "0.5"),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://otel.monitoring:4318/base/",
        ),
    ]);
    let of_gateway = of_gateway.unwrap();
    assert_eq!(
        of_gateway.collector.to_string(),
        "http://otel.monitoring:4318"
    );
    let path = "/base/v1/traces".to_owned();
    assert_eq!(of_gateway.protocol, TraceProtocol::Http { path });
    assert_eq!(of_gateway.service.name, "envoy-ratelimit");
    assert_eq!(of_gateway.sample_ratio, 0.5);

    let plain = traces(&[]).unwrap();
    assert_eq!(plain.collector.to_string(), "http://localhost:4318");
    assert_eq!(plain.protocol, TraceProtocol::http());

    let grpc = traces(&[
        ("TRACING_EXPORTER_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://otel"),
    ]);
    let grpc = grpc.unwrap();
    assert_eq!(grpc.collector.to_string(), "https://otel:443");
    assert_eq!(grpc.protocol, TraceProtocol::Grpc);
    assert_eq!(settings(&[]).unwrap().traces, None);
}

#[test]
fn addresses_are_those_of_go() {
    let listen = |host| {
        let settings = settings(&[("GRPC_HOST", host), ("GRPC_PORT", "1")]).unwrap();
        settings.listen.to_string()
    };
    for (host, expected) in [
        ("0.0.0.0", ":1"),
        ("::", ":1"),
        ("", ":1"),
        ("127.0.0.1", "127.0.0.1:1"),
        ("::1", "[::1]:1"),
        ("localhost", "localhost:1"),
    ] {
        assert_eq!(listen(host), expected);
    }
    let socket = settings(&[("GRPC_UDS", "/tmp/rl.sock")]).unwrap().listen;
    assert_eq!(socket, ListenConfig::Unix("/tmp/rl.sock".into()));
}

#[test]
fn a_bad_value_is_an_error_that_names_the_variable_and_what_is_expected() {
    for (name, value, expected) in [
        ("PORT", "http", "a port"),
        ("GRPC_PORT", "70000", "a port"),
        ("GRPC_MAX_CONNECTION_AGE", "24", "10s"),
        ("LOG_LEVEL", "loud", "info"),
        ("CONFIG_TYPE", "XDS", "GRPC_XDS_SOTW"),
        ("RUNTIME_WATCH_ROOT", "no", "true or false"),
        ("CONFIG_GRPC_XDS_SERVER_URL", "envoy-gateway", "HOST:PORT"),
        ("CONFIG_GRPC_XDS_NODE_METADATA", "a", "name=value"),
        ("EXTRA_TAGS", "a=b", "name:value"),
        ("BACKEND_TYPE", "memcache", "memory"),
        ("REDIS_TYPE", "MANY", "CLUSTER"),
        ("REDIS_TLS", "yes", "true or false"),
        ("REDIS_TLS_SKIP_HOSTNAME_VERIFICATION", "", "true or false"),
        ("NEAR_LIMIT_RATIO", "much", "0.8"),
        ("LIMIT_RESET_HEADER", "a b", "header field"),
        ("PROMETHEUS_ADDR", "9090", "HOST:PORT"),
        ("PROMETHEUS_PATH", "metrics", "/metrics"),
    ] {
        let text = error(&[(name, value)]);
        assert!(
            text.starts_with(&format!("invalid {name}: expected ")),
            "{text}"
        );
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn what_decisions_depend_on_is_not_ignored() {
    for (variables, named) in [
        (
            &[("REDIS_TLS_SKIP_HOSTNAME_VERIFICATION", "true")][..],
            "WEIR_REDIS_SERVER_NAME",
        ),
        (
            &[
                ("STOP_CACHE_KEY_INCREMENT_WHEN_OVERLIMIT", "true"),
                ("REDIS_TYPE", "CLUSTER"),
            ],
            "one Redis",
        ),
        (&[("GRPC_SERVER_USE_TLS", "true")], "GRPC_SERVER_TLS_CERT"),
        (
            &[("USE_STATSD", "true"), ("USE_DOG_STATSD", "true")],
            "USE_STATSD",
        ),
    ] {
        let text = error(variables);
        assert!(text.contains(named), "{text}");
    }
    let harmless = [("REDIS_TLS_SKIP_HOSTNAME_VERIFICATION", "false")];
    assert!(settings(&harmless).is_ok());
}

#[test]
fn every_variable_is_listed_once() {
    let listed = environment::list();
    let names: HashSet<&str> = listed.iter().map(|variable| variable.name).collect();
    assert_eq!(names.len(), listed.len());
    assert!(names.len() > 100, "{}", names.len());
}

#[test]
fn every_default_can_be_given() {
    for variable in environment::list() {
        let is_fine = settings(&[(variable.name, variable.default)]).is_ok();
        assert!(variable.default.is_empty() || is_fine, "{}", variable.name);
    }
}
