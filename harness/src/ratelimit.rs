//! envoyproxy/ratelimit, the Go service that weir replaces, with a Redis of its own.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use tempfile::TempDir;

use crate::process::{PATIENCE, Process, wait_until};
use crate::{RedisServer, free_port, program};

/// Killed when dropped.
pub struct Ratelimit {
    address: SocketAddr,
    metrics: SocketAddr,
    _process: Process,
    _redis: RedisServer,
    _config: TempDir,
}

impl Ratelimit {
    /// Serves policies, each the text of a file, or `None` if the test that asks must be skipped.
    ///
    /// # Panics
    /// When it does not start, or a part is missing and `CI` is `true`.
    #[must_use]
    pub fn start(policies: &[String], environment: &[(&str, &str)]) -> Option<Self> {
        let binary = program::RATELIMIT.or_skip()?;
        if !program::REDIS.is_installed() {
            return None;
        }
        let redis = RedisServer::start();
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("ratelimit/config");
        fs::create_dir_all(&config).unwrap();
        for (number, policy) in policies.iter().enumerate() {
            fs::write(config.join(format!("{number}.yaml")), policy).unwrap();
        }
        let [grpc, http, debug, metrics] = [(); 4].map(|()| free_port());
        let process = Process::start(
            Command::new(binary)
                .env("LOG_LEVEL", "error")
                .env("USE_STATSD", "false")
                .env("USE_PROMETHEUS", "true")
                .env("PROMETHEUS_ADDR", format!("127.0.0.1:{metrics}"))
                .env("STATS_FLUSH_INTERVAL", "100ms")
                .env("REDIS_SOCKET_TYPE", "tcp")
                .env("REDIS_URL", format!("127.0.0.1:{}", redis.port()))
                .env("RUNTIME_ROOT", folder.path())
                .env("RUNTIME_SUBDIRECTORY", "ratelimit")
                .env("RUNTIME_WATCH_ROOT", "false")
                .env("RUNTIME_IGNOREDOTFILES", "true")
                .env("GRPC_HOST", "127.0.0.1")
                .env("GRPC_PORT", grpc.to_string())
                .env("HOST", "127.0.0.1")
                .env("PORT", http.to_string())
                .env("DEBUG_HOST", "127.0.0.1")
                .env("DEBUG_PORT", debug.to_string())
                .envs(environment.iter().copied()),
        );
        let address = SocketAddr::from(([127, 0, 0, 1], grpc));
        // It prints nothing when it listens.
        wait_until("envoyproxy/ratelimit listens", PATIENCE, || {
            TcpStream::connect(address).is_ok()
        });
        Some(Self {
            address,
            metrics: SocketAddr::from(([127, 0, 0, 1], metrics)),
            _process: process,
            _redis: redis,
            _config: folder,
        })
    }

    /// Where it answers gRPC.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it serves `/metrics`.
    #[must_use]
    pub fn metrics(&self) -> SocketAddr {
        self.metrics
    }
}
