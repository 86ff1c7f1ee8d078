//! Partner API v1: a counter for each key and endpoint, and no headers.

use serde_json::json;

use crate::envoy::Envoy;
use crate::grpcurl::Grpcurl;
use crate::http::{Request, statuses};
use crate::weir::Weir;
use crate::window::within;

#[test]
fn each_endpoint_has_its_own_minute() {
    let Some(envoy) = Envoy::start("partner_v1") else {
        return;
    };
    let mut client = envoy.client();
    let endpoints = [
        ("POST /api/v1/requests/create", 60),
        ("GET /api/v1/requests/7", 60),
        ("GET /api/v1/requests", 60),
        ("POST /api/v1/requests/7/cancel", 60),
        ("POST /api/v1/merchants", 30),
        ("GET /api/v1/merchants", 60),
        ("GET /api/v1/merchants/7", 60),
    ];

    // One key for all of them: had two endpoints one counter, the second would have less.
    let outcomes = within(60, |tried| {
        endpoints.map(|(endpoint, _)| {
            let request = Request::new(endpoint).key(&format!("k{tried}"));
            client.until_refused(&request, 100)
        })
    });

    for ((endpoint, limit), (passed, refused)) in endpoints.iter().zip(&outcomes) {
        assert_eq!(passed.len(), *limit, "{endpoint}");
        assert_eq!(
            refused.json(),
            json!({ "ok": false, "error": "rate_limited" })
        );
        for answer in passed.iter().chain([refused]) {
            assert_eq!(answer.special(), [""; 0], "{endpoint}");
        }
    }
}

#[test]
fn an_endpoint_is_one_counter_however_it_is_written() {
    let Some(envoy) = Envoy::start("partner_v1") else {
        return;
    };
    let mut client = envoy.client();
    let spellings = [
        "GET /api/v1/requests/1",
        "GET /api/v1/requests/2",
        "GET /api/v1/requests/2/",
        "GET /api/v1/requests/2?x=1",
        "GET /api/v1/requests/2/?x=/a/b",
        "GET //api/v1//requests/3",
        "GET /api/v1/./merchants/../requests/3",
        "GET /api/v1/%72equests/3",
        "HEAD /api/v1/requests/3",
    ];

    let (refused, others) = within(60, |tried| {
        let key = format!("k{tried}");
        for id in 0..60 {
            client.send(&Request::new(&format!("GET /api/v1/requests/{id}")).key(&key));
        }
        let refused = spellings.map(|endpoint| client.send(&Request::new(endpoint).key(&key)));
        let others = [
            client.send(&Request::new("GET /api/v1/requests").key(&key)),
            client.send(&Request::new("POST /api/v1/requests/3/cancel").key(&key)),
            client.send(&Request::new("GET /api/v1/requests/3").key(&format!("other{tried}"))),
            client.send(&Request::new("GET /api%2Fv1/requests/3").key(&key)),
        ];
        (refused, others)
    });

    assert_eq!(statuses(&refused), [429; 9]);
    assert_eq!(statuses(&others), [200, 200, 200, 400]);
}

#[test]
fn other_endpoints_have_no_limit() {
    let Some(envoy) = Envoy::start("partner_v1") else {
        return;
    };
    let mut client = envoy.client();

    for endpoint in [
        "DELETE /api/v1/requests",
        "GET /api/v1/requests/1/2",
        "GET /",
    ] {
        for answer in client.repeat(&Request::new(endpoint).key("k"), 70) {
            assert_eq!((answer.status, answer.special()), (200, vec![]));
        }
    }
}

#[test]
fn the_portal_asks_for_its_own_limits() {
    let weir = Weir::start("partner_v1");
    let Some(grpcurl) = Grpcurl::new(weir.address) else {
        return;
    };
    let count_ok = |partner: &str, operation: &str, times: usize| {
        (0..times)
            .map(|_| {
                grpcurl.should_rate_limit(
                    "partner_v1",
                    &[("partner", partner), ("operation", operation)],
                )
            })
            .filter(|answer| answer["overallCode"] == "OK")
            .count()
    };

    let passed = within(60, |tried| {
        let (partner, other) = (format!("p{tried}"), format!("other{tried}"));
        [
            count_ok(&partner, "fx_rate_refresh", 2),
            count_ok(&other, "fx_rate_refresh", 1),
            count_ok(&partner, "fx_rate_refresh_scheduled", 3),
            count_ok(&partner, "webhook_settings", 12),
        ]
    });

    assert_eq!(passed, [1, 1, 3, 10]);
}
