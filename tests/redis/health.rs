//! Health checks of `weir ratelimit`, with `REDIS_HEALTH_CHECK_ACTIVE_CONNECTION` and without it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use weir_harness::{PATIENCE, Process, RedisServer, program, wait_until};

const POLICY: &str = "
domain: t
descriptors:
  - {key: k, rate_limit: {unit: day, requests_per_unit: 4}}
";

struct Ratelimit {
    _process: Process,
    http: String,
    _root: TempDir,
}

impl Ratelimit {
    fn start(redis: &RedisServer, variables: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("config");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("t.yaml"), POLICY).unwrap();
        let mut process = Process::start(
            Command::new(env!("CARGO_BIN_EXE_weir"))
                .arg("ratelimit")
                .env_clear()
                .env("RUNTIME_ROOT", root.path())
                .env("REDIS_SOCKET_TYPE", "tcp")
                .env("REDIS_URL", format!("127.0.0.1:{}", redis.port()))
                .envs(["HOST", "GRPC_HOST", "DEBUG_HOST"].map(|name| (name, "127.0.0.1")))
                .envs(["PORT", "GRPC_PORT", "DEBUG_PORT"].map(|name| (name, "0")))
                .env("USE_STATSD", "false")
                .env("LOG_LEVEL", "info")
                .env("LOG_FORMAT", "json")
                .envs(variables.iter().copied()),
        );
        let http = process.wait_for(|line| {
            let event: Value = serde_json::from_str(line).ok()?;
            let addresses = event.get("http")?.as_str()?;
            Some(addresses.split(", ").next()?.to_owned())
        });
        Self {
            _process: process,
            http,
            _root: root,
        }
    }

    /// The status of `GET /healthcheck`.
    fn health(&self) -> u16 {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        let request = "GET /healthcheck HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn wait_for_health(&self, status: u16) {
        wait_until(&format!("health checks answer {status}"), PATIENCE, || {
            self.health() == status
        });
    }
}

/// As in envoyproxy/ratelimit: bad once the last connection is gone, good again with the next one.
#[test]
fn health_follows_the_connection_to_redis_if_that_is_wanted() {
    if !program::REDIS.is_installed() {
        return;
    }
    let mut redis = RedisServer::start();
    let follows = Ratelimit::start(&redis, &[("REDIS_HEALTH_CHECK_ACTIVE_CONNECTION", "true")]);
    let does_not = Ratelimit::start(&redis, &[]);
    follows.wait_for_health(200);
    does_not.wait_for_health(200);
    redis.kill();
    follows.wait_for_health(500);
    assert_eq!(does_not.health(), 200);
    redis.restart();
    follows.wait_for_health(200);
}

#[test]
fn health_is_bad_until_the_first_connection_to_redis() {
    if !program::REDIS.is_installed() {
        return;
    }
    let mut redis = RedisServer::start();
    redis.kill();
    let follows = Ratelimit::start(&redis, &[("REDIS_HEALTH_CHECK_ACTIVE_CONNECTION", "true")]);
    // envoyproxy/ratelimit would not listen yet.
    Ratelimit::start(&redis, &[]).wait_for_health(200);
    follows.wait_for_health(500);
    redis.restart();
    follows.wait_for_health(200);
}
