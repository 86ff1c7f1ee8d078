//! Cases 24 to 35, but 26, which is about `atomic`.

use super::SHOP;
use crate::shared::offline::{START, Weir, With, d};
use weir::clock::Timestamp;

fn by_hour(requests: u32) -> Weir {
    Weir::new(&format!(
        "domain: d\ndescriptors: [{{key: k, rate_limit: {{unit: hour, requests_per_unit: {requests}}}}}]"
    ))
}

#[test]
fn case_24_exactly_the_limit_passes() {
    let weir = Weir::new(SHOP);
    for remaining in (0..20).rev() {
        assert_eq!(
            weir.words("shop", &[d("ip=A")]),
            format!("ok {remaining} of 20/hour => OK")
        );
    }
    for _ in 0..5 {
        assert_eq!(
            weir.words("shop", &[d("ip=A")]),
            "over 20/hour => OVER_LIMIT"
        );
    }
}

#[test]
fn case_25_every_descriptor_counts_whatever_the_others_say() {
    let weir = Weir::new(SHOP);
    for n in 1..=15 {
        let first = format!("ok {} of 20/hour", 20 - n);
        let expected = if n <= 10 {
            format!("{first}, ok {} of 10/day plan_cap => OK", 10 - n)
        } else {
            format!("{first}, over 10/day plan_cap => OVER_LIMIT")
        };
        assert_eq!(weir.words("shop", &[d("ip=X"), d("plan=X")]), expected);
    }
}

#[test]
fn case_27_hits_are_added() {
    let weir = Weir::new(SHOP);
    assert_eq!(weir.one("shop", d("ip=X").hits(3)), "ok 17 of 20/hour");
    assert_eq!(weir.one("shop", d("ip=X")), "ok 16 of 20/hour");
}

#[test]
fn case_28_each_descriptor_has_its_own_hits() {
    let words = Weir::new(SHOP).words("shop", &[d("ip=X").hits(2), d("plan=X").hits(5)]);
    assert_eq!(words, "ok 18 of 20/hour, ok 5 of 10/day plan_cap => OK");
}

#[test]
fn case_29_a_look_is_over_only_above_the_limit() {
    let weir = by_hour(10);
    assert_eq!(weir.one("d", d("k=x").look()), "ok 10 of 10/hour");
    assert_eq!(weir.one("d", d("k=x").hits(10)), "ok 0 of 10/hour");
    assert_eq!(weir.one("d", d("k=x").look()), "ok 0 of 10/hour");
    assert_eq!(weir.one("d", d("k=x")), "over 10/hour");
    assert_eq!(weir.one("d", d("k=x").look()), "over 10/hour");
}

#[test]
fn case_30_hits_beyond_the_limit_are_charged_all_the_same() {
    let weir = by_hour(20);
    weir.one("d", d("k=x").hits(19));
    assert_eq!(weir.one("d", d("k=x").hits(3)), "over 20/hour");
    assert_eq!(weir.one("d", d("k=x")), "over 20/hour");
}

#[test]
fn case_31_more_than_the_limit_at_once_is_over() {
    assert_eq!(by_hour(5).one("d", d("k=x").hits(6)), "over 5/hour");
}

#[test]
fn case_31_nothing_remains_after_a_refusal_that_was_charged() {
    let weir = by_hour(10);
    let refused = weir.ask("d", &[d("k=x").hits(11)]);
    assert_eq!(refused.statuses[0].remaining, 0);
    assert_eq!(weir.ask("d", &[d("k=y").hits(9)]).statuses[0].remaining, 1);
    assert_eq!(weir.ask("d", &[d("k=y").hits(2)]).statuses[0].remaining, 0);
}

#[test]
fn case_32_a_limit_of_nothing_is_a_ban() {
    let weir = Weir::new(SHOP);
    assert_eq!(
        weir.words("shop", &[d("ban=x")]),
        "over 0/hour => OVER_LIMIT"
    );
}

#[test]
fn case_33_the_same_descriptor_twice_counts_twice() {
    let words = Weir::new(SHOP).words("shop", &[d("ip=A"), d("ip=A")]);
    assert_eq!(words, "ok 19 of 20/hour, ok 18 of 20/hour => OK");
}

#[test]
fn case_34_the_reset_is_the_rest_of_the_window_in_whole_seconds() {
    let weir = Weir::new(
        "
domain: d
descriptors:
  - {key: day, rate_limit: {unit: day, requests_per_unit: 9}}
  - {key: second, rate_limit: {unit: second, requests_per_unit: 9}}
",
    );
    let reset = |key: &str| weir.ask("d", &[d(&format!("{key}=x"))]).statuses[0].reset_after_secs;
    assert_eq!(reset("day"), Some(86_400 - 10));
    weir.advance(2);
    assert_eq!(reset("day"), Some(86_400 - 12));
    for micros in [0, 1, 500_000, 999_999] {
        weir.set_clock(Timestamp::from_micros(START.micros() + micros));
        assert_eq!(
            (reset("second"), reset("day")),
            (Some(1), Some(86_400 - 10))
        );
    }
}

#[test]
fn case_35_a_new_window_starts_from_nothing() {
    let weir = Weir::new(
        "domain: d\ndescriptors: [{key: k, rate_limit: {unit: minute, requests_per_unit: 3}}]",
    );
    weir.advance(40);
    for _ in 0..4 {
        weir.one("d", d("k=x"));
    }
    assert_eq!(weir.one("d", d("k=x")), "over 3/minute");
    weir.advance(10);
    assert_eq!(weir.one("d", d("k=x")), "ok 2 of 3/minute");
}
