//! Cases 15 to 23.

use crate::shared::offline::{Weir, d};

fn wild(descriptors: &str) -> Weir {
    Weir::new(&format!("domain: w\ndescriptors:\n{descriptors}"))
}

fn limits(rows: &[(&str, u32)]) -> Weir {
    let rows = rows.iter().map(|(matcher, requests)| {
        format!("  - {{{matcher}, rate_limit: {{unit: hour, requests_per_unit: {requests}}}}}\n")
    });
    wild(&rows.collect::<String>())
}

#[test]
fn case_15_a_wildcard_at_the_end() {
    let weir = limits(&[("key: k, value: \"foo*\"", 20), ("key: j, value: foo", 20)]);
    assert_eq!(weir.one("w", d("k=foo1")), "ok 19 of 20/hour");
    assert_eq!(weir.one("w", d("k=foo2")), "ok 19 of 20/hour");
    assert_eq!(weir.one("w", d("k=bar")), "none");
    assert_eq!(weir.one("w", d("j=foo1")), "none");
}

#[test]
fn case_16_a_wildcard_in_the_middle() {
    let weir = limits(&[("key: k, value: \"bar*b\"", 20)]);
    for fits in ["barab", "bar123b", "barb"] {
        assert_eq!(weir.one("w", d(&format!("k={fits}"))), "ok 19 of 20/hour");
    }
    for other in ["bara", "xbarb"] {
        assert_eq!(weir.one("w", d(&format!("k={other}"))), "none");
    }
}

#[test]
fn case_17_several_wildcards() {
    let weir = limits(&[("key: k, value: \"foo*bar*baz\"", 20)]);
    for fits in ["foo1bar2baz", "foobarbaz"] {
        assert_eq!(weir.one("w", d(&format!("k={fits}"))), "ok 19 of 20/hour");
    }
    for other in ["foo1baz", "bar2baz"] {
        assert_eq!(weir.one("w", d(&format!("k={other}"))), "none");
    }
}

#[test]
fn case_18_a_wildcard_below_a_value() {
    let weir = wild(
        "  - {key: n, value: val1, descriptors: [
      {key: wild, value: \"goo*\", rate_limit: {unit: hour, requests_per_unit: 20}}]}",
    );
    assert_eq!(weir.one("w", d("n=val1 wild=goo2")), "ok 19 of 20/hour");
}

#[test]
fn case_19_value_before_wildcard_before_any_in_every_order() {
    let rows = [
        ("key: file, value: img1", 1),
        ("key: file, value: \"img*\"", 2),
        ("key: file", 3),
    ];
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let weir = limits(&order.map(|n| rows[n]));
        assert_eq!(weir.one("w", d("file=img1")), "ok 0 of 1/hour");
        assert_eq!(weir.one("w", d("file=img2")), "ok 1 of 2/hour");
        assert_eq!(weir.one("w", d("file=doc")), "ok 2 of 3/hour");
    }
}

#[test]
fn case_20_the_first_wildcard_of_the_file_goes_first() {
    let weir = limits(&[("key: k, value: \"a*\"", 5), ("key: k, value: \"ab*\"", 7)]);
    assert_eq!(weir.one("w", d("k=abc")), "ok 4 of 5/hour");
}

#[test]
fn case_21_a_shared_threshold_is_one_counter() {
    let shared = limits(&[("key: f, value: \"files/*\", share_threshold: true", 10)]);
    for _ in 0..10 {
        shared.one("w", d("f=files/a"));
    }
    assert_eq!(shared.one("w", d("f=files/b")), "over 10/hour");
    let apart = limits(&[("key: f, value: \"files/*\"", 10)]);
    for n in 0..10 {
        assert_eq!(
            apart.one("w", d(&format!("f=files/{n}"))),
            "ok 9 of 10/hour"
        );
    }
}

#[test]
fn case_22_a_value_beside_a_shared_wildcard_counts_alone() {
    let weir = limits(&[
        ("key: file, value: test1", 50),
        ("key: file, value: \"test*\", share_threshold: true", 100),
    ]);
    assert_eq!(weir.one("w", d("file=test1")), "ok 49 of 50/hour");
    assert_eq!(weir.one("w", d("file=test2")), "ok 99 of 100/hour");
    assert_eq!(weir.one("w", d("file=test23")), "ok 98 of 100/hour");
}

#[test]
fn case_23_shared_levels_above_the_limit() {
    let weir = wild(
        "  - {key: user, value: \"user/*\", share_threshold: true, descriptors: [
      {key: resource, value: \"res/*\", share_threshold: true, descriptors: [
        {key: action, rate_limit: {unit: hour, requests_per_unit: 150}}]}]}
  - {key: path, value: \"path/*\", share_threshold: true, descriptors: [
      {key: file, value: \"file/*\", descriptors: [
        {key: type, rate_limit: {unit: hour, requests_per_unit: 120}}]}]}",
    );
    let one = |text: &str| weir.one("w", d(text));
    assert_eq!(
        one("user=user/a resource=res/1 action=read"),
        "ok 149 of 150/hour"
    );
    assert_eq!(
        one("user=user/b resource=res/2 action=read"),
        "ok 148 of 150/hour"
    );
    assert_eq!(
        one("user=user/b resource=res/2 action=write"),
        "ok 149 of 150/hour"
    );
    assert_eq!(
        one("path=path/a file=file/1 type=pdf"),
        "ok 119 of 120/hour"
    );
    assert_eq!(
        one("path=path/b file=file/1 type=pdf"),
        "ok 118 of 120/hour"
    );
    assert_eq!(
        one("path=path/a file=file/2 type=pdf"),
        "ok 119 of 120/hour"
    );
}
