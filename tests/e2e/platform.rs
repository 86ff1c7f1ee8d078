//! Platform: limits of an account, whichever of its keys asks.

use serde_json::json;

use crate::envoy::Envoy;
use crate::http::{Answer, Request, statuses};
use crate::window::{now_secs, within};

/// Two keys of one account, and one of another.
const ACME: &str = "example-key-1";
const ACME_TOO: &str = "example-key-2";
const GLOBEX: &str = "example-key-3";

const HEADERS: [&str; 3] = [
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-retry-after",
];

fn limits_of(answer: &Answer) -> (u16, u64, u64) {
    assert_eq!(answer.special(), HEADERS, "{answer:?}");
    if answer.status == 429 {
        assert_eq!(
            answer.json(),
            json!({ "success": false, "message": "Too many attempts." })
        );
    }
    (
        answer.status,
        answer.number("x-ratelimit-limit"),
        answer.number("x-ratelimit-remaining"),
    )
}

#[test]
fn a_site_is_processed_once_in_five_minutes() {
    let Some(envoy) = Envoy::start("platform") else {
        return;
    };
    let mut client = envoy.client();
    let mut process = |endpoint: &str, key: &str| client.send(&Request::new(endpoint).key(key));

    let before = now_secs();
    let first = process("POST /platform/v2/process/site-1", ACME);
    let first_reset = before + 300..=now_secs() + 301;
    assert_eq!(limits_of(&first), (200, 1, 0));
    assert!(first_reset.contains(&first.number("x-ratelimit-retry-after")));

    for (endpoint, key) in [
        ("POST /platform/v2/process/site-1", ACME),
        ("POST /platform/v2/process/site-1", ACME_TOO),
        ("PUT /platform/v2/process/site-1", ACME),
        ("POST /platform/v2/process/site-1/?again=1", ACME),
        ("POST /platform//v2/process/site%2D1", ACME),
    ] {
        let again = process(endpoint, key);
        assert_eq!(limits_of(&again), (429, 1, 0), "{endpoint}");
        let reset = again.number("x-ratelimit-retry-after");
        assert!(first_reset.contains(&reset), "the same moment as before");
    }
    for (endpoint, key) in [
        ("POST /platform/v2/process/site-2", ACME),
        ("POST /platform/v2/process/site-1", GLOBEX),
    ] {
        assert_eq!(
            limits_of(&process(endpoint, key)),
            (200, 1, 0),
            "{endpoint}"
        );
    }
}

#[test]
fn product_data_is_one_counter_of_an_account() {
    let Some(envoy) = Envoy::start("platform") else {
        return;
    };
    let mut client = envoy.client();

    let (answers, other, window_end) = within(60, |tried| {
        let (key, other) = [(ACME, GLOBEX), (GLOBEX, ACME)][tried % 2];
        let answers: Vec<Answer> = (0..61)
            .map(|id| {
                let path = format!("GET /product/v2/site/s{id}/stage/live/{id}");
                client.send(&Request::new(&path).key(key))
            })
            .collect();
        let path = "GET /product/v2/site/s/stage/live/1";
        let other = client.send(&Request::new(path).key(other));
        (answers, other, (now_secs() / 60 + 1) * 60)
    });

    for (sent, answer) in (0..).zip(&answers[..60]) {
        assert_eq!(limits_of(answer), (200, 60, 59 - sent));
        assert_eq!(answer.number("x-ratelimit-retry-after"), window_end);
    }
    assert_eq!(limits_of(&answers[60]), (429, 60, 0));
    assert_eq!(answers[60].number("x-ratelimit-retry-after"), window_end);
    assert_eq!(other.status, 200);
}

#[test]
fn every_other_path_has_five_a_second() {
    let Some(envoy) = Envoy::start("platform") else {
        return;
    };
    let mut client = envoy.client();

    let (answers, others, window_end) = within(1, |tried| {
        let path = format!("/things/{tried}");
        let answers = ["GET", "POST", "PUT", "DELETE", "GET", "PATCH"]
            .map(|method| client.send(&Request::new(&format!("{method} {path}")).key(ACME)));
        let others = [
            client.send(&Request::new(&format!("GET {path}/more")).key(ACME)),
            client.send(&Request::new(&format!("GET {path}")).key(GLOBEX)),
        ];
        (answers, others, now_secs() + 1)
    });

    for (sent, answer) in (0..).zip(&answers[..5]) {
        assert_eq!(limits_of(answer), (200, 5, 4 - sent));
        assert_eq!(answer.number("x-ratelimit-retry-after"), window_end);
    }
    assert_eq!(limits_of(&answers[5]), (429, 5, 0));
    assert_eq!(answers[5].number("x-ratelimit-retry-after"), window_end);
    for other in &others {
        assert_eq!(limits_of(other), (200, 5, 4));
    }
}

#[test]
fn an_account_cannot_be_claimed_by_a_header() {
    let Some(envoy) = Envoy::start("platform") else {
        return;
    };
    let mut client = envoy.client();
    let process = || Request::new("POST /platform/v2/process/site");

    let claimed = [
        client.send(&process()),
        client.send(&process().header("x-account", "acme")),
        client.send(&process().key("made-up").header("x-account", "acme")),
        client.send(&process().key(ACME).key(GLOBEX)),
    ];
    assert_eq!(statuses(&claimed), [401; 4]);

    let known = [
        client.send(&process().key(ACME).header("x-account", "one")),
        client.send(&process().key(ACME).header("x-account", "two")),
    ];
    assert_eq!(statuses(&known), [200, 429]);
}
