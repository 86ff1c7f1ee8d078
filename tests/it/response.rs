//! What an answer reports to the client.

use weir::engine::{Code, Decision};
use weir::policy::Value;

use crate::shared::offline::{START, Weir, With, d};

const REPORTED: &str = r#"
domain: reported
response:
  headers: {L: "%LIMIT%", R: "%REMAINING%", N: "%NAME%", T: "%METADATA(tier)%"}
  over_limit:
    headers: {Retry: "%RETRY_AFTER%", R: "none"}
    body: '{"limit":"%NAME%","wait":%RETRY_AFTER%,"who":"%ENTRY(who)%","burst":%BURST%}'
descriptors:
  - {key: a, rate_limit: {unit: hour, requests_per_unit: 10, name: by_hour}}
  - {key: b, metadata: {tier: gold}, rate_limit: {unit: minute, requests_per_unit: 5, name: by_minute}}
  - {key: who, rate_limit: {unit: minute, requests_per_unit: 1, name: who}}
  - {key: shadow, shadow_mode: true, rate_limit: {unit: year, requests_per_unit: 1}}
  - {key: quota, quota_mode: true, rate_limit: {unit: year, requests_per_unit: 1, name: quota}}
  - {key: bucket, rate_limit: {unit: minute, requests_per_unit: 60, algorithm: token_bucket, burst: 2}}
  - {key: free, metadata: {tier: free}, rate_limit: {unlimited: true}}
  - key: own
    response: {headers: {Own: "%RESET_AT%"}}
    descriptors:
      - {key: below, rate_limit: {unit: minute, requests_per_unit: 9}}
"#;

fn headers(decision: &Decision) -> String {
    let headers: Vec<_> = decision
        .headers
        .iter()
        .map(|header| format!("{}={}", header.name, header.value))
        .collect();
    headers.join(" ")
}

#[test]
fn case_50_the_limit_with_the_least_remaining_is_reported() {
    let weir = Weir::new(REPORTED);
    let decision = weir.ask("reported", &[d("a=x").hits(3), d("b=x").hits(2)]);
    assert_eq!(headers(&decision), "L=5 R=3 N=by_minute T=gold");
    let decision = weir.ask("reported", &[d("a=x").hits(7), d("b=x").hits(1)]);
    assert_eq!(headers(&decision), "L=10 R=0 N=by_hour T=gold");
    assert_eq!(decision.body, None);
}

#[test]
fn the_first_of_equals_is_reported() {
    let weir = Weir::new(REPORTED);
    let decision = weir.ask("reported", &[d("b=x"), d("a=x").hits(6)]);
    assert_eq!(headers(&decision), "L=5 R=4 N=by_minute T=gold");
}

#[test]
fn nothing_to_report_adds_nothing() {
    let weir = Weir::new(REPORTED);
    for nothing in ["zzz=1", "free=1", "shadow=1", "own=1"] {
        let decision = weir.ask("reported", &[d(nothing)]);
        assert_eq!((headers(&decision), decision.body), (String::new(), None));
    }
}

#[test]
fn of_the_refused_the_one_with_the_longest_wait_is_reported() {
    let weir = Weir::new(REPORTED);
    weir.ask("reported", &[d("a=x").hits(10), d("b=x").hits(5)]);
    let decision = weir.ask("reported", &[d("b=x"), d("a=x")]);
    assert_eq!(decision.code, Code::OverLimit);
    assert_eq!(
        headers(&decision),
        "L=10 N=by_hour T=gold Retry=3590 R=none"
    );
}

#[test]
fn a_quota_is_reported_after_what_really_refuses() {
    let weir = Weir::new(REPORTED);
    let decision = weir.ask("reported", &[d("quota=x").hits(2), d("b=x").hits(6)]);
    assert_eq!(decision.headers[1].value, "by_minute");
    let decision = weir.ask("reported", &[d("quota=y").hits(2), d("b=y").hits(1)]);
    assert_eq!(decision.code, Code::OverLimit);
    assert_eq!(decision.headers[1].value, "quota");
}

#[test]
fn the_body_is_filled_in_and_stays_json() {
    let weir = Weir::new(REPORTED);
    weir.ask("reported", &[d("who=a\"b\\c\u{1}")]);
    let decision = weir.ask("reported", &[d("who=a\"b\\c\u{1}")]);
    let body: serde_json::Value = serde_json::from_str(&decision.body.unwrap()).unwrap();
    let expected = serde_json::json!({
        "limit": "who", "wait": 50, "who": "a\"b\\c\u{1}", "burst": null,
    });
    assert_eq!(body, expected);
    weir.ask("reported", &[d("bucket=x").hits(2)]);
    let decision = weir.ask("reported", &[d("bucket=x").hits(2)]);
    let body: serde_json::Value = serde_json::from_str(&decision.body.unwrap()).unwrap();
    assert_eq!(
        body,
        serde_json::json!({"limit": "", "wait": 2, "who": "", "burst": 2})
    );
    let decision = weir.ask("reported", &[d("bucket=y").hits(3)]);
    let body: serde_json::Value = serde_json::from_str(&decision.body.unwrap()).unwrap();
    assert_eq!(body["wait"], serde_json::Value::Null, "no wait helps");
}

#[test]
fn a_header_without_a_value_is_left_out() {
    let weir = Weir::new(REPORTED);
    assert_eq!(headers(&weir.ask("reported", &[d("bucket=x")])), "L=60 R=1");
}

#[test]
fn the_tier_of_another_rule_of_the_request_serves() {
    let weir = Weir::new(REPORTED);
    let decision = weir.ask("reported", &[d("who=x"), d("free=1")]);
    assert_eq!(headers(&decision), "L=1 R=0 N=who T=free");
}

#[test]
fn the_nearest_response_is_used_whole() {
    let weir = Weir::new(REPORTED);
    let decision = weir.ask("reported", &[d("own=x below=y").hits(10)]);
    let end_of_minute = START.micros() / 1_000_000 + 50;
    assert_eq!(headers(&decision), format!("Own={end_of_minute}"));
    assert_eq!((decision.code, decision.body), (Code::OverLimit, None));
}

#[test]
fn an_override_is_answered_as_its_place_in_the_tree_is() {
    let weir = Weir::new(REPORTED);
    let limit = |text: &str| [d(text).limit(3, weir::request::Unit::Hour)];
    assert_eq!(
        headers(&weir.ask("reported", &limit("b=x"))),
        "L=3 R=2 T=gold"
    );
    assert_eq!(headers(&weir.ask("reported", &limit("zzz=x"))), "L=3 R=2");
    let decision = weir.ask("reported", &limit("own=x below=y"));
    assert_eq!(&*decision.headers[0].name, "Own");
}

#[test]
fn metadata_of_what_passed_is_merged_and_what_came_first_stays() {
    let weir = Weir::new(
        "
domain: m
descriptors:
  - {key: a, metadata: {name: s1, deep: {a: 1, list: [1]}}, rate_limit: {unit: hour, requests_per_unit: 9}}
  - {key: b, metadata: {name: s2, deep: {a: 2, b: 2, list: [2]}}, rate_limit: {unit: hour, requests_per_unit: 1}}
",
    );
    let metadata = |weir: &Weir| weir.ask("m", &[d("a=x"), d("b=x")]).metadata.unwrap();
    let both = metadata(&weir);
    assert_eq!(both["name"], Value::Text("s1".into()));
    let Value::Map(deep) = &both["deep"] else {
        panic!("{both:?}")
    };
    assert_eq!(
        (&deep["a"], &deep["b"]),
        (&Value::Number(1.0), &Value::Number(2.0))
    );
    assert_eq!(deep["list"], Value::List(vec![Value::Number(1.0)]));
    let first_alone = metadata(&weir);
    let Value::Map(deep) = &first_alone["deep"] else {
        panic!("{first_alone:?}")
    };
    assert!(!deep.contains_key("b"));
    assert_eq!(weir.ask("m", &[d("b=x")]).metadata, None);
}

const STANDARD: &str = r#"
domain: reported
response:
  standard: [x-ratelimit, ratelimit, retry-after]
  headers: {Own: "%LIMIT%"}
descriptors:
  - key: api_key
    rate_limit:
      - {unit: minute, requests_per_unit: 3, name: per_minute}
      - {unit: minute, requests_per_unit: 4, shadow_mode: true, name: tomorrow}
      - {unit: day, requests_per_unit: 9}
  - {key: a, rate_limit: {unit: day, requests_per_unit: 8, name: '"a"'}}
  - {key: b, rate_limit: {unit: day, requests_per_unit: 7}}
  - {key: c, rate_limit: {unlimited: true, replaces: [{name: per_minute}]}}
  - {key: shadow, shadow_mode: true, rate_limit: {unit: day, requests_per_unit: 7}}
  - key: own
    response:
      standard: ratelimit
      over_limit: {standard: [x-ratelimit], headers: {ratelimit: none}}
    rate_limit: {unit: minute, requests_per_unit: 1}
"#;

#[test]
fn standard_headers_report_the_limit_and_what_remains() {
    let weir = Weir::new(STANDARD);
    let decision = weir.ask("reported", &[d("api_key=x")]);
    assert_eq!(
        headers(&decision),
        "Own=3 X-RateLimit-Limit=3 X-RateLimit-Remaining=2 X-RateLimit-Reset=50 \
         RateLimit-Policy=\"per_minute\";q=3;w=60, \"86400s\";q=9;w=86400 \
         RateLimit=\"per_minute\";r=2;t=50"
    );
    let decision = weir.ask("reported", &[d("api_key=x").hits(3)]);
    assert_eq!(
        headers(&decision),
        "Own=3 Retry-After=50 X-RateLimit-Limit=3 X-RateLimit-Remaining=2 X-RateLimit-Reset=50 \
         RateLimit-Policy=\"per_minute\";q=3;w=60, \"86400s\";q=9;w=86400 \
         RateLimit=\"per_minute\";r=2;t=50"
            .replace("Own=3 Retry-After=50 X", "Own=3 X")
            .replace(";t=50", ";t=50 Retry-After=50")
    );
}

#[test]
fn every_limit_of_the_request_is_listed_once_by_a_name_of_its_own() {
    let weir = Weir::new(STANDARD);
    let all = ["shadow=1", "api_key=x", "a=1", "b=1", "b=2", "c=1"].map(d);
    let decision = weir.ask("reported", &all);
    let fields = headers(&decision);
    let expected = "RateLimit-Policy=\"86400s\";q=9;w=86400, \"\\\"a\\\"\";q=8;w=86400, \
                    \"86400s-2\";q=7;w=86400 RateLimit=\"86400s-2\";r=6;t=86390";
    assert!(fields.ends_with(expected), "{fields}");
}

#[test]
fn an_own_header_of_a_refusal_replaces_the_standard_one() {
    let weir = Weir::new(STANDARD);
    let passed = headers(&weir.ask("reported", &[d("own=1")]));
    let refused = headers(&weir.ask("reported", &[d("own=1")]));
    let policy = "RateLimit-Policy=\"60s\";q=1;w=60";
    assert_eq!(passed, format!("{policy} RateLimit=\"60s\";r=0;t=50"));
    let usual = "X-RateLimit-Limit=1 X-RateLimit-Remaining=0 X-RateLimit-Reset=50";
    assert_eq!(refused, format!("{policy} ratelimit=none {usual}"));
}

#[test]
fn more_limits_than_a_header_should_hold_are_not_listed() {
    let mut yaml = "domain: many\nresponse: {standard: ratelimit}\ndescriptors:\n".to_owned();
    for at in 1..=40 {
        let limit = format!("{{unit: hour, requests_per_unit: {}}}", 100 - at);
        yaml.push_str(&format!("  - {{key: k{at}, rate_limit: {limit}}}\n"));
    }
    let weir = Weir::new(&yaml);
    let all: Vec<_> = (1..=40).map(|at| d(&format!("k{at}=x"))).collect();
    let decision = weir.ask("many", &all);
    assert_eq!(decision.headers[0].value.matches(";q=").count(), 33);
    assert!(decision.headers[0].value.ends_with(";q=60;w=3600"));
    assert_eq!(decision.headers[1].value, "\"3600s-33\";r=59;t=3590");
}
