//! Cases 36 to 49, but 42, 45 and 46, which the reference's environment variables switch on: here
//! they are keys at the root of a policy.

use super::SHOP;
use crate::shared::offline::{Weir, With, d};
use weir::request::Unit;

#[test]
fn case_36_unlimited_stands_beside_the_others() {
    let words = Weir::new(SHOP).words("shop", &[d("ip=X"), d("zzz=1"), d("free=x")]);
    assert_eq!(words, "ok 19 of 20/hour, none, unlimited => OK");
}

const REPLACES: &str = "
domain: d
descriptors:
  - {key: k1, value: v1, descriptors: [
      {key: user, rate_limit: {unit: hour, requests_per_unit: 5, name: spec}}]}
  - {key: k2, value: v2, descriptors: [
      {key: user, rate_limit: {unit: hour, requests_per_unit: 10, replaces: [{name: spec}]}}]}
  - {key: x, rate_limit: {unit: hour, requests_per_unit: 9, name: x}}
  - {key: c, rate_limit: {unit: hour, requests_per_unit: 4, replaces: [{name: x}, {name: spec}]}}
  - {key: banned, rate_limit: {unit: hour, requests_per_unit: 0, name: banned}}
  - {key: lift, rate_limit: {unit: hour, requests_per_unit: 2, replaces: [{name: banned}]}}
  - {key: free, rate_limit: {unlimited: true, name: free, replaces: [{name: x}]}}
  - {key: paid, rate_limit: {unit: hour, requests_per_unit: 3, replaces: [{name: free}]}}
";

#[test]
fn case_37_a_limit_that_is_replaced_is_not_counted() {
    let weir = Weir::new(REPLACES);
    let (a, b) = (|| d("k1=v1 user=u"), || d("k2=v2 user=u"));
    assert_eq!(weir.one("d", a()), "ok 4 of 5/hour spec");
    assert_eq!(weir.words("d", &[a(), b()]), "none, ok 9 of 10/hour => OK");
    assert_eq!(weir.words("d", &[b(), a()]), "ok 8 of 10/hour, none => OK");
    assert_eq!(weir.one("d", a()), "ok 3 of 5/hour spec");
}

#[test]
fn case_38_one_replaces_several() {
    let weir = Weir::new(REPLACES);
    let request = [d("k1=v1 user=u"), d("x=1"), d("c=1")];
    for remaining in [3, 2, 1, 0] {
        let expected = format!("none, none, ok {remaining} of 4/hour => OK");
        assert_eq!(weir.words("d", &request), expected);
    }
    assert_eq!(
        weir.words("d", &request),
        "none, none, over 4/hour => OVER_LIMIT"
    );
    assert_eq!(weir.one("d", d("x=1")), "ok 8 of 9/hour x");
}

#[test]
fn case_39_a_ban_is_lifted() {
    let weir = Weir::new(REPLACES);
    let request = [d("banned=u"), d("lift=u")];
    assert_eq!(weir.words("d", &request), "none, ok 1 of 2/hour => OK");
    assert_eq!(weir.words("d", &request), "none, ok 0 of 2/hour => OK");
    assert_eq!(weir.words("d", &request), "none, over 2/hour => OVER_LIMIT");
    assert_eq!(
        weir.words("d", &[d("banned=u")]),
        "over 0/hour banned => OVER_LIMIT"
    );
}

#[test]
fn a_replaced_rule_still_replaces_others_and_unlimited_rules_count() {
    let weir = Weir::new(REPLACES);
    let words = weir.words("d", &[d("x=1"), d("free=1"), d("paid=1")]);
    assert_eq!(words, "none, none, ok 2 of 3/hour => OK");
    assert_eq!(
        weir.words("d", &[d("x=1"), d("free=1")]),
        "none, unlimited => OK"
    );
}

const MODES: &str = "
domain: d
descriptors:
  - {key: shadow, shadow_mode: true, rate_limit: {unit: hour, requests_per_unit: 3}}
  - {key: plain, rate_limit: {unit: hour, requests_per_unit: 1}}
  - {key: q1, quota_mode: true, rate_limit: {unit: hour, requests_per_unit: 1}}
  - {key: q2, quota_mode: true, rate_limit: {unit: hour, requests_per_unit: 2}}
  - {key: free, rate_limit: {unlimited: true}}
";

#[test]
fn case_40_a_shadow_counts_and_never_refuses() {
    let weir = Weir::new(MODES);
    for remaining in [2, 1, 0, 0, 0, 0] {
        let expected = format!("ok {remaining} of 3/hour => OK");
        assert_eq!(weir.words("d", &[d("shadow=x")]), expected);
    }
}

#[test]
fn case_41_a_shadow_does_not_hide_an_enforced_limit() {
    let weir = Weir::new(MODES);
    let request = [d("shadow=x").hits(4), d("plain=x").hits(2)];
    assert_eq!(
        weir.words("d", &request),
        "ok 0 of 3/hour, over 1/hour => OVER_LIMIT"
    );
}

#[test]
fn case_42_a_domain_in_shadow_mode_only_changes_the_overall_code() {
    let weir = Weir::new(&format!("shadow_mode: true{MODES}"));
    weir.one("d", d("plain=x"));
    assert_eq!(weir.words("d", &[d("plain=x")]), "over 1/hour => OK");
}

#[test]
fn case_43_quotas_refuse_when_all_are_used_up() {
    let weir = Weir::new(MODES);
    let request = [d("q1=x"), d("q2=x")];
    assert_eq!(
        weir.words("d", &request),
        "ok 0 of 1/hour, ok 1 of 2/hour => OK"
    );
    assert_eq!(
        weir.words("d", &request),
        "over 1/hour, ok 0 of 2/hour => OK"
    );
    assert_eq!(
        weir.words("d", &request),
        "over 1/hour, over 2/hour => OVER_LIMIT"
    );
}

#[test]
fn case_44_quotas_beside_other_limits() {
    let weir = Weir::new(MODES);
    let request = [d("plain=x"), d("q2=x")];
    assert_eq!(
        weir.words("d", &request),
        "ok 0 of 1/hour, ok 1 of 2/hour => OK"
    );
    assert_eq!(
        weir.words("d", &request),
        "over 1/hour, ok 0 of 2/hour => OVER_LIMIT"
    );
    let request = [d("plain=y"), d("q1=y").hits(2)];
    assert_eq!(
        weir.words("d", &request),
        "ok 0 of 1/hour, over 1/hour => OVER_LIMIT"
    );
}

#[test]
fn case_45_a_domain_in_quota_mode_treats_all_as_quotas() {
    let policy = format!("quota_mode: true{MODES}");
    let weir = Weir::new(&policy);
    weir.words("d", &[d("plain=x"), d("plain=y")]);
    let words = weir.words("d", &[d("plain=x"), d("plain=y")]);
    assert_eq!(words, "over 1/hour, over 1/hour => OVER_LIMIT");
    let words = weir.words("d", &[d("plain=x"), d("plain=z")]);
    assert_eq!(words, "over 1/hour, ok 0 of 1/hour => OK");
    // One that matches nothing passes; one that is unlimited does not count.
    assert_eq!(
        weir.words("d", &[d("plain=x"), d("zzz=1")]),
        "over 1/hour, none => OK"
    );
    let words = weir.words("d", &[d("plain=x"), d("free=1")]);
    assert_eq!(words, "over 1/hour, unlimited => OVER_LIMIT");
}

#[test]
fn case_46_shadow_mode_goes_before_quotas() {
    let weir = Weir::new(&format!("shadow_mode: true{MODES}"));
    let request = [d("q1=x").hits(2), d("q2=x").hits(3)];
    assert_eq!(weir.words("d", &request), "over 1/hour, over 2/hour => OK");
}

#[test]
fn case_47_an_override_needs_no_rule_but_a_domain() {
    let weir = Weir::new(SHOP);
    let with = |requests| d("tenant=gold route=home").limit(requests, Unit::Day);
    assert_eq!(weir.one("shop", with(10)), "ok 9 of 10/day");
    assert_eq!(
        weir.one("shop", d("anything=1").limit(1, Unit::Hour)),
        "ok 0 of 1/hour"
    );
    assert_eq!(
        weir.one("shop", d("anything=1").limit(1, Unit::Hour)),
        "over 1/hour"
    );
    assert_eq!(
        weir.one("nope", d("anything=1").limit(1, Unit::Hour)),
        "none"
    );
    assert_eq!(weir.one("shop", with(5)), "ok 3 of 5/day");
}

#[test]
fn case_48_an_override_ends_a_rules_shadow() {
    let weir = Weir::new(MODES);
    let request = || [d("shadow=x").limit(1, Unit::Hour)];
    weir.words("d", &request());
    assert_eq!(weir.words("d", &request()), "over 1/hour => OVER_LIMIT");
}

#[test]
fn an_override_shares_the_counter_of_a_rule_that_is_just_that() {
    let weir = Weir::new(SHOP);
    weir.one("shop", d("ip=A").hits(7));
    assert_eq!(
        weir.one("shop", d("ip=A").limit(10, Unit::Hour)),
        "ok 2 of 10/hour"
    );
    assert_eq!(weir.one("shop", d("ip=A")), "ok 11 of 20/hour");
    assert_eq!(
        weir.one("shop", d("ip=A").limit(10, Unit::Minute)),
        "ok 9 of 10/minute"
    );
}
