//! Peeker's imports: never more at once than the policy allows, whatever goes wrong.
//!
//! As `docs/policy/concurrency.md` says: weir's silence refuses, the lease is longer than the route's timeout, and the upstream stops
//! when its connection closes.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use crate::envoy::{Envoy, Setup};
use crate::http::{Answer, Client, Request};
use crate::upstream::{End, Upstream};
use crate::weir::Weir;

const LIMIT: usize = 2;
const CLIENTS: usize = 8;
const DENY: (&str, &str) = ("failure_mode_deny: false", "failure_mode_deny: true");

/// Peeker with two imports at once, before an upstream of the test.
fn start(upstream: &Upstream, patience: Option<&str>) -> Option<Envoy> {
    let setup = Setup {
        upstream: Some(upstream.address),
        edits: &[DENY],
        patience,
    };
    Envoy::before(|| Weir::with_policy(&policy()), "peeker", &setup)
}

fn policy() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/peeker.yaml");
    let policy = fs::read_to_string(path).expect("a policy");
    assert_eq!(policy.matches("max_in_flight: 8").count(), 1);
    assert_eq!(policy.matches("requests_per_unit: 600").count(), 1);
    policy
        // Its table is a file of its own.
        .replace("    assignments: customers\n", "")
        .replace("max_in_flight: 8", "max_in_flight: 2")
        .replace("requests_per_unit: 600", "requests_per_unit: 4000000000")
}

fn import(client: usize) -> Request {
    Request::new("POST /partner/v1/domains/import")
        .key(&format!("pk_live_{client}"))
        .header("content-length", "0")
}

/// Asks until it is let in: a slot is given back a moment after its request has ended.
fn until_admitted(client: &mut Client, request: &Request) -> Answer {
    loop {
        let answer = client.send(request);
        if answer.status != 429 {
            return answer;
        }
    }
}

/// Eight clients that send requests repeatedly, while `act` decides the fate of those that are allowed. Returns the
/// statuses of all answers that are not refusals.
fn while_clients_hammer(
    (envoy, upstream): (&Envoy, &Upstream),
    act: impl FnOnce(&AtomicUsize),
) -> Vec<u16> {
    let (refusals, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (refusals, stop) = (&refusals, &stop);
    thread::scope(|scope| {
        let clients = (0..CLIENTS).map(|number| {
            let mut client = envoy.client();
            scope.spawn(move || {
                let mut statuses = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    match client.send(&import(number)).status {
                        429 => drop(refusals.fetch_add(1, Ordering::Relaxed)),
                        status => statuses.push(status),
                    }
                }
                statuses
            })
        });
        let clients: Vec<_> = clients.collect();
        act(refusals);
        stop.store(true, Ordering::Relaxed);
        upstream.quickly(|| {
            let statuses = clients
                .into_iter()
                .map(|client| client.join().expect("no panic"));
            statuses.flatten().collect()
        })
    })
}

/// Waits until `more` further requests were refused.
fn wait_for_refusals(refusals: &AtomicUsize, more: usize) {
    let before = refusals.load(Ordering::Relaxed);
    while refusals.load(Ordering::Relaxed) < before + more {
        thread::yield_now();
    }
}

/// Both slots are free: two are let in, a third is not.
fn both_slots_are_free(envoy: &Envoy, upstream: &Upstream) {
    thread::scope(|scope| {
        let admitted = [0, 1].map(|number| {
            let mut client = envoy.client();
            scope.spawn(move || until_admitted(&mut client, &import(number)))
        });
        upstream.wait_for(LIMIT);
        assert_eq!(envoy.client().send(&import(2)).status, 429);
        upstream.end_oldest(End::Done);
        upstream.end_oldest(End::Done);
        for admitted in admitted {
            assert_eq!(admitted.join().expect("no panic").status, 200);
        }
    });
    assert!(upstream.most() <= LIMIT, "{} at once", upstream.most());
    // What is given back comes after the answer.
    let entries = ["endpoint=POST /domains/import", "api_key=pk_live_0"];
    envoy.weir.wait_until_left("peeker", &entries, LIMIT as u64);
}

#[test]
fn a_third_import_is_refused_with_its_reason_until_one_is_done() {
    let upstream = Upstream::start();
    let Some(envoy) = start(&upstream, None) else {
        return;
    };
    thread::scope(|scope| {
        for number in 0..LIMIT {
            let mut client = envoy.client();
            scope.spawn(move || assert_eq!(client.send(&import(number)).status, 200));
        }
        upstream.wait_for(LIMIT);
        let refused = envoy.client().send(&import(2));
        assert_eq!(refused.status, 429);
        assert_eq!(
            refused.json(),
            json!({ "error": {
                "code": "rate_limited",
                "message": "API rate limit exceeded",
                "details": { "retry_after_seconds": 1, "reason": "cloudflare_account_capacity" },
            }})
        );
        // Neither a sandbox key nor another endpoint waits for a slot.
        let others = [
            ("POST /partner/v1/domains/import/jobs", "pk_live_3"),
            ("POST /partner/v1/domains/import", "pk_test_3"),
        ];
        for (endpoint, key) in others {
            let mut client = envoy.client();
            let request = Request::new(endpoint)
                .key(key)
                .header("content-length", "0");
            scope.spawn(move || assert_eq!(client.send(&request).status, 200));
        }
        upstream.wait_for(LIMIT + 2);
        for _ in 0..LIMIT + 2 {
            upstream.end_oldest(End::Done);
        }
    });
}

#[test]
fn eight_slow_clients_never_work_three_at_once() {
    let upstream = Upstream::start();
    let Some(envoy) = start(&upstream, None) else {
        return;
    };
    let statuses = while_clients_hammer((&envoy, &upstream), |refusals| {
        for _ in 0..20 {
            upstream.wait_for(LIMIT);
            wait_for_refusals(refusals, CLIENTS);
            upstream.end_oldest(End::Done);
        }
    });
    assert!(
        statuses.len() >= 20 && statuses.iter().all(|status| *status == 200),
        "{statuses:?}"
    );
    both_slots_are_free(&envoy, &upstream);
}

#[test]
fn clients_that_go_away_make_room_and_no_more_than_that() {
    let upstream = Upstream::start();
    let Some(envoy) = start(&upstream, None) else {
        return;
    };
    for _ in 0..5 {
        let mut clients = [envoy.client(), envoy.client()];
        for (number, client) in clients.iter_mut().enumerate() {
            client.begin(&import(number));
        }
        upstream.wait_for(LIMIT);
        drop(clients);
        upstream.wait_for(0);
        both_slots_are_free(&envoy, &upstream);
    }
    // Some go before weir has answered Envoy, some while the upstream works.
    while_clients_hammer((&envoy, &upstream), |_| {
        for number in 0..200 {
            envoy.client().begin(&import(number));
        }
    });
    assert!(upstream.most() <= LIMIT, "{} at once", upstream.most());
}

#[test]
fn an_upstream_that_fails_makes_room() {
    let upstream = Upstream::start();
    let Some(envoy) = start(&upstream, None) else {
        return;
    };
    let statuses = while_clients_hammer((&envoy, &upstream), |refusals| {
        for end in [End::Failed, End::HungUp].into_iter().cycle().take(10) {
            upstream.wait_for(LIMIT);
            wait_for_refusals(refusals, CLIENTS);
            upstream.end_oldest(end);
        }
    });
    let failed = statuses.iter().filter(|status| **status == 503).count();
    assert_eq!(failed, 10, "{statuses:?}");
    both_slots_are_free(&envoy, &upstream);
}

#[test]
fn answers_that_come_too_late_hold_nothing() {
    let upstream = Upstream::start();
    let Some(envoy) = start(&upstream, Some("1s")) else {
        return;
    };
    for _ in 0..3 {
        envoy.weir.process.freeze();
        thread::scope(|scope| {
            let clients = (0..CLIENTS).map(|number| {
                let mut client = envoy.client();
                scope.spawn(move || client.send(&import(number)).status)
            });
            let clients: Vec<_> = clients.collect();
            for client in clients {
                assert_eq!(client.join().expect("no panic"), 500, "weir did not answer");
            }
        });
        envoy.weir.process.thaw();
        both_slots_are_free(&envoy, &upstream);
    }
}

#[test]
fn what_a_killed_envoy_held_stays_held_until_its_leases_end() {
    let upstream = Upstream::start();
    let Some(mut envoy) = start(&upstream, None) else {
        return;
    };
    let mut clients = [envoy.client(), envoy.client()];
    for (number, client) in clients.iter_mut().enumerate() {
        client.begin(&import(number));
    }
    upstream.wait_for(LIMIT);
    envoy.kill_and_start_again();
    upstream.wait_for(0);
    for number in 0..CLIENTS {
        let refused = envoy.client().send(&import(number));
        assert_eq!(refused.status, 429);
        let details = &refused.json()["error"]["details"];
        assert_eq!(details["reason"], "cloudflare_account_capacity");
    }
    assert_eq!(upstream.most(), LIMIT);
}
