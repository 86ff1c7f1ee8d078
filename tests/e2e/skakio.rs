//! Skakio: two tiers, callers without a key, and the authentication endpoints.

use serde_json::{Value, json};

use crate::envoy::Envoy;
use crate::grpcurl::Grpcurl;
use crate::http::{Answer, Client, Request};
use crate::weir::Weir;
use crate::window::now_secs;

const LISTING: &str = "GET /api/listing/123";
const HEADERS: [&str; 4] = [
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-ratelimit-tier",
];

/// A token bucket as its document describes it.
struct Bucket {
    burst: usize,
    limit: u64,
    window_secs: u64,
    tier: &'static str,
}

const PUBLIC: Bucket = Bucket {
    burst: 150,
    limit: 100,
    window_secs: 60,
    tier: "public_key",
};
const SECRET: Bucket = Bucket {
    burst: 1500,
    limit: 1000,
    window_secs: 60,
    tier: "secret_key",
};

impl Bucket {
    const fn auth(tier: &'static str) -> Self {
        Self {
            burst: 20,
            limit: 10,
            window_secs: 1,
            tier,
        }
    }

    /// Empties the bucket, and checks every answer.
    fn drain(&self, client: &mut Client, request: &Request) {
        let start = now_secs();
        let (passed, refused) = client.until_refused(request, 10 * self.burst);
        let end = now_secs();

        let refilled = (end + 1 - start) * self.limit / self.window_secs + 1;
        let most = self.burst + usize::try_from(refilled).expect("small");
        assert!(
            (self.burst..=most).contains(&passed.len()),
            "{} passed, not {} to {most}",
            passed.len(),
            self.burst
        );
        for answer in &passed {
            assert_eq!(answer.special(), HEADERS);
            self.check(answer);
        }
        let first = &passed[0];
        // More hits than the limit would pass while the burst is unspent, and clients expect no more than the limit.
        assert_eq!(first.number("x-ratelimit-remaining"), self.limit);
        let full_at = first.number("x-ratelimit-reset");
        assert!((start..=start + 3).contains(&full_at), "{start}: {first:?}");

        self.check(&refused);
        self.check_refused(&refused, start, end);
    }

    fn check(&self, answer: &Answer) {
        assert_eq!(answer.number("x-ratelimit-limit"), self.limit);
        assert_eq!(answer.text("x-ratelimit-tier"), self.tier);
    }

    fn check_refused(&self, refused: &Answer, start: u64, end: u64) {
        let mut headers = vec!["retry-after"];
        headers.extend(HEADERS);
        assert_eq!(refused.special(), headers);
        assert_eq!(refused.number("x-ratelimit-remaining"), 0);

        // One token comes within a second in every tier.
        let seconds = refused.number("retry-after");
        assert_eq!(seconds, 1);
        let reset = refused.number("x-ratelimit-reset");
        assert!((start + 1..=end + 2).contains(&reset), "{refused:?}");
        assert_eq!(
            refused.json(),
            json!({
                "code": 429,
                "status": "error",
                "error": {
                    "code": "RATE_LIMIT_EXCEEDED",
                    "message": format!("Rate limit exceeded. Retry after {seconds} seconds."),
                    "tier": self.tier,
                },
            })
        );
    }
}

#[test]
fn the_prefix_of_a_key_selects_the_tier() {
    let Some(envoy) = Envoy::start("skakio") else {
        return;
    };
    let mut client = envoy.client();

    PUBLIC.drain(&mut client, &Request::new(LISTING).key("pk_1"));
    SECRET.drain(&mut client, &Request::new(LISTING).key("sk_1"));
    PUBLIC.drain(&mut client, &Request::new(LISTING).key("neither"));

    let other = client.send(&Request::new(LISTING).key("pk_2"));
    assert_eq!(other.number("x-ratelimit-remaining"), 100);
}

#[test]
fn callers_without_a_key_share_their_address() {
    let Some(envoy) = Envoy::start("skakio") else {
        return;
    };
    let mut client = envoy.client();

    PUBLIC.drain(&mut client, &Request::new(LISTING));

    // Refilled by one token at most since then.
    let still = |answer: Answer| answer.number("x-ratelimit-remaining") <= 2;
    let bare = Request::new(LISTING).header("authorization", "Bearer");
    assert!(still(client.send(&bare)));
    let claimed = Request::new(LISTING).header("x-forwarded-for", "192.0.2.1");
    assert!(still(client.send(&claimed)));
}

#[test]
fn authentication_is_stricter_and_names_the_callers_tier() {
    let Some(envoy) = Envoy::start("skakio") else {
        return;
    };
    let mut client = envoy.client();

    for endpoint in [
        "POST /auth/token",
        "POST /auth/validate",
        "POST /auth//refresh/?x=1",
    ] {
        Bucket::auth("secret_key").drain(&mut client, &Request::new(endpoint).key("sk_1"));
        Bucket::auth("public_key").drain(&mut client, &Request::new(endpoint).key("pk_1"));
        Bucket::auth("public_key").drain(&mut client, &Request::new(endpoint));
    }

    let elsewhere = client.send(&Request::new("GET /auth/token").key("sk_1"));
    assert_eq!(elsewhere.number("x-ratelimit-limit"), 1000);
}

#[test]
fn a_gateway_can_send_the_tier() {
    let weir = Weir::start("skakio");
    let Some(grpcurl) = Grpcurl::new(weir.address) else {
        return;
    };

    for (tier, limit, named) in [
        ("public_key", "100", "public_key"),
        ("secret_key", "1000", "secret_key"),
        ("gold", "100", "public_key"),
    ] {
        let answer = grpcurl.should_rate_limit("skakio", &[("tier", tier), ("api_key", "k")]);
        let header = |name: &str| {
            answer["responseHeadersToAdd"]
                .as_array()
                .and_then(|headers| headers.iter().find(|header| header["key"] == name))
                .map_or(Value::Null, |header| header["value"].clone())
        };
        assert_eq!(header("X-RateLimit-Limit"), limit, "{answer}");
        assert_eq!(header("X-RateLimit-Tier"), named, "{answer}");
    }
}
