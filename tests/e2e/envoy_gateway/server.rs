//! The rate-limit service behind Envoy Gateway: weir, or envoyproxy/ratelimit to compare it with.

use std::env;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use weir_harness::{Process, RedisServer, free_port, program, wait_until};

use super::gateway::{CONTROL_PLANE, PATIENCE};
use super::{OWN_NAME, environment};
use crate::http::{Client, Request};

/// Which service it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Weir,
    Ratelimit,
}

impl Service {
    /// What `WEIR_TEST_RATELIMIT` names: `weir`, or `envoyproxy` for envoyproxy/ratelimit.
    pub(super) fn chosen() -> Self {
        match env::var("WEIR_TEST_RATELIMIT").as_deref() {
            Err(_) | Ok("weir") => Self::Weir,
            Ok("envoyproxy") => Self::Ratelimit,
            Ok(other) => panic!("WEIR_TEST_RATELIMIT is {other}: expected weir or envoyproxy"),
        }
    }
}

/// Killed when dropped.
pub(super) struct Server {
    address: SocketAddr,
    debug: SocketAddr,
    pub(super) metrics: SocketAddr,
    _process: Process,
    _redis: Option<RedisServer>,
    _folder: TempDir,
}

impl Server {
    /// Starts it on that port, with the environment that Envoy Gateway sets and more; none if the test is to be skipped.
    pub(super) fn start(
        service: Service,
        port: u16,
        certs: &Path,
        more: &[(&str, &str)],
    ) -> Option<Self> {
        let [http, debug, metrics] =
            [(); 3].map(|()| SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())));
        let folder = tempfile::tempdir().expect("a folder");
        let (mut command, redis) = match service {
            Service::Weir => {
                // The name says which program it is.
                let link = folder.path().join("ratelimit");
                symlink(env!("CARGO_BIN_EXE_weir"), &link).expect("linked");
                (Command::new(link), None)
            }
            Service::Ratelimit => {
                let binary = program::RATELIMIT.or_skip()?;
                program::REDIS.or_skip()?;
                (Command::new(binary), Some(RedisServer::start()))
            }
        };
        command
            .env_clear()
            .envs(environment(&certs.join("envoy-rate-limit"), CONTROL_PLANE))
            .env("PROMETHEUS_ADDR", metrics.to_string())
            // Without it envoyproxy/ratelimit has the same mapping built in.
            .env_remove("PROMETHEUS_MAPPER_YAML")
            .env("STATS_FLUSH_INTERVAL", "100ms")
            .env("HOST", "127.0.0.1")
            .env("PORT", http.port().to_string())
            .env("GRPC_HOST", "127.0.0.1")
            .env("GRPC_PORT", port.to_string())
            .env("DEBUG_HOST", "127.0.0.1")
            .env("DEBUG_PORT", debug.port().to_string());
        match &redis {
            Some(redis) => command.env("REDIS_URL", format!("127.0.0.1:{}", redis.port())),
            None => command.env("BACKEND_TYPE", "memory"),
        };
        let started = Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            debug,
            metrics,
            _process: Process::start(command.envs(more.iter().copied())),
            _redis: redis,
            _folder: folder,
        };
        wait_until("the rate-limit service listens", PATIENCE, || {
            [started.address, debug, metrics]
                .iter()
                .all(|address| TcpStream::connect(address).is_ok())
        });
        Some(started)
    }

    /// Waits until one of its limits contains that text.
    pub(super) fn wait_for_limit(&self, text: &str) {
        wait_until(&format!("{text} is in force"), PATIENCE, || {
            self.limits().contains(text)
        });
    }

    /// What `egctl config envoy-ratelimit` shows.
    fn limits(&self) -> String {
        let answer = Client::connect(self.debug).send(&Request::new("GET /rlconfig"));
        String::from_utf8(answer.body).expect("UTF-8")
    }

    /// Whether it shows a certificate with that name.
    pub(super) fn has_certificate(&self, certs: &Path, name: &str) -> bool {
        let folder = certs.join("envoy-rate-limit");
        let file = |name: &str| folder.join(name).display().to_string();
        let output = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(["query", "--domain", "default/shop/http", "--peek"])
            .args(["--server", &format!("https://{}", self.address)])
            .args(["--server-name", name, "--ca", &file("ca.crt")])
            .args(["--cert", &file("tls.crt"), "--key", &file("tls.key")])
            .arg("a=b")
            .output();
        output.expect("weir starts").status.success()
    }
}

/// The names in the certificates of each holder.
pub(super) fn names(holder: &str) -> &'static [&'static str] {
    match holder {
        "envoy-gateway" => &["envoy-gateway", "envoy-gateway.envoy-gateway-system"],
        _ => &["*.envoy-gateway-system", OWN_NAME],
    }
}
