//! Instances that are replaced one after the other, as `docs/kubernetes.md` describes: every request is checked by weir.

use std::fmt::Write;
use std::net::SocketAddr;
use std::process::Command;

use tempfile::TempDir;
use weir_harness::{RedisServer, program};

use crate::envoy::{Envoy, Setup};
use crate::http::{Client, Request};
use crate::load::{self, Asking, Seen};
use crate::service::Service;
use crate::weir::Weir;

const LIMIT: usize = 4_000_000_000;
const CLIENTS: usize = 4;
/// Answers of all clients before an instance is replaced, and again before the next.
const ANSWERS: usize = CLIENTS * 100;

/// Every answer of weir adds a header: a response without it passed unchecked.
const POLICY: &str = "
domain: platform
response: {headers: {X-Left: '%REMAINING%'}}
descriptors:
- key: account
  descriptors:
  - {key: endpoint, rate_limit: {unit: year, requests_per_unit: 4000000000}}
";

/// A request that nobody checked would be let through; this way it is refused, and either is noticed.
const DENY: (&str, &str) = ("failure_mode_deny: false", "failure_mode_deny: true");

const HEALTH_CHECKS: &str = "    health_checks:
    - timeout: 30s
      interval: 2s
      no_traffic_interval: 2s
      unhealthy_threshold: 2
      healthy_threshold: 1
      grpc_health_check: { service_name: envoy.service.ratelimit.v3.RateLimitService }
";

/// Instances with one policy, that count in a Redis or each for itself.
struct Fleet {
    redis: Option<RedisServer>,
    folder: TempDir,
}

impl Fleet {
    fn new(redis: Option<RedisServer>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("policy.yaml"), POLICY).expect("written");
        Self { redis, folder }
    }

    fn start(&self, address: &str) -> Weir {
        let store = self.redis.as_ref().map(RedisServer::url);
        Weir::run(
            Command::new(env!("CARGO_BIN_EXE_weir"))
                .arg("serve")
                .arg("--policies")
                .arg(self.folder.path())
                .args(["--grpc", address, "--http", "127.0.0.1:0"])
                .args(["--store", store.as_deref().unwrap_or("memory")])
                .args(["--redis-deadline", "10000"])
                .args(["--log-format", "json", "--drain", "2"]),
        )
    }

    fn start_anywhere(&self) -> Weir {
        self.start("127.0.0.1:0")
    }
}

/// Replaces instances while clients ask without a pause. Returns how many requests there were, all of which were checked.
fn under_load(envoy: SocketAddr, replace: impl FnOnce(&Seen)) -> usize {
    let client = |_| -> Asking<'_> { Box::new(move |seen: &Seen| ask(envoy, seen)) };
    load::under_load((0..CLIENTS).map(client).collect(), ANSWERS, replace)
}

/// Asks until it is over. Returns what is wrong with answers.
fn ask(envoy: SocketAddr, seen: &Seen) -> String {
    let mut client = Client::connect(envoy);
    let request = Request::new("GET /orders").key("example-key-1");
    let mut odd = String::new();
    while !seen.is_over() {
        let answer = client.send(&request);
        let number = seen.count();
        let is_checked = answer.headers.contains_key("x-left");
        if answer.status != 200 || !is_checked {
            let _ = writeln!(odd, "request {number}: {answer:?}");
        }
    }
    odd
}

/// Every request was counted once. An instance that has just started counts by itself until Redis has answered it, and adds that then.
fn expect_counted(weir: &Weir, requests: usize) {
    let entries = ["account=acme", "endpoint=GET /orders"];
    weir.wait_until_left("platform", &entries, (LIMIT - requests) as u64);
}

fn redis() -> Option<RedisServer> {
    program::REDIS.is_installed().then(RedisServer::start)
}

/// Two addresses that Envoy knows, and whose health it checks. While one is replaced, Envoy asks the other.
#[test]
fn two_instances_behind_health_checks_are_replaced_and_every_request_is_checked_once() {
    let (Some(_), Some(redis)) = (program::ENVOY.or_skip(), redis()) else {
        return;
    };
    let fleet = Fleet::new(Some(redis));
    let [first, mut second] = [(); 2].map(|()| fleet.start_anywhere());
    let endpoint = |weir: &Weir| {
        let port = weir.address.port();
        format!(
            "        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }}\n"
        )
    };
    let one = endpoint(&first);
    let two = format!("{one}{}", endpoint(&second));
    let often = HEALTH_CHECKS.replace("interval: 2s", "interval: 0.1s");
    let setup = Setup {
        edits: &[DENY, (&one, &two), (HEALTH_CHECKS, &often)],
        ..Setup::default()
    };
    let Some(mut envoy) = Envoy::before(|| first, "platform", &setup) else {
        return;
    };
    envoy.wait_until_healthy(2);
    let asked = under_load(envoy.address, |seen| {
        for _ in 0..2 {
            let address = second.address.to_string();
            second.process.terminate();
            second.process.wait();
            second = fleet.start(&address);
            envoy.wait_until_healthy(2);
            seen.wait_for_more(ANSWERS);
            std::mem::swap(&mut envoy.weir, &mut second);
        }
    });
    expect_counted(&second, asked);
}

/// One address, behind which a new instance is ready before the old one ends, as with `maxSurge: 1` and `maxUnavailable: 0`.
fn replaced_behind_a_service(instances: usize, redis: Option<RedisServer>) -> Option<()> {
    program::ENVOY.or_skip()?;
    let is_shared = redis.is_some();
    let fleet = Fleet::new(redis);
    let mut running: Vec<Weir> = (0..instances).map(|_| fleet.start_anywhere()).collect();
    let addresses = |running: &[Weir]| running.iter().map(|weir| weir.address).collect();
    let service = Service::before(addresses(&running));
    // Envoy is given one whose address is the Service's.
    let in_cluster = format!("port_value: {} }} }} }}", running[0].address.port());
    let of_service = format!("port_value: {} }} }} }}", service.address.port());
    let setup = Setup {
        // A health check would reach any of them, and speak for all.
        edits: &[DENY, (HEALTH_CHECKS, ""), (&in_cluster, &of_service)],
        ..Setup::default()
    };
    let first = running.remove(0);
    let mut envoy = Envoy::before(|| first, "platform", &setup)?;
    running.insert(
        0,
        std::mem::replace(&mut envoy.weir, fleet.start_anywhere()),
    );
    let asked = under_load(envoy.address, |seen| {
        for _ in 0..instances {
            running.push(fleet.start_anywhere());
            let mut old = running.remove(0);
            service.set(addresses(&running));
            old.process.terminate();
            old.process.wait();
            seen.wait_for_more(ANSWERS);
        }
    });
    if is_shared {
        expect_counted(&running[0], asked);
    }
    Some(())
}

#[test]
fn two_instances_behind_a_service_are_replaced_and_every_request_is_checked_once() {
    if let Some(redis) = redis() {
        let _ = replaced_behind_a_service(2, Some(redis));
    }
}

#[test]
fn one_instance_behind_a_service_is_replaced_and_every_request_is_checked() {
    let _ = replaced_behind_a_service(1, None);
}
