//! Whose counter a descriptor meets, and what is charged to it.

use crate::shared::offline::{Weir, With, d};

fn policy(descriptors: &str) -> String {
    format!("domain: c\ndescriptors:\n{descriptors}")
}

fn weir(descriptors: &str) -> Weir {
    Weir::new(&policy(descriptors))
}

#[test]
fn a_pattern_is_one_counter() {
    let weir = weir(
        "  - {key: e, pattern: \"GET|HEAD /sites/{site}/*\", rate_limit: {unit: hour, requests_per_unit: 9}}"
            .replace("/*", "/pages")
            .as_str(),
    );
    assert_eq!(weir.one("c", d("e=GET_/sites/1/pages")), "none");
    for (request, remaining) in [
        ("GET /sites/1/pages", 8),
        ("HEAD /sites/2/pages/", 7),
        ("GET /sites/3/pages?x=1", 6),
    ] {
        let mut descriptor = d("e=?");
        descriptor.entries[0].value = request.into();
        assert_eq!(
            weir.one("c", descriptor),
            format!("ok {remaining} of 9/hour")
        );
    }
}

#[test]
fn count_by_splits_a_pattern_by_what_was_captured() {
    let weir = weir(
        "  - {key: e, pattern: \"/sites/{site}/stage/{stage}\", count_by: [site], rate_limit: {unit: hour, requests_per_unit: 9}}",
    );
    assert_eq!(weir.one("c", d("e=/sites/1/stage/a")), "ok 8 of 9/hour");
    assert_eq!(weir.one("c", d("e=/sites/1/stage/b")), "ok 7 of 9/hour");
    assert_eq!(weir.one("c", d("e=/sites/2/stage/a")), "ok 8 of 9/hour");
}

#[test]
fn a_reload_keeps_counters_wherever_their_rules_now_stand() {
    let any = "  - {key: k, rate_limit: {unit: hour, requests_per_unit: 9}}\n";
    let weir = weir(any);
    weir.one("c", d("k=vip").hits(4));
    let vip = "  - {key: k, value: vip, rate_limit: {unit: hour, requests_per_unit: 7}}\n";
    let other = "  - {key: other, rate_limit: {unit: hour, requests_per_unit: 1}}\n";
    weir.reload(&policy(&format!("{other}{any}{vip}")));
    assert_eq!(weir.one("c", d("k=vip")), "ok 2 of 7/hour");
    weir.reload(&policy(any));
    assert_eq!(weir.one("c", d("k=vip")), "ok 3 of 9/hour");
}

#[test]
fn a_changed_algorithm_or_window_starts_fresh() {
    let rule = |limit: &str| policy(&format!("  - {{key: k, rate_limit: {limit}}}"));
    let weir = Weir::new(&rule("{unit: hour, requests_per_unit: 9}"));
    weir.one("c", d("k=x").hits(4));
    weir.reload(&rule(
        "{unit: hour, requests_per_unit: 9, algorithm: sliding_window}",
    ));
    assert_eq!(weir.one("c", d("k=x")), "ok 8 of 9/hour");
    weir.reload(&rule(
        "{unit: hour, unit_multiplier: 2, requests_per_unit: 9, algorithm: sliding_window}",
    ));
    assert_eq!(weir.one("c", d("k=x")), "ok 8 of 9/2 hour");
    weir.reload(&rule(
        "{unit: minute, unit_multiplier: 120, requests_per_unit: 9, algorithm: sliding_window}",
    ));
    assert_eq!(weir.one("c", d("k=x")), "ok 7 of 9/120 minute");
}

#[test]
fn a_list_is_charged_together_or_not_at_all() {
    let weir = weir(
        "  - key: k
    rate_limit:
      - {unit: minute, requests_per_unit: 2, algorithm: token_bucket, name: quick}
      - {unit: hour, requests_per_unit: 3, name: slow}",
    );
    let ask = || weir.one("c", d("k=x"));
    assert_eq!(ask(), "ok 1 of 2/minute quick");
    assert_eq!(ask(), "ok 0 of 2/minute quick");
    assert_eq!(ask(), "over 2/minute quick");
    assert_eq!(ask(), "over 2/minute quick");
    weir.advance(60);
    assert_eq!(ask(), "ok 0 of 3/hour slow");
    assert_eq!(ask(), "over 3/hour slow");
}

#[test]
fn always_in_a_list_charges_every_limit_whatever_the_others_say() {
    let weir = weir(
        "  - key: k
    rate_limit:
      - {unit: minute, requests_per_unit: 1, charge: always, name: quick}
      - {unit: hour, requests_per_unit: 3, charge: always, name: slow}",
    );
    for _ in 0..3 {
        weir.one("c", d("k=x"));
    }
    weir.advance(60);
    assert_eq!(weir.one("c", d("k=x")), "over 3/hour slow");
}

#[test]
fn a_list_from_which_one_limit_is_replaced_keeps_the_others() {
    let weir = weir(
        "  - key: k
    rate_limit:
      - {unit: minute, requests_per_unit: 1, name: quick}
      - {unit: hour, requests_per_unit: 3, name: slow}
  - {key: lift, rate_limit: {unlimited: true, replaces: [{name: quick}]}}
  - {key: free, rate_limit: {unlimited: true, replaces: [{name: quick}, {name: slow}]}}",
    );
    let lifted = [d("k=x"), d("lift=1")];
    for remaining in [2, 1] {
        let expected = format!("ok {remaining} of 3/hour slow, unlimited => OK");
        assert_eq!(weir.words("c", &lifted), expected);
    }
    assert_eq!(
        weir.words("c", &[d("k=x"), d("free=1")]),
        "none, unlimited => OK"
    );
    assert_eq!(weir.one("c", d("k=x")), "ok 0 of 1/minute quick");
    assert_eq!(weir.one("c", d("k=x")), "over 3/hour slow");
}

#[test]
fn refunds_are_always_ok_and_end_a_refusal_at_once() {
    for limit in [
        "{unit: hour, requests_per_unit: 3}",
        "{unit: hour, requests_per_unit: 3, charge: allowed}",
        "{unit: hour, requests_per_unit: 3, algorithm: sliding_window}",
        "{unit: hour, requests_per_unit: 3, algorithm: token_bucket}",
    ] {
        let weir = weir(&format!("  - {{key: k, rate_limit: {limit}}}"));
        let refund = |hits| weir.words("c", &[d("k=x").refund(hits)]);
        weir.one("c", d("k=x").hits(3));
        assert_eq!(weir.one("c", d("k=x").look().hits(1)), "over 3/hour");
        weir.one("c", d("k=x").refund(1));
        assert_eq!(refund(9), "ok 3 of 3/hour => OK");
        assert_eq!(weir.one("c", d("k=x")), "ok 2 of 3/hour");
    }
}
