//! SaaS: a quota that may be exceeded and a penalty, as the upstream and the client see them.

use std::process::Command;

use serde_json::json;

use crate::echo;
use crate::envoy::{Envoy, Setup};
use crate::http::Request;
use crate::weir::Weir;
use crate::window::within;

/// The address of a client, of the policy's counter for logins: in the test a header chooses it.
const ADDRESS: (&str, &str) = (
    "descriptor_key: login }
                - remote_address: {}",
    "descriptor_key: login }
                - request_headers: { header_name: x-address, descriptor_key: remote_address }",
);

fn start() -> Option<Envoy> {
    let setup = Setup {
        upstream: Some(echo::start()),
        edits: &[ADDRESS],
        ..Setup::default()
    };
    Envoy::before(|| Weir::start("saas"), "saas", &setup)
}

#[test]
fn the_upstream_is_told_of_a_quota_that_is_exceeded() {
    let Some(envoy) = start() else {
        return;
    };
    let mut client = envoy.client();
    let mut order = |account: &str| {
        let answer = client.send(&Request::new("GET /orders").header("x-account", account));
        assert_eq!(answer.status, 200, "{answer:?}");
        let head = String::from_utf8_lossy(&answer.body).into_owned();
        let line = head.lines().find(|line| line.starts_with("x-over-quota:"));
        (line.map(str::to_owned), answer)
    };
    let (over_quota, answer) = order("acme");
    assert_eq!(over_quota, None, "{answer:?}");
    // The limit that has least left is reported: that of an address.
    assert_eq!(answer.number("x-ratelimit-limit"), 50);

    // The rest of the month.
    let charged = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["query", "--domain=saas", "--hits=99999", "--server"])
        .arg(envoy.weir.address.to_string())
        .args(["monthly=usage", "account=acme"])
        .status();
    assert!(charged.expect("weir runs").success());

    let (over_quota, answer) = order("acme");
    assert_eq!(
        over_quota.as_deref(),
        Some("x-over-quota: per_month"),
        "{answer:?}"
    );
    let (over_quota, answer) = order("globex");
    assert_eq!(over_quota, None, "{answer:?}");
}

#[test]
fn a_client_that_guesses_passwords_is_told_how_long_it_is_blocked() {
    let Some(envoy) = start() else {
        return;
    };
    let mut client = envoy.client();
    let answers = within(60, |tried| {
        let login = format!("ann-{tried}");
        let request = Request::new("POST /login")
            .header("x-login", &login)
            .header("x-address", "192.0.2.7");
        [(); 6].map(|()| client.send(&request))
    });
    for answer in &answers[..5] {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let refused = &answers[5];
    assert_eq!(refused.status, 429, "{refused:?}");
    // The first block is a minute, wherever in its window the breach is.
    assert_eq!(refused.number("retry-after"), 60);
    let body =
        json!({"error": {"code": "rate_limited", "limit": "logins", "retry_after_seconds": 60}});
    assert_eq!(refused.json(), body);
}

/// Whether one of several logins that say to be of staff is refused.
fn is_refused(envoy: &Envoy, forwarded_for: Option<&str>) -> bool {
    let mut client = envoy.client();
    let statuses = within(60, |tried| {
        let login = format!("eve-{tried}");
        [(); 7].map(|()| {
            let request = Request::new("POST /login")
                .header("x-login", &login)
                .header("x-address", "192.0.2.9")
                .header("x-staff", "true");
            let request = match forwarded_for {
                Some(address) => request.header("x-forwarded-for", address),
                None => request,
            };
            client.send(&request).status
        })
    });
    statuses.contains(&429)
}

#[test]
fn staff_are_exempt_and_nobody_outside_can_say_to_be_staff() {
    let Some(internal) = start() else {
        return;
    };
    assert!(!is_refused(&internal, None));
    let behind_proxy = Setup {
        edits: &[
            ADDRESS,
            (
                "use_remote_address: true",
                "use_remote_address: true\n          xff_num_trusted_hops: 1",
            ),
        ],
        ..Setup::default()
    };
    let Some(external) = Envoy::before(|| Weir::start("saas"), "saas", &behind_proxy) else {
        return;
    };
    assert!(is_refused(&external, Some("203.0.113.7")));
}
