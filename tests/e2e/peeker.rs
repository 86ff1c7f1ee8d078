//! Peeker: 600 a minute per key, and the request id on every answer.

use std::thread;

use serde_json::json;

use crate::envoy::Envoy;
use crate::grpcurl::Grpcurl;
use crate::http::{Client, Request, statuses};
use crate::weir::Weir;
use crate::window::{now_secs, within};

const ORDERS: &str = "GET /partner/v1/orders";

#[test]
fn a_key_has_six_hundred_a_minute() {
    let Some(envoy) = Envoy::start("peeker") else {
        return;
    };
    let mut client = envoy.client();

    let (passed, refused, retry_after, others) = within(60, |tried| {
        let live = format!("pk_live_{tried}");
        let passed = client.repeat(&Request::new(ORDERS).key(&live), 600);
        let before = now_secs();
        let refused = client.send(&Request::new(ORDERS).key(&live));
        let window_end = (before / 60 + 1) * 60;
        let retry_after = window_end - now_secs()..=window_end - before;
        let others = [
            client.send(&Request::new("POST /partner/v1/domains?x=1").key(&live)),
            client.send(&Request::new(ORDERS).key(&format!("pk_test_{tried}"))),
            client.send(&Request::new(ORDERS).key(&format!("pk_live_{tried}x"))),
        ];
        (passed, refused, retry_after, others)
    });

    assert!(passed.iter().all(|answer| answer.status == 200));
    for answer in passed.iter().chain([&refused]) {
        assert_eq!(answer.special(), ["peeker-request-id"]);
        assert_eq!(answer.text("peeker-request-id").len(), 36);
    }
    assert_eq!(refused.status, 429);
    let seconds = refused.json()["error"]["details"]["retry_after_seconds"]
        .as_u64()
        .expect("a number");
    assert!(
        retry_after.contains(&seconds),
        "{seconds} not in {retry_after:?}"
    );
    assert_eq!(
        refused.json(),
        json!({ "error": {
            "code": "rate_limited",
            "message": "API rate limit exceeded",
            "details": { "retry_after_seconds": seconds },
        }})
    );
    assert_eq!(
        statuses(&others),
        [429, 200, 200],
        "one lane for all endpoints; the sandbox and other keys have their own"
    );
}

#[test]
fn no_spelling_of_the_header_has_another_counter() {
    let Some(envoy) = Envoy::start("peeker") else {
        return;
    };
    let mut client = envoy.client();

    let refused = within(60, |tried| {
        let spellings = [
            format!("Bearer k{tried}").into_bytes(),
            format!("bearer k{tried}").into_bytes(),
            format!("BEARER  \t k{tried}").into_bytes(),
            format!("Basic k{tried}").into_bytes(),
            format!("k{tried}").into_bytes(),
            format!("Bearer k{tried} and more").into_bytes(),
            [b"\xffBearer ".as_slice(), format!("k{tried}").as_bytes()].concat(),
        ];
        let requests =
            spellings.map(|spelling| Request::new(ORDERS).header("authorization", spelling));
        for request in requests.iter().cycle().take(600) {
            client.send(request);
        }
        requests.map(|request| client.send(&request))
    });

    assert_eq!(statuses(&refused), [429; 7]);
}

#[test]
fn a_key_that_is_not_utf8_is_limited_too() {
    let Some(envoy) = Envoy::start("peeker") else {
        return;
    };
    let mut client = envoy.client();
    let request = |tried: usize, last: u8| {
        let key = [format!("Bearer ab{tried}").as_bytes(), &[last]].concat();
        Request::new(ORDERS).header("authorization", key)
    };

    let (passed, last) = within(60, |tried| {
        let passed = client.repeat(&request(tried, 0xff), 600);
        let last = [
            client.send(&request(tried, 0xff)),
            client.send(&request(tried, 0xfe)),
        ];
        (passed, last)
    });

    assert!(passed.iter().all(|answer| answer.status == 200));
    assert_eq!(statuses(&last), [429, 200]);
}

#[test]
fn values_that_are_not_api_keys() {
    let Some(envoy) = Envoy::start("peeker") else {
        return;
    };
    let mut client = envoy.client();
    let orders = || Request::new(ORDERS);

    let two_keys = [
        client.send(&orders().key("k1").key("k2")),
        client.send(&orders().header("authorization", "Bearer k1, Bearer k2")),
    ];
    assert_eq!(
        statuses(&two_keys),
        [400, 400],
        "whose counter would it be?"
    );

    let without = [
        client.send(&orders()),
        client.send(&orders().header("authorization", "")),
        client.send(&orders().header("authorization", "bearer")),
    ];
    assert_eq!(statuses(&without), [200; 3], "left to the upstream");
    for answer in &without {
        assert_eq!(answer.special(), ["peeker-request-id"]);
    }

    let chosen = client.send(&orders().key("k").header("x-request-id", "mine"));
    assert_ne!(chosen.text("peeker-request-id"), "mine");
}

#[test]
fn eight_connections_share_one_limit() {
    let Some(envoy) = Envoy::start("peeker") else {
        return;
    };
    let envoy_address = envoy.address;

    let passed: usize = within(60, |tried| {
        let request = Request::new(ORDERS).key(&format!("pk_live_{tried}"));
        thread::scope(|scope| {
            let connections: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| Client::connect(envoy_address).repeat(&request, 100)))
                .collect();
            connections
                .into_iter()
                .map(|connection| connection.join().expect("no panic"))
                .map(|answers| answers.iter().filter(|answer| answer.status == 200).count())
                .sum()
        })
    });

    assert_eq!(passed, 600);
}

#[test]
fn webhooks_are_not_limited() {
    let weir = Weir::start("peeker");
    let Some(grpcurl) = Grpcurl::new(weir.address) else {
        return;
    };

    let answer = grpcurl.should_rate_limit("peeker", &[("channel", "webhook")]);

    assert_eq!(answer["overallCode"], "OK");
    assert_eq!(answer["responseHeadersToAdd"], json!([]));
}
