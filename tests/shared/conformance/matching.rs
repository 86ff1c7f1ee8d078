//! Cases 1 to 14.

use super::SHOP;
use crate::shared::offline::{Weir, d};

#[test]
fn case_1_an_unknown_domain_has_no_limits() {
    assert_eq!(Weir::new(SHOP).words("nope", &[d("ip=x")]), "none => OK");
}

#[test]
fn case_2_an_unknown_key_has_no_limit() {
    assert_eq!(Weir::new(SHOP).words("shop", &[d("zzz=1")]), "none => OK");
}

#[test]
fn case_3_a_node_without_a_limit_has_none() {
    let weir = Weir::new(SHOP);
    assert_eq!(weir.one("shop", d("tenant=silver")), "none");
    assert_eq!(weir.one("shop", d("tenant=gold")), "none");
}

#[test]
fn case_4_a_value_goes_before_any_value() {
    let weir = Weir::new(SHOP);
    assert_eq!(
        weir.one("shop", d("tenant=gold route=home")),
        "ok 4 of 5/hour"
    );
    assert_eq!(
        weir.one("shop", d("tenant=gold route=pay")),
        "ok 9 of 10/hour"
    );
}

#[test]
fn case_5_each_value_has_its_own_counter() {
    let weir = Weir::new(SHOP);
    assert_eq!(weir.one("shop", d("ip=A")), "ok 19 of 20/hour");
    assert_eq!(weir.one("shop", d("ip=B")), "ok 19 of 20/hour");
    assert_eq!(weir.one("shop", d("ip=vip")), "ok 29 of 30/hour");
}

#[test]
fn case_6_a_value_without_a_limit_is_let_through() {
    let weir = Weir::new(SHOP);
    for _ in 0..25 {
        assert_eq!(weir.one("shop", d("ip=friend")), "none");
    }
}

#[test]
fn case_7_a_request_deeper_than_the_policy_touches_nothing() {
    let weir = Weir::new(SHOP);
    assert_eq!(weir.one("shop", d("ip=A x=y")), "none");
    assert_eq!(weir.one("shop", d("ip=A")), "ok 19 of 20/hour");
}

#[test]
fn case_8_a_parent_is_not_charged_for_its_child() {
    let weir = Weir::new(SHOP);
    for remaining in [24, 23, 22] {
        assert_eq!(
            weir.one("shop", d("team=red job=build")),
            format!("ok {remaining} of 25/day")
        );
    }
    assert_eq!(weir.one("shop", d("team=red")), "ok 14 of 15/day");
}

#[test]
fn case_9_a_parent_does_not_limit_for_a_missing_child() {
    assert_eq!(Weir::new(SHOP).one("shop", d("team=red job=test")), "none");
}

#[test]
fn case_10_order_and_case_matter() {
    let weir = Weir::new(SHOP);
    assert_eq!(weir.one("shop", d("route=pay tenant=gold")), "none");
    assert_eq!(weir.one("shop", d("IP=A")), "none");
}

#[test]
fn case_11_no_way_back_from_a_value_that_fits() {
    let weir = Weir::new(
        "
domain: d
descriptors:
  - {key: k, value: a, descriptors: [{key: p, rate_limit: {unit: hour, requests_per_unit: 1}}]}
  - {key: k, descriptors: [{key: q, rate_limit: {unit: hour, requests_per_unit: 1}}]}
",
    );
    assert_eq!(weir.one("d", d("k=a q=1")), "none");
    assert_eq!(weir.one("d", d("k=b q=1")), "ok 0 of 1/hour");
}

#[test]
fn case_12_a_descriptor_without_entries_matches_nothing() {
    let words = Weir::new(SHOP).words("shop", &[d(""), d("ip=A")]);
    assert_eq!(words, "none, ok 19 of 20/hour => OK");
}

#[test]
fn case_13_an_empty_value_is_a_value() {
    assert_eq!(Weir::new(SHOP).one("shop", d("ip=")), "ok 19 of 20/hour");
}

#[test]
fn case_14_the_limits_name_is_reported() {
    assert_eq!(
        Weir::new(SHOP).one("shop", d("plan=x")),
        "ok 9 of 10/day plan_cap"
    );
}

#[test]
fn keys_and_values_are_never_glued_together() {
    let weir = Weir::new(
        "
domain: d
descriptors:
  - {key: a, value: b, rate_limit: {unit: hour, requests_per_unit: 5}}
  - {key: a_b, rate_limit: {unit: hour, requests_per_unit: 7}}
  - {key: x, descriptors: [{key: y, rate_limit: {unit: hour, requests_per_unit: 9}}]}
",
    );
    assert_eq!(weir.one("d", d("a_b=c")), "ok 6 of 7/hour");
    assert_eq!(weir.one("d", d("a=b")), "ok 4 of 5/hour");
    assert_eq!(weir.one("d", d("x=1_y_2 y=3")), "ok 8 of 9/hour");
    assert_eq!(weir.one("d", d("x=1 y=2_y_3")), "ok 8 of 9/hour");
}
