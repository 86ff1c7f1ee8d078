//! Everything, Envoy Gateway included. `tests/envoy-gateway` runs these tests: they need a network of their own, and to build
//! Envoy Gateway takes longer than all other tests together.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use weir_harness::{Authority, free_port, program, wait_until};

use super::gateway::{Gateway, HOLDERS, PATIENCE, Ports};
use super::server::{Server, Service, names};
use super::{MINUTE_SECS, cases, counters};
use crate::http::{Client, Request};
use crate::load::{Asking, Seen, under_load};
use crate::upstream::Upstream;
use crate::window::{now_secs, within};

/// Clients that ask without a pause, each with a counter of its own.
const CLIENTS: usize = 4;
/// Answers of all clients between two steps.
const ANSWERS: usize = 400;
/// What nobody uses up.
const LIMIT: u64 = 4_000_000;
/// What is soon used up.
const FEW: usize = 3;
/// The name that only renewed certificates have.
const RENEWED: &str = "renewed.test";

#[test]
#[ignore = "installs what the other tests need, before they have a network of their own"]
fn everything_is_installed() {
    for part in [
        &program::ENVOY_GATEWAY,
        &program::ENVOY,
        &program::RATELIMIT,
        &program::REDIS,
    ] {
        part.find().expect("installed");
    }
}

#[test]
#[ignore = "needs a network of its own: tests/envoy-gateway"]
fn all_cases_pass_behind_envoy_gateway() {
    let service = Service::chosen();
    let upstream = Upstream::start();
    let ports = Ports {
        upstream: upstream.address.port(),
        ratelimit: free_port(),
    };
    let resources = ["limits", "costs"];
    let Some(gateway) = Gateway::start(&ports, &resources, |_| ()) else {
        return;
    };
    let envoy = gateway.start_envoy().expect("Envoy");
    // The cases count within a minute, and begin without counters.
    let outcome = within(MINUTE_SECS, |_| {
        let server = Server::start(service, ports.ratelimit, &gateway.certs(), &[])?;
        for domain in ["default/shop/http", "default/shared", "default/cost"] {
            server.wait_for_limit(&format!("{domain}."));
        }
        let run = || cases::run(&cases::all(), gateway.envoy, server.metrics);
        let wrong = upstream.quickly(run);
        let metrics = settled(server.metrics);
        // Not among those whose counters were recorded.
        let budgets = cases::read(include_str!("budgets.json"));
        let run = || cases::run(&budgets, gateway.envoy, server.metrics);
        Some((wrong + &upstream.quickly(run), metrics))
    });
    drop(envoy);
    let (wrong, metrics) = outcome.expect("installed before");
    println!("{}", gateway.version());
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(counters(&metrics), counters(RECORDED));
}

const RECORDED: &str = include_str!("envoyproxy_ratelimit.metrics");

/// The metrics, once they are those that were recorded, or later: envoyproxy/ratelimit counts first and reports then.
fn settled(metrics: SocketAddr) -> String {
    const WAIT_SECS: u64 = 5;
    let start = now_secs();
    loop {
        let text = cases::text(metrics);
        if counters(&text) == counters(RECORDED) || now_secs() - start > WAIT_SECS {
            return text;
        }
    }
}

#[test]
#[ignore = "needs a network of its own: tests/envoy-gateway"]
fn certificates_are_renewed_and_envoy_gateway_restarts_while_every_request_is_checked() {
    let service = Service::chosen();
    let authority = Authority::new();
    let upstream = Upstream::start();
    let ports = Ports {
        upstream: upstream.address.port(),
        ratelimit: free_port(),
    };
    let issue = |certs: &Path, more: &[&str]| {
        for holder in HOLDERS {
            write_certificate(
                &certs.join(holder),
                &authority,
                &[names(holder), more].concat(),
            );
        }
    };
    let Some(mut gateway) = Gateway::start(&ports, &["load"], |certs| issue(certs, &[])) else {
        return;
    };
    let certs = gateway.certs();
    let ca = certs.join("envoy-rate-limit/ca.crt").display().to_string();
    let more = [
        // Envoy's certificate is asked for, and handshakes are frequent.
        ("GRPC_CLIENT_TLS_CACERT", &*ca),
        ("GRPC_MAX_CONNECTION_AGE", "1s"),
    ];
    let server = Server::start(service, ports.ratelimit, &certs, &more).expect("installed before");
    let envoy = gateway.start_envoy().expect("Envoy");
    server.wait_for_limit(&format!("requests_per_unit={LIMIT}"));
    let address = gateway.envoy;
    let count = upstream.quickly(|| {
        wait_until("Envoy has the routes", PATIENCE, || {
            let request = Request::new("GET /free");
            Client::connect(address).send(&request).status == 200
        });
        under_load(clients(address), ANSWERS, |seen| {
            issue(&certs, &[RENEWED]);
            gateway.renew_secret();
            wait_until("the renewed certificate is in use", PATIENCE, || {
                server.has_certificate(&certs, RENEWED)
            });
            seen.wait_for_more(ANSWERS);
            gateway.stop();
            seen.wait_for_more(ANSWERS);
            // What changes while it is down arrives from the new one, over a new connection.
            gateway.put("further.yaml", FURTHER);
            gateway.start_again();
            server.wait_for_limit("unit=DAY requests_per_unit=7");
        })
    });
    drop(envoy);
    println!("{}{count} requests under load", gateway.version());
}

/// A further limit, on a route that had none.
const FURTHER: &str = "apiVersion: gateway.envoyproxy.io/v1alpha1
kind: BackendTrafficPolicy
metadata: {name: all, namespace: default}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: all}]
  rateLimit: {global: {rules: [{limit: {requests: 7, unit: Day}}]}}
";

/// Replaces both files of a folder, one step each.
fn write_certificate(folder: &Path, authority: &Authority, names: &[&str]) {
    let issued = authority.issue(names);
    for (file, text) in [
        ("ca.crt", authority.pem()),
        ("tls.crt", issued.certificate),
        ("tls.key", issued.key),
    ] {
        let new = folder.join("new");
        fs::write(&new, text).expect("written");
        fs::rename(new, folder.join(file)).expect("moved");
    }
}

/// Clients with counters of their own, and one that uses up its limit.
fn clients<'c>(envoy: SocketAddr) -> Vec<Asking<'c>> {
    let mut clients: Vec<Asking<'_>> = vec![Box::new(move |seen: &Seen| use_few(envoy, seen))];
    for number in 0..CLIENTS {
        let user = format!("user-{number}");
        clients.push(Box::new(move |seen: &Seen| use_much(envoy, &user, seen)));
    }
    clients
}

/// Every request passes and is counted once: each answer leaves one fewer. Returns what is wrong.
fn use_much(envoy: SocketAddr, user: &str, seen: &Seen) -> String {
    let mut client = Client::connect(envoy);
    let request = Request::new("GET /load").header("x-user-id", user);
    let mut odd = String::new();
    let mut expected = LIMIT;
    while !seen.is_over() {
        let answer = client.send(&request);
        seen.count();
        expected -= 1;
        let left = answer.headers.get("x-ratelimit-remaining");
        let left: Option<u64> = left.and_then(|left| left.parse().ok());
        if answer.status != 200 || left != Some(expected) {
            let _ = writeln!(odd, "{user}: {expected} should be left: {answer:?}");
            expected = left.unwrap_or(expected);
        }
    }
    odd
}

/// The first requests pass, and none after them. Returns what is wrong.
fn use_few(envoy: SocketAddr, seen: &Seen) -> String {
    let mut client = Client::connect(envoy);
    let request = Request::new("GET /few").header("x-user-id", "eager");
    let mut odd = String::new();
    for number in 1.. {
        if seen.is_over() {
            break;
        }
        let status = client.send(&request).status;
        seen.count();
        let expected = if number <= FEW { 200 } else { 429 };
        if status != expected {
            let _ = writeln!(odd, "eager, request {number}: {status}, not {expected}");
        }
    }
    odd
}
