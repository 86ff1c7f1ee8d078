//! `weir ratelimit`: weir in the place of envoyproxy/ratelimit, by its environment variables.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use tempfile::TempDir;
use weir::proto::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;

use crate::binary::{Serving, weir};
use crate::running::{descriptor, request};

const POLICY: &str = "
domain: t
descriptors:
  - key: api_key
    rate_limit: {unit: hour, requests_per_unit: 2}
";

/// A folder as Kubernetes mounts a ConfigMap, below the folders that Istio's example names.
struct ConfigMap {
    folder: TempDir,
    versions: u32,
}

impl ConfigMap {
    fn new(files: &[(&str, &str)]) -> Self {
        let mut map = Self {
            folder: tempfile::tempdir().unwrap(),
            versions: 0,
        };
        fs::create_dir_all(map.path()).unwrap();
        map.update(files);
        for (name, _) in files {
            symlink(Path::new("..data").join(name), map.path().join(name)).unwrap();
        }
        map
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ratelimit/config")
    }

    /// Replaces the files in one step.
    fn update(&mut self, files: &[(&str, &str)]) {
        self.versions += 1;
        let version = format!("..version_{}", self.versions);
        fs::create_dir(self.path().join(&version)).unwrap();
        for (name, text) in files {
            fs::write(self.path().join(&version).join(name), text).unwrap();
        }
        symlink(&version, self.path().join("..next")).unwrap();
        fs::rename(self.path().join("..next"), self.path().join("..data")).unwrap();
    }
}

/// A running `ratelimit`.
struct Ratelimit {
    process: Child,
    log: BufReader<ChildStderr>,
    grpc: String,
    /// The main port, the debug port, and the port for Prometheus if there is one.
    http: Vec<String>,
    _folder: TempDir,
}

/// Ports that are free, and no Redis.
const USUAL: [(&str, &str); 9] = [
    ("PORT", "0"),
    ("GRPC_PORT", "0"),
    ("DEBUG_PORT", "0"),
    ("BACKEND_TYPE", "memory"),
    ("USE_STATSD", "false"),
    ("LOG_LEVEL", "info"),
    ("LOG_FORMAT", "json"),
    ("RUNTIME_SUBDIRECTORY", "ratelimit"),
    ("RUNTIME_WATCH_ROOT", "false"),
];

/// A program of that name, with the usual variables and others.
fn ratelimit(folder: &TempDir, variables: &[(&str, &str)]) -> Command {
    let program = folder.path().join("ratelimit");
    symlink(env!("CARGO_BIN_EXE_weir"), &program).unwrap();
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(USUAL)
        .env("RUNTIME_IGNOREDOTFILES", "true")
        .envs(variables.iter().copied())
        .stderr(Stdio::piped());
    command
}

impl Ratelimit {
    fn start(root: &Path, variables: &[(&str, &str)]) -> Self {
        Self::start_with(root, variables, &[])
    }

    fn start_with(root: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = ratelimit(&folder, variables)
            .env("RUNTIME_ROOT", root)
            .args(arguments)
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let mut running = Self {
            process,
            log,
            grpc: String::new(),
            http: Vec::new(),
            _folder: folder,
        };
        let serving = running.logged("serving");
        let text = |name: &str| serving[name].as_str().unwrap().to_owned();
        running.grpc = text("grpc");
        running.http = text("http").split(", ").map(str::to_owned).collect();
        running
    }

    /// Waits for a line of the log.
    fn logged(&mut self, message: &str) -> serde_json::Value {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "{seen}");
            seen.push_str(&line);
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            if event["message"].as_str().unwrap().contains(message) {
                return event;
            }
        }
    }

    fn get(&self, port: usize, path: &str) -> (u16, String) {
        get(&local(&self.http[port]), path)
    }

    fn wait_for_health(&self, status: u16) {
        while self.get(0, "/healthcheck").0 != status {}
    }

    /// Whether a request of an API key passes.
    async fn is_allowed(&self, key: &'static [u8]) -> bool {
        let channel =
            tonic::transport::Endpoint::from_shared(format!("http://{}", local(&self.grpc)));
        let channel = channel.unwrap().connect().await.unwrap();
        let mut client = RateLimitServiceClient::new(channel);
        let asked = request(vec![descriptor(b"api_key", key)]);
        let answer = client.should_rate_limit(asked).await.unwrap().into_inner();
        answer.overall_code == 1
    }
}

impl Drop for Ratelimit {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An address on which this machine is reached at the port of another.
fn local(address: &str) -> String {
    let (_, port) = address.rsplit_once(':').unwrap();
    format!("127.0.0.1:{port}")
}

fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: ratelimit.shop.svc\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

#[tokio::test]
async fn a_config_map_is_served_and_followed_on_the_usual_ports() {
    let mut map = ConfigMap::new(&[("config.yaml", POLICY)]);
    let mut running = Ratelimit::start(
        map.folder.path(),
        &[("USE_PROMETHEUS", "true"), ("PROMETHEUS_ADDR", ":0")],
    );
    running.wait_for_health(200);
    assert_eq!(running.get(0, "/healthcheck").1, "OK");
    for expected in [true, true, false] {
        assert_eq!(running.is_allowed(b"k").await, expected);
    }
    let line = "t.api_key: unit=HOUR requests_per_unit=2, shadow_mode: false, quota_mode: false\n";
    assert_eq!(running.get(1, "/rlconfig"), (200, line.to_owned()));
    let (status, metrics) = running.get(2, "/metrics");
    let counted = "ratelimit_service_rate_limit_over_limit{domain=\"t\",key1=\"api_key\"} 1\n";
    assert_eq!(status, 200);
    assert!(metrics.contains(counted), "{metrics}");
    // Nothing else is on that port.
    assert_eq!(running.get(2, "/healthcheck").0, 404);

    map.update(&[("config.yaml", &POLICY.replace(": 2}", ": 9}"))]);
    running.logged("policies reloaded");
    assert!(running.is_allowed(b"k").await);
}

#[tokio::test]
async fn health_checks_are_bad_until_there_is_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Ratelimit::start(folder.path(), &[]);
    assert_eq!(running.get(0, "/healthcheck").0, 500);
    let path = folder.path().join("ratelimit/config");
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("limits"), POLICY).unwrap();
    running.logged("policies reloaded");
    running.wait_for_health(200);
    assert!(running.is_allowed(b"k").await);
}

#[test]
fn health_checks_can_be_good_before_that_and_bad_without_a_domain() {
    let folder = tempfile::tempdir().unwrap();
    let forced = Ratelimit::start(
        folder.path(),
        &[("FORCE_START_WITHOUT_INITIAL_CONFIG", "t")],
    );
    forced.wait_for_health(200);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ratelimit/config");
    fs::create_dir_all(&path).unwrap();
    let mut running = Ratelimit::start(
        folder.path(),
        &[("HEALTHY_WITH_AT_LEAST_ONE_CONFIG_LOADED", "true")],
    );
    assert_eq!(running.get(0, "/healthcheck").0, 500);
    fs::write(path.join("a.yaml"), POLICY).unwrap();
    running.logged("policies reloaded");
    running.wait_for_health(200);
    fs::remove_file(path.join("a.yaml")).unwrap();
    running.logged("policies reloaded");
    running.wait_for_health(500);
}

#[tokio::test]
async fn ports_are_reached_by_both_families() {
    let map = ConfigMap::new(&[("config.yaml", POLICY)]);
    let running = Ratelimit::start(map.folder.path(), &[]);
    expect_both_families(&[&running.grpc, &running.http[0], &running.http[1]]);
}

/// Fails unless the ports are reached over IPv4, and over IPv6 where the machine has it.
fn expect_both_families(addresses: &[&str]) {
    let has_ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    for address in addresses {
        TcpStream::connect(local(address)).unwrap();
        let (_, port) = address.rsplit_once(':').unwrap();
        if has_ipv6 {
            TcpStream::connect(format!("[::1]:{port}")).unwrap();
        }
    }
}

#[test]
fn ports_of_serve_without_a_host_are_reached_by_both_families_too() {
    let serving = Serving::start(&["--grpc=:0", "--http=:0"]);
    expect_both_families(&[&serving.address, &serving.http]);
    serving.signal("TERM");
    if TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok() {
        let serving = Serving::start(&["--grpc=[::]:0", "--http=[::]:0"]);
        expect_both_families(&[&serving.address, &serving.http]);
        serving.signal("TERM");
    }
}

#[tokio::test]
async fn modes_headers_and_metadata_apply_to_all_domains() {
    let map = ConfigMap::new(&[("config.yaml", POLICY)]);
    let running = Ratelimit::start(
        map.folder.path(),
        &[
            ("SHADOW_MODE", "true"),
            ("LIMIT_RESPONSE_HEADERS_ENABLED", "true"),
            ("LIMIT_LIMIT_HEADER", "X-Limit"),
            ("RESPONSE_DYNAMIC_METADATA", "true"),
        ],
    );
    let endpoint =
        tonic::transport::Endpoint::from_shared(format!("http://{}", local(&running.grpc)));
    let mut client = RateLimitServiceClient::new(endpoint.unwrap().connect().await.unwrap());
    for remaining in ["1", "0", "0"] {
        let asked = request(vec![descriptor(b"api_key", b"k")]);
        let answer = client.should_rate_limit(asked).await.unwrap().into_inner();
        assert_eq!(answer.overall_code, 1);
        let headers = answer.response_headers_to_add.iter();
        let headers: Vec<(&str, &str)> = headers
            .map(|header| (&*header.key, &*header.value))
            .collect();
        assert_eq!(
            headers[..2],
            [("X-Limit", "2"), ("RateLimit-Remaining", remaining)]
        );
        assert_eq!(headers[2].0, "RateLimit-Reset");
        let metadata = answer.dynamic_metadata.unwrap();
        assert!(metadata.fields.contains_key("descriptors"));
    }
}

#[tokio::test]
async fn arguments_are_ignored_and_so_are_variables_without_effect_with_a_word() {
    let map = ConfigMap::new(&[("config.yaml", POLICY)]);
    let folder = tempfile::tempdir().unwrap();
    let mut process = ratelimit(&folder, &[("REDIS_POOL_SIZE", "7")])
        .env("RUNTIME_ROOT", map.folder.path())
        .args(["--quotaRateLimitServiceAddr=a:1", "--help", "serve"])
        .spawn()
        .unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
    let ignored = log.next().unwrap().unwrap();
    assert!(
        ignored.contains("REDIS_POOL_SIZE has no effect"),
        "{ignored}"
    );
    assert!(log.any(|line| line.unwrap().contains("\"serving\"")));
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn a_bad_value_ends_the_start_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let output = ratelimit(&folder, &[("REDIS_TLS", "perhaps")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "weir: invalid REDIS_TLS: expected true or false\n");
}

#[test]
fn a_port_that_is_in_use_is_named_by_its_variable() {
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for name in ["GRPC_PORT", "PORT", "DEBUG_PORT"] {
        let folder = tempfile::tempdir().unwrap();
        let output = ratelimit(&folder, &[(name, &port)]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains(&format!("choose another address with {name}")),
            "{said}"
        );
    }
}

#[test]
fn it_is_a_command_of_weir_too() {
    let output = weir(&["ratelimit", "--unknown", "x"])
        .env("GRPC_PORT", "many")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.starts_with("weir: invalid GRPC_PORT: "), "{said}");
}

#[test]
fn serve_has_a_port_for_metrics_alone_too() {
    let flags = ["--grpc=127.0.0.1:0", "--http=off", "--metrics=127.0.0.1:0"];
    let serving = Serving::start(&flags);
    let (status, metrics) = get(&serving.http, "/metrics");
    assert_eq!(status, 200);
    assert!(metrics.contains("weir_"), "{metrics}");
    assert_eq!(get(&serving.http, "/").0, 404);
    serving.signal("TERM");
}

#[tokio::test]
async fn counters_are_sent_to_statsd() {
    let map = ConfigMap::new(&[("config.yaml", POLICY)]);
    let statsd = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = statsd.local_addr().unwrap().port().to_string();
    let running = Ratelimit::start(
        map.folder.path(),
        &[
            ("USE_STATSD", "true"),
            ("STATSD_HOST", "127.0.0.1"),
            ("STATSD_PORT", &port),
            ("STATS_FLUSH_INTERVAL", "100ms"),
            ("EXTRA_TAGS", "zone:a"),
        ],
    );
    assert!(running.is_allowed(b"k").await);
    let (stream, _) = statsd.accept().unwrap();
    let mut lines = BufReader::new(stream).lines();
    let expected = "ratelimit.service.rate_limit.t.api_key.total_hits.__zone=a:1|c";
    assert!(lines.any(|line| line.unwrap() == expected));
}
