//! The promises of the algorithms, each held against a model that remembers every hit.

use proptest::prelude::*;

use super::*;
use crate::clock::{Micros, Timestamp};
use crate::request::{Cost, Unit};

const SECOND: u64 = 1_000_000;

fn window(unit: Unit, multiplier: u32) -> Window {
    Window::new(unit, multiplier).unwrap()
}

fn limit(algorithm: Algorithm, requests_per_unit: u32, window: Window) -> Limit {
    Limit {
        algorithm,
        requests_per_unit,
        window,
        name: None,
        shadow_mode: false,
    }
}

fn bucket(requests_per_unit: u32, burst: u32, window: Window) -> Limit {
    let bucket = TokenBucket::new(burst, requests_per_unit, window).unwrap();
    limit(Algorithm::TokenBucket(bucket), requests_per_unit, window)
}

/// A rule under test, with its state.
struct Counter {
    set: LimitSet,
    states: States,
}

impl Counter {
    fn new(limits: impl Into<Box<[Limit]>>, charge: Charge) -> Self {
        let set = LimitSet {
            limits: limits.into(),
            charge,
        };
        let states = States::fresh(&set);
        Self { set, states }
    }

    fn call(&mut self, micros: u64, cost: Cost) -> Outcomes {
        self.states.align(&self.set);
        let now = Timestamp::from_micros(micros);
        step(&self.set, Active::ALL, &mut self.states, (now, cost))
    }

    fn hit(&mut self, micros: u64, hits: u32) -> Outcome {
        self.call(micros, Cost::Hits(hits)).limits[0]
    }

    fn passes(&mut self, micros: u64, hits: u32) -> bool {
        !self.call(micros, Cost::Hits(hits)).refused
    }

    fn look(&mut self, micros: u64) -> Outcome {
        self.call(micros, Cost::Look).limits[0]
    }
}

fn any_algorithm() -> impl Strategy<Value = (u8, u32, u32)> {
    (0u8..3, 1u32..12, 1u32..24)
}

fn any_limit() -> impl Strategy<Value = Limit> {
    (
        any_algorithm(),
        prop_oneof![
            Just((Unit::Second, 1)),
            Just((Unit::Second, 7)),
            Just((Unit::Minute, 1))
        ],
    )
        .prop_map(|((algorithm, requests, burst), (unit, multiplier))| {
            let window = window(unit, multiplier);
            match algorithm {
                0 => limit(Algorithm::FixedWindow, requests, window),
                1 => limit(Algorithm::SlidingWindow, requests, window),
                _ => bucket(requests, burst, window),
            }
        })
}

/// Calls as time steps, mostly small against a window of a second, and hits.
fn calls() -> impl Strategy<Value = Vec<(u64, u32)>> {
    let pause = prop_oneof![Just(0), 1..SECOND / 4, 1..3 * SECOND, 1..90 * SECOND];
    prop::collection::vec((pause, 1u32..4), 1..120)
}

/// The hits that passed, with their times.
fn admitted(counter: &mut Counter, calls: &[(u64, u32)]) -> Vec<(u64, u64)> {
    let mut now = 1_700_000_000 * SECOND + 123_456;
    let mut passed = Vec::new();
    for (pause, hits) in calls {
        now += pause;
        if counter.passes(now, *hits) {
            passed.push((now, u64::from(*hits)));
        }
    }
    passed
}

/// The most hits within any span of `length`, its end excluded.
fn most_within(hits: &[(u64, u64)], length: u64) -> u64 {
    let sums = hits.iter().enumerate().map(|(from, (start, _))| {
        let within = hits[from..]
            .iter()
            .take_while(|(at, _)| at - start < length);
        within.map(|(_, hits)| hits).sum()
    });
    sums.max().unwrap_or(0)
}

#[test]
fn a_fixed_window_lets_exactly_the_limit_pass_and_starts_anew_with_the_next() {
    let mut counter = Counter::new(
        [limit(Algorithm::FixedWindow, 3, window(Unit::Minute, 1))],
        Charge::Always,
    );
    let start = 120 * SECOND;
    let remaining: Vec<_> = (0..5)
        .map(|_| counter.hit(start + 10, 1))
        .map(|o| (o.over, o.remaining))
        .collect();
    assert_eq!(
        remaining,
        [(false, 2), (false, 1), (false, 0), (true, 0), (true, 0)]
    );
    assert_eq!(
        counter.hit(start + 59 * SECOND, 1).reset,
        Micros::from_secs(1)
    );
    assert_eq!(counter.hit(start + 60 * SECOND, 1).remaining, 2);
}

#[test]
fn a_multiplied_window_is_aligned_to_the_epoch() {
    let five_minutes = window(Unit::Minute, 5);
    let (start, end) = five_minutes.around(Timestamp::from_secs(1_700_000_123));
    assert_eq!(
        (start, end),
        (
            Timestamp::from_secs(1_700_000_100),
            Timestamp::from_secs(1_700_000_400)
        )
    );
}

#[test]
fn charging_always_counts_what_was_refused_and_charging_allowed_does_not() {
    for (charge, after) in [(Charge::Always, true), (Charge::Allowed, false)] {
        let mut counter = Counter::new(
            [limit(Algorithm::FixedWindow, 20, window(Unit::Hour, 1))],
            charge,
        );
        counter.hit(0, 19);
        assert!(counter.hit(0, 3).over);
        assert_eq!(counter.hit(0, 1).over, after);
    }
}

#[test]
fn a_look_at_a_limit_just_used_up_is_ok_only_as_the_reference_has_it() {
    let used_up = |limit: Limit, charge| {
        let mut counter = Counter::new([limit], charge);
        counter.hit(0, 5);
        counter.look(0).over
    };
    let hour = window(Unit::Hour, 1);
    assert!(!used_up(
        limit(Algorithm::FixedWindow, 5, hour),
        Charge::Always
    ));
    assert!(used_up(
        limit(Algorithm::FixedWindow, 5, hour),
        Charge::Allowed
    ));
    assert!(used_up(
        limit(Algorithm::SlidingWindow, 5, hour),
        Charge::Always
    ));
    assert!(used_up(bucket(5, 5, hour), Charge::Always));
}

#[test]
fn a_bucket_holds_its_burst_and_fills_at_its_rate() {
    let mut counter = Counter::new([bucket(100, 150, window(Unit::Minute, 1))], Charge::Allowed);
    let passed = (0..200).filter(|_| counter.passes(0, 1)).count();
    assert_eq!(passed, 150);
    let refused = counter.hit(0, 1);
    assert_eq!((refused.over, refused.reset), (true, Micros::new(600_000)));
    assert!(!counter.passes(599_999, 1));
    assert!(counter.passes(600_000, 1));
}

#[test]
fn a_bucket_in_debt_by_late_charges_refuses_until_it_is_paid() {
    let mut counter = Counter::new([bucket(60, 60, window(Unit::Minute, 1))], Charge::Always);
    assert!(counter.hit(0, 100).over);
    assert_eq!(counter.look(0).reset, Micros::from_secs(41));
    assert!(counter.look(41 * SECOND - 1).over);
    assert!(!counter.look(41 * SECOND).over);
}

#[test]
fn a_changed_number_acts_on_the_kept_count() {
    let minute = window(Unit::Minute, 1);
    for (before, after) in [
        (
            limit(Algorithm::FixedWindow, 10, minute),
            limit(Algorithm::FixedWindow, 7, minute),
        ),
        (
            limit(Algorithm::SlidingWindow, 10, minute),
            limit(Algorithm::SlidingWindow, 7, minute),
        ),
        (bucket(10, 10, minute), bucket(7, 7, minute)),
    ] {
        let mut counter = Counter::new([before], Charge::Allowed);
        counter.hit(0, 6);
        counter.set.limits = Box::new([after]);
        assert_eq!(counter.look(0).remaining, 1);
    }
}

#[test]
fn a_limit_added_to_a_rule_leaves_the_others_their_counts() {
    let (minute, day) = (window(Unit::Minute, 1), window(Unit::Day, 1));
    let by_minute = limit(Algorithm::FixedWindow, 10, minute);
    let mut counter = Counter::new([by_minute.clone()], Charge::Allowed);
    counter.hit(0, 4);
    counter.set.limits = Box::new([limit(Algorithm::FixedWindow, 100, day), by_minute.clone()]);
    let remaining: Vec<_> = counter
        .call(0, Cost::Look)
        .limits
        .iter()
        .map(|o| o.remaining)
        .collect();
    assert_eq!(remaining, [100, 6]);
    counter.set.limits = Box::new([limit(Algorithm::SlidingWindow, 10, minute), by_minute]);
    let remaining: Vec<_> = counter
        .call(0, Cost::Look)
        .limits
        .iter()
        .map(|o| o.remaining)
        .collect();
    assert_eq!(remaining, [10, 6]);
}

#[test]
fn a_limit_that_is_displaced_is_neither_asked_nor_charged() {
    let minute = window(Unit::Minute, 1);
    let set = [
        limit(Algorithm::FixedWindow, 1, minute),
        limit(Algorithm::SlidingWindow, 5, minute),
    ];
    let mut counter = Counter::new(set, Charge::Allowed);
    for _ in 0..3 {
        let now = Timestamp::from_micros(0);
        let active = Active::ALL.without(0);
        let outcomes = step(
            &counter.set,
            active,
            &mut counter.states,
            (now, Cost::Hits(1)),
        );
        assert!(!outcomes.refused && outcomes.limits.len() == 1);
    }
    assert!(counter.passes(0, 1));
    assert!(!counter.passes(0, 1));
}

#[test]
fn a_limit_in_shadow_mode_is_counted_and_refuses_nobody() {
    let minute = window(Unit::Minute, 1);
    let today = limit(Algorithm::FixedWindow, 5, minute);
    let tomorrow = Limit {
        shadow_mode: true,
        ..limit(Algorithm::SlidingWindow, 3, minute)
    };
    let mut counter = Counter::new([today, tomorrow], Charge::Allowed);
    let over: Vec<_> = (0..7)
        .map(|_| counter.call(0, Cost::Hits(1)))
        .map(|outcomes| (outcomes.refused, outcomes.limits[1].over))
        .collect();
    let expected = [
        (false, false),
        (false, false),
        (false, false),
        (false, true),
        (false, true),
        (true, true),
    ];
    assert_eq!(over[..6], expected);
    assert_eq!(counter.look(0).remaining, 0);
}

#[test]
fn a_limit_of_nothing_refuses_all() {
    let minute = window(Unit::Minute, 1);
    for none in [
        limit(Algorithm::FixedWindow, 0, minute),
        limit(Algorithm::SlidingWindow, 0, minute),
        bucket(0, 0, minute),
    ] {
        for charge in [Charge::Always, Charge::Allowed] {
            let mut counter = Counter::new([none.clone()], charge);
            assert!(!counter.passes(0, 1));
            assert!(!counter.passes(1 << 50, u32::MAX));
            assert!(!counter.call(1, Cost::Refund(1)).refused);
        }
    }
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let ten_years = Window::LONGEST;
    for widest in [
        limit(Algorithm::FixedWindow, u32::MAX, ten_years),
        limit(Algorithm::SlidingWindow, u32::MAX, ten_years),
        bucket(u32::MAX, u32::MAX, ten_years),
    ] {
        for charge in [Charge::Always, Charge::Allowed] {
            let mut counter = Counter::new([widest.clone()], charge);
            for now in [0, 1 << 50, 1 << 52, u64::MAX >> 11] {
                for cost in [
                    Cost::Hits(u32::MAX),
                    Cost::Look,
                    Cost::Refund(u32::MAX),
                    Cost::Hits(1),
                ] {
                    counter.call(now, cost);
                }
                counter.call(0, Cost::Hits(u32::MAX));
            }
        }
    }
}

#[test]
fn a_bucket_that_cannot_be_is_refused() {
    let second = window(Unit::Second, 1);
    assert_eq!(
        TokenBucket::new(1, 1_000_001, second),
        Err(InvalidBucket::TooFast)
    );
    assert!(TokenBucket::new(u32::MAX, 1_000_000, second).is_ok());
    assert_eq!(
        TokenBucket::new(u32::MAX, 1, Window::LONGEST),
        Err(InvalidBucket::TooSlow)
    );
    assert!(TokenBucket::new(14, 1, Window::LONGEST).is_ok());
}

proptest! {
    #[test]
    fn a_fixed_window_never_passes_more_than_the_limit(requests in 1u32..12, calls in calls()) {
        let length = window(Unit::Second, 7);
        for charge in [Charge::Always, Charge::Allowed] {
            let mut counter = Counter::new([limit(Algorithm::FixedWindow, requests, length)], charge);
            let mut by_window = std::collections::BTreeMap::<u64, u64>::new();
            for (at, hits) in admitted(&mut counter, &calls) {
                *by_window.entry(at / length.length().get()).or_default() += hits;
            }
            prop_assert!(by_window.values().all(|passed| *passed <= requests.into()));
        }
    }

    #[test]
    fn a_sliding_window_never_passes_more_than_the_limit_in_any_interval(
        requests in 1u32..12,
        calls in calls(),
    ) {
        let length = window(Unit::Second, 7);
        for charge in [Charge::Always, Charge::Allowed] {
            let mut counter = Counter::new([limit(Algorithm::SlidingWindow, requests, length)], charge);
            let passed = admitted(&mut counter, &calls);
            prop_assert!(most_within(&passed, length.length().get()) <= requests.into());
        }
    }

    #[test]
    fn a_sliding_window_returns_room_at_most_a_sixteenth_late(requests in 1u32..12, at in 0..7 * SECOND) {
        let length = window(Unit::Second, 7);
        let mut counter = Counter::new([limit(Algorithm::SlidingWindow, requests, length)], Charge::Allowed);
        prop_assert!(counter.passes(at, requests));
        let late = length.length().get() / 16;
        prop_assert!(counter.passes(at + length.length().get() + late, requests));
    }

    #[test]
    fn a_bucket_never_passes_more_than_its_burst_and_its_rate(
        requests in 1u32..40,
        burst in 1u32..40,
        calls in calls(),
    ) {
        let length = window(Unit::Second, 7);
        let mut counter = Counter::new([bucket(requests, burst, length)], Charge::Allowed);
        let passed = admitted(&mut counter, &calls);
        for (from, (start, _)) in passed.iter().enumerate() {
            let mut sum = 0;
            for (at, hits) in &passed[from..] {
                sum += hits;
                let filled = u128::from(at - start) * u128::from(requests);
                let most = u128::from(burst) * u128::from(length.length().get()) + filled;
                prop_assert!(u128::from(sum) * u128::from(length.length().get()) <= most);
            }
        }
    }

    #[test]
    fn a_retry_at_the_reset_passes_and_one_earlier_does_not(
        limit in any_limit(),
        charge in prop_oneof![Just(Charge::Always), Just(Charge::Allowed)],
        calls in calls(),
        hits in 1u32..4,
    ) {
        let asks_too_much = match limit.algorithm {
            Algorithm::TokenBucket(bucket) => hits > bucket.burst(),
            _ => hits > limit.requests_per_unit,
        };
        prop_assume!(!asks_too_much);
        let mut counter = Counter::new([limit.clone()], charge);
        let mut now = 1_700_000_000 * SECOND;
        for (pause, hits) in calls {
            now += pause;
            counter.passes(now, hits);
        }
        let refused = counter.hit(now, hits);
        if refused.over {
            let wait = refused.reset.get();
            let retry = |counter: &Counter, at| {
                let mut states = counter.states.clone();
                !step(&counter.set, Active::ALL, &mut states, (Timestamp::from_micros(at), Cost::Hits(hits))).refused
            };
            prop_assert!(wait > 0);
            prop_assert!(retry(&counter, now + wait));
            prop_assert!(!retry(&counter, now + wait - 1));
        }
    }

    #[test]
    fn what_is_said_to_remain_passes_and_one_more_does_not(limit in any_limit(), calls in calls()) {
        let mut counter = Counter::new([limit], Charge::Allowed);
        let passed = admitted(&mut counter, &calls);
        let now = passed.last().map_or(0, |(at, _)| *at);
        let remaining = counter.call(now, Cost::Refund(0)).limits[0].remaining;
        prop_assert!(!counter.passes(now, remaining + 1));
        prop_assert!(remaining == 0 || counter.passes(now, remaining));
        prop_assert!(!counter.passes(now, 1));
    }

    #[test]
    fn time_that_goes_back_grants_nothing(limit in any_limit(), back in prop::collection::vec(0..200 * SECOND, 1..40)) {
        let mut counter = Counter::new([limit], Charge::Allowed);
        let now = 1_700_000_000 * SECOND;
        while counter.passes(now, 1) {}
        for back in back {
            prop_assert!(!counter.passes(now - back, 1));
            prop_assert!(counter.look(now - back).over);
        }
    }

    #[test]
    fn a_look_writes_nothing(limit in any_limit(), calls in calls()) {
        for charge in [Charge::Always, Charge::Allowed] {
            let mut counter = Counter::new([limit.clone()], charge);
            let mut now = 1_700_000_000 * SECOND;
            for (pause, hits) in &calls {
                now += pause;
                let before = counter.states.clone();
                counter.look(now);
                prop_assert_eq!(&counter.states, &before);
                counter.passes(now, *hits);
            }
        }
    }

    #[test]
    fn a_refund_takes_back_what_was_charged(limit in any_limit(), hits in 1u32..12, more in 0u32..30) {
        let mut counter = Counter::new([limit.clone()], Charge::Always);
        let now = 1_700_000_000 * SECOND;
        let fresh = counter.call(now, Cost::Refund(1)).limits[0].remaining;
        counter.hit(now, hits);
        let refunded = counter.call(now, Cost::Refund(hits + more)).limits[0];
        prop_assert!(!refunded.over);
        prop_assert_eq!(refunded.remaining, fresh);
        prop_assert!(counter.passes(now, fresh));
    }

    #[test]
    fn a_list_is_charged_together_or_not_at_all(
        limits in prop::collection::vec(any_limit(), 2..5),
        calls in calls(),
    ) {
        let mut together = Counter::new(limits.clone(), Charge::Allowed);
        let mut alone: Vec<_> =
            limits.into_iter().map(|limit| Counter::new([limit], Charge::Allowed)).collect();
        let mut now = 1_700_000_000 * SECOND;
        for (pause, hits) in calls {
            now += pause;
            let fits = alone.iter_mut().all(|one| {
                let mut states = one.states.clone();
                let now = Timestamp::from_micros(now);
                !step(&one.set, Active::ALL, &mut states, (now, Cost::Hits(hits))).refused
            });
            if fits {
                for one in &mut alone {
                    one.hit(now, hits);
                }
            }
            let before = together.states.clone();
            prop_assert_eq!(together.passes(now, hits), fits);
            if !fits {
                prop_assert_eq!(&together.states, &before);
            }
        }
    }
}
