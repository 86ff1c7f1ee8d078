//! Tokens of a language model: costs that are known when a request is over, charged or settled then.

use serde_json::json;

use crate::envoy::{Envoy, Setup};
use crate::http::{Answer, Request};
use crate::weir::Weir;

/// A limit per year: its window does not end while a test runs.
fn policy(tokens: u32, charge: &str) -> String {
    format!(
        "domain: llm
response: {{headers: {{X-Left: '%REMAINING%'}}}}
descriptors:
- key: tokens
  value: used
  descriptors:
  - {{key: api_key, rate_limit: {{unit: year, requests_per_unit: {tokens}, charge: {charge}}}}}
"
    )
}

fn before(policy: &str, name: &str) -> Option<Envoy> {
    Envoy::before(|| Weir::with_policy(policy), name, &Setup::default())
}

/// A request that costs `tokens` if it is allowed.
fn work(key: &str, tokens: impl ToString) -> Request {
    Request::new("POST /v1/messages")
        .header("x-api-key", key)
        .header("x-pretend", tokens.to_string())
        .header("content-length", "0")
}

/// Waits until so much is left: what comes at the end of a request comes after its answer.
fn wait_until_left(envoy: &Envoy, key: &str, tokens: u64) {
    let entries = ["tokens=used", &format!("api_key={key}")];
    envoy.weir.wait_until_left("llm", &entries, tokens);
}

fn send(envoy: &Envoy, request: &Request) -> Answer {
    envoy.client().send(request)
}

#[test]
fn a_request_is_charged_what_its_response_says() {
    let Some(envoy) = before(&policy(10_000, "always"), "llm_tokens") else {
        return;
    };
    let first = send(&envoy, &work("k", 123));
    assert_eq!((first.status, first.number("x-left")), (200, 10_000));
    wait_until_left(&envoy, "k", 9_877);
    assert_eq!(send(&envoy, &work("k", 877)).number("x-left"), 9_877);
    wait_until_left(&envoy, "k", 9_000);
    // A value that is not a number of tokens is neither charged nor refunded.
    for strange in ["", "-500", "many", "0"] {
        assert_eq!(send(&envoy, &work("k", strange)).status, 200);
    }
    send(&envoy, &work("k", 1_000));
    wait_until_left(&envoy, "k", 8_000);
    wait_until_left(&envoy, "other", 10_000);
}

#[test]
fn who_has_spent_more_than_there_was_is_refused_until_it_is_paid() {
    let Some(envoy) = Envoy::start("llm_tokens") else {
        return;
    };
    // Ten times what fits into the bucket: the debt outlasts this test.
    assert_eq!(send(&envoy, &work("k", 300_000)).status, 200);
    let refused = loop {
        let answer = send(&envoy, &work("k", 0));
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!(refused.status, 429);
    assert_eq!(refused.text("x-ratelimit-remaining-tokens"), "0");
    let wait = refused.number("retry-after");
    assert!((1..=181).contains(&wait), "{wait}");
    let message = format!(
        "The tokens of this key are used up (tokens_per_minute). Retry after {wait} seconds."
    );
    let error = json!({"type": "rate_limit_error", "message": message});
    assert_eq!(refused.json(), json!({ "error": error }));
    assert_eq!(send(&envoy, &work("other", 0)).status, 200);
    assert_eq!(send(&envoy, &Request::new("GET /")).status, 401);
}

#[test]
fn a_reservation_is_settled_when_the_request_is_over() {
    let Some(envoy) = before(&policy(10_000, "always"), "llm_tokens_reserved") else {
        return;
    };
    let first = send(&envoy, &work("k", 123));
    assert_eq!((first.status, first.number("x-left")), (200, 9_000));
    wait_until_left(&envoy, "k", 9_877);
    send(&envoy, &work("k", 5_877));
    wait_until_left(&envoy, "k", 4_000);
}

#[test]
fn refused_requests_gain_nothing_by_a_settlement_that_is_charged_always() {
    let Some(envoy) = before(&policy(2_500, "always"), "llm_tokens_reserved") else {
        return;
    };
    assert_eq!(send(&envoy, &work("k", 2_400)).status, 200);
    wait_until_left(&envoy, "k", 100);
    for _ in 0..5 {
        assert_eq!(send(&envoy, &work("k", 1)).status, 429);
        wait_until_left(&envoy, "k", 100);
    }
}

/// Why the one above is charged always: what `docs/policy/costs.md` warns of.
#[test]
fn refused_requests_gain_by_a_settlement_where_they_cost_nothing() {
    let Some(envoy) = before(&policy(2_500, "allowed"), "llm_tokens_reserved") else {
        return;
    };
    assert_eq!(send(&envoy, &work("k", 2_400)).status, 200);
    wait_until_left(&envoy, "k", 100);
    assert_eq!(send(&envoy, &work("k", 1)).status, 429);
    wait_until_left(&envoy, "k", 1_100);
}
