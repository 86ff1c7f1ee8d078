//! What the reference's own integration tests check, in our words, at both servers: they agree, and on the right answer.

use weir::request::{Cost, Descriptor, Override, Request, Unit};

use crate::both::Both;

/// Whether the request is refused, and what remains of the limit of each descriptor.
type Expected<'a> = (bool, &'a [Option<u32>]);

struct Story {
    both: Both,
    domain: &'static str,
}

impl Story {
    fn start(domain: &'static str, policy: &str) -> Option<Self> {
        let both = Both::start(&[policy.to_owned()])?;
        Some(Self { both, domain })
    }

    fn expect(&mut self, descriptors: &[Descriptor], expected: Expected<'_>) {
        let request = Request {
            domain: self.domain.into(),
            descriptors: descriptors.to_vec(),
        };
        match self.both.send(&request) {
            Ok(answer) => {
                let (over_limit, remaining) = expected;
                assert_eq!(
                    answer.summary(),
                    (over_limit, remaining.to_vec()),
                    "{request:?}"
                );
            }
            Err([reference, weir]) => {
                panic!("{request:?}\nreference: {reference:?}\nweir:      {weir:?}")
            }
        }
    }
}

fn one(key: &'static str, value: &'static str) -> Descriptor {
    Descriptor::new([(key, value)])
}

fn two(first: (&'static str, &'static str), second: (&'static str, &'static str)) -> Descriptor {
    Descriptor::new([first, second])
}

fn costing(cost: Cost, descriptor: Descriptor) -> Descriptor {
    Descriptor { cost, ..descriptor }
}

const OK: bool = false;
const OVER_LIMIT: bool = true;

#[test]
fn the_deepest_node_that_all_entries_reach_decides() {
    let policy = "
domain: shop
descriptors:
  - key: tenant
    value: gold
    descriptors:
      - {key: route, rate_limit: {unit: day, requests_per_unit: 5}}
      - {key: route, value: pay, rate_limit: {unit: day, requests_per_unit: 10}}
  - {key: ip, rate_limit: {unit: day, requests_per_unit: 20}}
  - {key: ip, value: vip, rate_limit: {unit: day, requests_per_unit: 30}}
  - {key: ip, value: friend}
  - key: team
    value: red
    rate_limit: {unit: day, requests_per_unit: 15}
    descriptors:
      - {key: job, value: build, rate_limit: {unit: day, requests_per_unit: 25}}
";
    let Some(mut story) = Story::start("shop", policy) else {
        return;
    };
    story.expect(&[one("nothing", "1")], (OK, &[None]));
    story.expect(&[one("tenant", "silver")], (OK, &[None]));
    story.expect(&[one("tenant", "gold")], (OK, &[None]));
    story.expect(
        &[two(("tenant", "gold"), ("route", "home"))],
        (OK, &[Some(4)]),
    );
    story.expect(
        &[two(("tenant", "gold"), ("route", "pay"))],
        (OK, &[Some(9)]),
    );
    story.expect(&[two(("route", "pay"), ("tenant", "gold"))], (OK, &[None]));
    story.expect(&[one("ip", "a")], (OK, &[Some(19)]));
    story.expect(&[one("ip", "b")], (OK, &[Some(19)]));
    story.expect(&[one("ip", "vip")], (OK, &[Some(29)]));
    story.expect(&[one("ip", "friend")], (OK, &[None]));
    story.expect(&[two(("ip", "a"), ("more", "1"))], (OK, &[None]));
    story.expect(&[one("ip", "a")], (OK, &[Some(18)]));
    story.expect(&[one("ip", "")], (OK, &[Some(19)]));
    story.expect(&[one("IP", "a")], (OK, &[None]));
    story.expect(&[two(("team", "red"), ("job", "build"))], (OK, &[Some(24)]));
    story.expect(&[one("team", "red")], (OK, &[Some(14)]));
    story.expect(&[two(("team", "red"), ("job", "test"))], (OK, &[None]));
    story.expect(
        &[Descriptor::default(), one("ip", "c")],
        (OK, &[None, Some(19)]),
    );
    story.expect(
        &[one("ip", "d"), one("ip", "d")],
        (OK, &[Some(19), Some(18)]),
    );
}

#[test]
fn every_descriptor_is_charged_until_one_is_over_and_after() {
    let policy = "
domain: shop
descriptors:
  - {key: ip, rate_limit: {unit: day, requests_per_unit: 20}}
  - {key: plan, rate_limit: {unit: day, requests_per_unit: 10}}
  - {key: ban, rate_limit: {unit: day, requests_per_unit: 0}}
";
    let Some(mut story) = Story::start("shop", policy) else {
        return;
    };
    let both = [one("ip", "x"), one("plan", "x")];
    for hit in 1..=10 {
        story.expect(&both, (OK, &[Some(20 - hit), Some(10 - hit)]));
    }
    for hit in 11..=15 {
        story.expect(&both, (OVER_LIMIT, &[Some(20 - hit), Some(0)]));
    }
    for hit in 1..=25_u32 {
        let expected = (hit > 20, &[Some(20_u32.saturating_sub(hit))][..]);
        story.expect(&[one("ip", "y")], expected);
    }
    story.expect(&[one("ban", "x")], (OVER_LIMIT, &[Some(0)]));
}

#[test]
fn a_request_of_several_hits_is_charged_whole() {
    let policy = "
domain: shop
descriptors:
  - {key: ip, rate_limit: {unit: day, requests_per_unit: 20}}
";
    let Some(mut story) = Story::start("shop", policy) else {
        return;
    };
    let hits = |hits| [costing(Cost::Hits(hits), one("ip", "x"))];
    story.expect(&hits(3), (OK, &[Some(17)]));
    story.expect(&hits(16), (OK, &[Some(1)]));
    story.expect(&hits(3), (OVER_LIMIT, &[Some(0)]));
    story.expect(&hits(1), (OVER_LIMIT, &[Some(0)]));
    story.expect(
        &[costing(Cost::Hits(21), one("ip", "y"))],
        (OVER_LIMIT, &[Some(0)]),
    );
}

#[test]
fn a_peek_is_over_only_when_the_limit_was_exceeded() {
    let policy = "
domain: shop
descriptors:
  - {key: ip, rate_limit: {unit: day, requests_per_unit: 10}}
";
    let Some(mut story) = Story::start("shop", policy) else {
        return;
    };
    let peek = [costing(Cost::Peek, one("ip", "x"))];
    story.expect(&peek, (OK, &[Some(10)]));
    story.expect(&[costing(Cost::Hits(10), one("ip", "x"))], (OK, &[Some(0)]));
    story.expect(&peek, (OK, &[Some(0)]));
    story.expect(&[one("ip", "x")], (OVER_LIMIT, &[Some(0)]));
    story.expect(&peek, (OVER_LIMIT, &[Some(0)]));
}

#[test]
fn wildcards_share_a_counter_where_the_policy_says_so() {
    let policy = "
domain: files
descriptors:
  - {key: own, value: 'files/*', rate_limit: {unit: day, requests_per_unit: 10}}
  - {key: shared, value: 'files/*', share_threshold: true, rate_limit: {unit: day, requests_per_unit: 10}}
  - {key: shared, value: 'files/own', rate_limit: {unit: day, requests_per_unit: 50}}
  - {key: first, value: 'a*', rate_limit: {unit: day, requests_per_unit: 5}}
  - {key: first, value: 'ab*', rate_limit: {unit: day, requests_per_unit: 7}}
  - key: user
    value: 'user/*'
    share_threshold: true
    descriptors:
      - {key: action, rate_limit: {unit: day, requests_per_unit: 150}}
";
    let Some(mut story) = Story::start("files", policy) else {
        return;
    };
    for value in ["files/a", "files/b", "files/c"] {
        story.expect(&[one("own", value)], (OK, &[Some(9)]));
    }
    for left in (0..10).rev() {
        story.expect(&[one("shared", "files/a")], (OK, &[Some(left)]));
    }
    story.expect(&[one("shared", "files/b")], (OVER_LIMIT, &[Some(0)]));
    story.expect(&[one("shared", "files/own")], (OK, &[Some(49)]));
    story.expect(&[one("first", "abc")], (OK, &[Some(4)]));
    story.expect(&[one("own", "folder/a")], (OK, &[None]));
    story.expect(
        &[two(("user", "user/a"), ("action", "read"))],
        (OK, &[Some(149)]),
    );
    story.expect(
        &[two(("user", "user/b"), ("action", "read"))],
        (OK, &[Some(148)]),
    );
    story.expect(
        &[two(("user", "user/b"), ("action", "write"))],
        (OK, &[Some(149)]),
    );
}

#[test]
fn a_limit_replaces_others_by_name() {
    let policy = "
domain: replacing
descriptors:
  - {key: first, rate_limit: {name: first, unit: day, requests_per_unit: 5}}
  - {key: second, rate_limit: {name: second, unit: day, requests_per_unit: 10, replaces: [{name: first}]}}
  - {key: banned, rate_limit: {name: banned, unit: day, requests_per_unit: 0}}
  - {key: lifted, rate_limit: {unit: day, requests_per_unit: 2, replaces: [{name: banned}, {name: first}]}}
";
    let Some(mut story) = Story::start("replacing", policy) else {
        return;
    };
    story.expect(&[one("first", "u")], (OK, &[Some(4)]));
    story.expect(
        &[one("first", "u"), one("second", "u")],
        (OK, &[None, Some(9)]),
    );
    story.expect(
        &[one("second", "u"), one("first", "u")],
        (OK, &[Some(8), None]),
    );
    story.expect(&[one("first", "u")], (OK, &[Some(3)]));
    story.expect(&[one("banned", "u")], (OVER_LIMIT, &[Some(0)]));
    let lifted = [one("banned", "u"), one("first", "u"), one("lifted", "u")];
    story.expect(&lifted, (OK, &[None, None, Some(1)]));
    story.expect(&lifted, (OK, &[None, None, Some(0)]));
    story.expect(&lifted, (OVER_LIMIT, &[None, None, Some(0)]));
}

#[test]
fn a_rule_in_shadow_mode_counts_and_does_not_refuse() {
    let policy = "
domain: shadow
descriptors:
  - {key: quiet, shadow_mode: true, rate_limit: {unit: day, requests_per_unit: 3}}
  - {key: loud, rate_limit: {unit: day, requests_per_unit: 4}}
";
    let Some(mut story) = Story::start("shadow", policy) else {
        return;
    };
    for left in [2, 1, 0, 0, 0, 0] {
        story.expect(&[one("quiet", "a")], (OK, &[Some(left)]));
    }
    for hit in 1..=6_u32 {
        let left = |limit: u32| Some(limit.saturating_sub(hit));
        let expected = (hit > 4, &[left(3), left(4)][..]);
        story.expect(&[one("quiet", "b"), one("loud", "b")], expected);
    }
    let overridden = Descriptor {
        limit: Some(Override {
            requests_per_unit: 0,
            unit: Unit::Day,
            unit_multiplier: 1,
        }),
        ..one("quiet", "c")
    };
    story.expect(&[overridden], (OVER_LIMIT, &[Some(0)]));
}
