//! In the place of envoyproxy/ratelimit in Envoy Gateway: its environment, its configurations, the Envoy that it configures, and
//! what its end-to-end tests expect.

mod cases;
mod complete;
mod gateway;
mod server;
mod values;

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use weir_harness::{Authority, envoy_gateway_environment, free_port, program};

use crate::control_plane::{ControlPlane, tls_flags};
use crate::envoy::Envoy;
use crate::upstream::Upstream;
use crate::weir::Weir;
use crate::window::within;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/envoy_gateway");
const MINUTE_SECS: u64 = 60;

/// A name for clients that check one, which Envoy does not here.
const OWN_NAME: &str = "ratelimit.test";

/// The certificates that Envoy Gateway makes: of itself, and the one that Envoy and the rate-limit service have.
fn certificates(folder: &Path) {
    let authority = Authority::new();
    fs::write(folder.join("ca.crt"), authority.pem()).expect("written");
    for (file, names) in [
        (
            "server",
            ["envoy-gateway", "envoy-gateway.envoy-gateway-system"],
        ),
        ("tls", ["*.envoy-gateway-system", OWN_NAME]),
    ] {
        let issued = authority.issue(&names);
        fs::write(folder.join(format!("{file}.crt")), issued.certificate).expect("written");
        fs::write(folder.join(format!("{file}.key")), issued.key).expect("written");
    }
}

/// What Envoy Gateway sets, for a folder of certificates and a configuration server.
fn environment(certs: &Path, control_plane: &str) -> impl Iterator<Item = (&'static str, String)> {
    let set = envoy_gateway_environment(&certs.display().to_string());
    set.into_iter().chain([
        ("CONFIG_GRPC_XDS_SERVER_URL", control_plane.to_owned()),
        // In the cluster it is the name in the address.
        ("CONFIG_GRPC_XDS_SERVER_TLS_SAN", "envoy-gateway".to_owned()),
    ])
}

/// weir as `/bin/ratelimit`, with that environment and more. Returns where its metrics are, too.
fn weir(certs: &Path, control_plane: &str, more: &[(&str, &str)]) -> (Weir, SocketAddr) {
    let ratelimit = certs.join("ratelimit");
    symlink(env!("CARGO_BIN_EXE_weir"), &ratelimit).expect("linked");
    let metrics = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let mut command = Command::new(&ratelimit);
    command
        .env_clear()
        .envs(environment(certs, control_plane))
        .env("PROMETHEUS_ADDR", metrics.to_string())
        .env("LOG_FORMAT", "json");
    for (host, port) in [
        ("GRPC_HOST", "GRPC_PORT"),
        ("HOST", "PORT"),
        ("DEBUG_HOST", "DEBUG_PORT"),
    ] {
        command.env(host, "127.0.0.1").env(port, "0");
    }
    command.envs(more.iter().copied());
    (Weir::run(&mut command), metrics)
}

/// The configurations of a folder, by their names.
fn configs(folder: &str) -> BTreeMap<String, Value> {
    let entries = fs::read_dir(Path::new(FOLDER).join(folder)).expect("a folder");
    entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().and_then(|stem| stem.to_str());
            let text = fs::read_to_string(&path).expect("a configuration");
            let config = serde_json::from_str(&text).expect("JSON");
            (name.expect("a name").to_owned(), config)
        })
        .collect()
}

fn send(plane: &ControlPlane, configs: &BTreeMap<String, Value>) {
    let pairs = configs.iter();
    let pairs: Vec<(&str, Value)> = pairs
        .map(|(name, config)| (name.as_str(), config.clone()))
        .collect();
    plane.send(&pairs);
}

/// The status of a request of the domain `default/cost`, whose limit is 4.
fn ask_for_cost(weir: &Weir, certs: &Path) -> Value {
    let ca = certs.join("ca.crt").display().to_string();
    let entries = [
        "--ca",
        &ca,
        "--server-name",
        OWN_NAME,
        "default/cost/rule/0=default/cost/rule/0",
        "rule-0-match-0=rule-0-match-0",
    ];
    let answer = weir.query_over_tls("default/cost", &entries);
    answer.expect("an answer")["descriptors"][0].clone()
}

/// Everything but Envoy Gateway itself.
struct Parts {
    envoy: Envoy,
    upstream: Upstream,
    metrics: SocketAddr,
    _plane: ControlPlane,
    _certs: TempDir,
}

impl Parts {
    /// None if the test is to be skipped.
    fn start(more: &[(&str, &str)]) -> Option<Self> {
        program::ENVOY.or_skip()?;
        let certs = tempfile::tempdir().expect("a folder");
        certificates(certs.path());
        let flags = tls_flags(certs.path(), "-", "server");
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let mut plane = ControlPlane::start(&flags)?;
        let (weir, metrics) = weir(certs.path(), &plane.address, more);
        send(&plane, &configs("configs"));
        let answer = plane.answer();
        assert_eq!((&*answer.version, &*answer.error), ("1", ""));
        let upstream = Upstream::start();
        let bootstrap = bootstrap(certs.path(), &weir, &upstream);
        let folder = tempfile::tempdir().expect("a folder");
        let envoy = Envoy::with_bootstrap(&bootstrap, "default/shop/http", weir, folder)?;
        Some(Self {
            envoy,
            upstream,
            metrics,
            _plane: plane,
            _certs: certs,
        })
    }

    fn run(&self) -> String {
        let run = || cases::run(&cases::all(), self.envoy.address, self.metrics);
        self.upstream.quickly(run)
    }
}

fn bootstrap(certs: &Path, weir: &Weir, upstream: &Upstream) -> String {
    let text = fs::read_to_string(Path::new(FOLDER).join("envoy.yaml")).expect("a bootstrap");
    [
        ("@PORT@", "0".to_owned()),
        ("@UPSTREAM_PORT@", upstream.address.port().to_string()),
        ("@RATELIMIT_PORT@", weir.address.port().to_string()),
        ("@CERTS@", certs.display().to_string()),
        // More than a busy machine needs.
        ("timeout: 2s", "timeout: 30s".to_owned()),
    ]
    .into_iter()
    .fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, &to)
    })
}

/// The counters of the recorded metrics, and of these.
fn counters(metrics: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = metrics
        .lines()
        .filter(|line| line.starts_with("ratelimit_service_rate_limit_"))
        // Other configurations than those of the cases, and series that envoyproxy/ratelimit has from the first hit only.
        .filter(|line| line.contains("\"default/") && !line.ends_with(" 0"))
        .collect();
    lines.sort_unstable();
    lines
}

#[test]
fn all_cases_of_envoy_gateway_pass_with_counters_in_memory() {
    let outcome = within(MINUTE_SECS, |_| {
        let parts = Parts::start(&[("BACKEND_TYPE", "memory")])?;
        let wrong = parts.run();
        Some((wrong, cases::text(parts.metrics)))
    });
    let Some((wrong, metrics)) = outcome else {
        return;
    };
    assert!(wrong.is_empty(), "{wrong}");
    let recorded = include_str!("envoy_gateway/envoyproxy_ratelimit.metrics");
    assert_eq!(counters(&metrics), counters(recorded));
}

#[test]
fn all_cases_of_envoy_gateway_pass_with_counters_in_redis() {
    if !program::REDIS.is_installed() {
        return;
    }
    let wrong = within(MINUTE_SECS, |_| {
        let redis = weir_harness::RedisServer::start();
        let url = format!("localhost:{}", redis.port());
        Parts::start(&[("REDIS_URL", &url)]).map(|parts| parts.run())
    });
    if let Some(wrong) = wrong {
        assert!(wrong.is_empty(), "{wrong}");
    }
}

#[test]
fn what_envoy_gateway_may_send_by_mistake_leaves_other_domains_alone() {
    let certs = tempfile::tempdir().expect("a folder");
    certificates(certs.path());
    for (name, odd) in configs("odd") {
        let flags = tls_flags(certs.path(), "-", "server");
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let Some(mut plane) = ControlPlane::start(&flags) else {
            return;
        };
        let _ = fs::remove_file(certs.path().join("ratelimit"));
        let (weir, _) = weir(certs.path(), &plane.address, &[("BACKEND_TYPE", "memory")]);
        let mut sent = configs("configs");
        sent.insert(name.clone(), odd);
        send(&plane, &sent);
        // Two nodes of one level that do not contradict each other are merged; envoyproxy/ratelimit rejects all domains for them.
        let is_accepted = plane.answer().error.is_empty();
        assert_eq!(is_accepted, name == "twins", "{name}");
        let status = ask_for_cost(&weir, certs.path());
        assert_eq!(status["limit"]["requests_per_unit"], 4, "{name}");
    }
}
