//! What Envoy Gateway sets for the rate-limit service that it starts.

/// The environment that Envoy Gateway 1.9 sets, with counters in Redis. `certs` is the folder where it mounts certificates.
pub fn envoy_gateway_environment(certs: &str) -> Vec<(&'static str, String)> {
    let in_certs = |file: &str| format!("{certs}/{file}");
    let text = str::to_owned;
    vec![
        ("CONFIG_TYPE", text("GRPC_XDS_SOTW")),
        ("CONFIG_GRPC_XDS_SERVER_URL", text("envoy-gateway:18001")),
        ("CONFIG_GRPC_XDS_NODE_ID", text("envoy-ratelimit")),
        ("CONFIG_GRPC_XDS_SERVER_USE_TLS", text("true")),
        ("CONFIG_GRPC_XDS_CLIENT_TLS_CERT", in_certs("tls.crt")),
        ("CONFIG_GRPC_XDS_CLIENT_TLS_KEY", in_certs("tls.key")),
        ("CONFIG_GRPC_XDS_SERVER_TLS_CACERT", in_certs("ca.crt")),
        ("FORCE_START_WITHOUT_INITIAL_CONFIG", text("true")),
        ("GRPC_SERVER_USE_TLS", text("true")),
        ("GRPC_SERVER_TLS_CERT", in_certs("tls.crt")),
        ("GRPC_SERVER_TLS_KEY", in_certs("tls.key")),
        ("GRPC_SERVER_TLS_CA_CERT", in_certs("ca.crt")),
        ("LOG_LEVEL", text("info")),
        ("USE_STATSD", text("false")),
        ("USE_PROMETHEUS", text("true")),
        ("PROMETHEUS_ADDR", text(":19001")),
        (
            "PROMETHEUS_MAPPER_YAML",
            text("/etc/statsd-exporter/conf.yaml"),
        ),
        ("RUNTIME_ROOT", text("/data")),
        ("RUNTIME_SUBDIRECTORY", text("ratelimit")),
        ("RUNTIME_IGNOREDOTFILES", text("true")),
        ("RUNTIME_WATCH_ROOT", text("false")),
        ("REDIS_SOCKET_TYPE", text("tcp")),
        (
            "REDIS_URL",
            text("redis.redis-system.svc.cluster.local:6379"),
        ),
    ]
}
