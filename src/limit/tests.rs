//! What the algorithms do, case by case; `properties` holds their promises.

mod properties;

use super::*;
use crate::clock::{Micros, Timestamp};
use crate::request::{Cost, LeaseId, Unit};

const SECOND: u64 = 1_000_000;

fn window(unit: Unit, multiplier: u32) -> Window {
    Window::new(unit, multiplier).unwrap()
}

fn limit(kind: impl Fn(Rate) -> LimitKind, requests: u32, window: Window) -> Limit {
    Limit::new(kind(Rate { requests, window }))
}

fn bucket(requests: u32, burst: u32, window: Window) -> Limit {
    let rate = Rate { requests, window };
    Limit::new(LimitKind::TokenBucket(
        TokenBucket::new(burst, rate).unwrap(),
    ))
}

fn call_at(micros: u64, cost: Cost) -> Operation {
    Operation {
        now: Timestamp::from_micros(micros),
        cost,
        lease: None,
    }
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
        let call = call_at(micros, cost);
        check_and_apply(&self.set, Active::ALL, &mut self.states, call)
    }

    fn hit(&mut self, micros: u64, hits: u32) -> Outcome {
        self.call(micros, Cost::Hits(hits)).limits[0]
    }

    fn passes(&mut self, micros: u64, hits: u32) -> bool {
        !self.call(micros, Cost::Hits(hits)).refused
    }

    fn peek(&mut self, micros: u64) -> Outcome {
        self.call(micros, Cost::Peek).limits[0]
    }
}

#[test]
fn a_fixed_window_admits_exactly_the_limit_and_then_starts_from_zero() {
    let mut counter = Counter::new(
        [limit(LimitKind::FixedWindow, 3, window(Unit::Minute, 1))],
        Charge::Always,
    );
    let start = 120 * SECOND;
    let remaining: Vec<_> = (0..5)
        .map(|_| counter.hit(start + 10, 1))
        .map(|o| (o.over, o.available))
        .collect();
    assert_eq!(
        remaining,
        [(false, 2), (false, 1), (false, 0), (true, 0), (true, 0)]
    );
    assert_eq!(
        counter.hit(start + 59 * SECOND, 1).reset_after,
        Micros::from_secs(1)
    );
    assert_eq!(counter.hit(start + 60 * SECOND, 1).available, 2);
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
            [limit(LimitKind::FixedWindow, 20, window(Unit::Hour, 1))],
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
        counter.peek(0).over
    };
    let hour = window(Unit::Hour, 1);
    assert!(!used_up(
        limit(LimitKind::FixedWindow, 5, hour),
        Charge::Always
    ));
    assert!(used_up(
        limit(LimitKind::FixedWindow, 5, hour),
        Charge::Allowed
    ));
    assert!(used_up(
        limit(LimitKind::SlidingWindow, 5, hour),
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
    assert_eq!(
        (refused.over, refused.reset_after),
        (true, Micros::new(600_000))
    );
    assert!(!counter.passes(599_999, 1));
    assert!(counter.passes(600_000, 1));
}

#[test]
fn a_bucket_in_debt_refuses_until_it_is_refilled() {
    let mut counter = Counter::new([bucket(60, 60, window(Unit::Minute, 1))], Charge::Always);
    assert!(counter.hit(0, 100).over);
    assert_eq!(counter.peek(0).reset_after, Micros::from_secs(41));
    assert!(counter.peek(41 * SECOND - 1).over);
    assert!(!counter.peek(41 * SECOND).over);
}

#[test]
fn a_changed_number_acts_on_the_kept_count() {
    let minute = window(Unit::Minute, 1);
    for (before, after) in [
        (
            limit(LimitKind::FixedWindow, 10, minute),
            limit(LimitKind::FixedWindow, 7, minute),
        ),
        (
            limit(LimitKind::SlidingWindow, 10, minute),
            limit(LimitKind::SlidingWindow, 7, minute),
        ),
        (bucket(10, 10, minute), bucket(7, 7, minute)),
    ] {
        let mut counter = Counter::new([before], Charge::Allowed);
        counter.hit(0, 6);
        counter.set.limits = Box::new([after]);
        assert_eq!(counter.peek(0).available, 1);
    }
}

#[test]
fn a_limit_added_to_a_rule_leaves_the_others_their_counts() {
    let (minute, day) = (window(Unit::Minute, 1), window(Unit::Day, 1));
    let by_minute = limit(LimitKind::FixedWindow, 10, minute);
    let mut counter = Counter::new([by_minute.clone()], Charge::Allowed);
    counter.hit(0, 4);
    counter.set.limits = Box::new([limit(LimitKind::FixedWindow, 100, day), by_minute.clone()]);
    let remaining: Vec<_> = counter
        .call(0, Cost::Peek)
        .limits
        .iter()
        .map(|o| o.available)
        .collect();
    assert_eq!(remaining, [100, 6]);
    counter.set.limits = Box::new([limit(LimitKind::SlidingWindow, 10, minute), by_minute]);
    let remaining: Vec<_> = counter
        .call(0, Cost::Peek)
        .limits
        .iter()
        .map(|o| o.available)
        .collect();
    assert_eq!(remaining, [10, 6]);
}

#[test]
fn a_limit_that_is_replaced_is_neither_asked_nor_charged() {
    let minute = window(Unit::Minute, 1);
    let set = [
        limit(LimitKind::FixedWindow, 1, minute),
        limit(LimitKind::SlidingWindow, 5, minute),
    ];
    let mut counter = Counter::new(set, Charge::Allowed);
    for _ in 0..3 {
        let active = Active::ALL.without(0);
        let outcomes = check_and_apply(
            &counter.set,
            active,
            &mut counter.states,
            call_at(0, Cost::Hits(1)),
        );
        assert!(!outcomes.refused && outcomes.limits.len() == 1);
    }
    assert!(counter.passes(0, 1));
    assert!(!counter.passes(0, 1));
}

#[test]
fn a_limit_in_shadow_mode_is_counted_and_refuses_nobody() {
    let minute = window(Unit::Minute, 1);
    let today = limit(LimitKind::FixedWindow, 5, minute);
    let tomorrow = Limit {
        shadow_mode: true,
        ..limit(LimitKind::SlidingWindow, 3, minute)
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
    assert_eq!(counter.peek(0).available, 0);
}

#[test]
fn a_limit_of_nothing_refuses_all() {
    let minute = window(Unit::Minute, 1);
    for none in [
        limit(LimitKind::FixedWindow, 0, minute),
        limit(LimitKind::SlidingWindow, 0, minute),
        bucket(0, 0, minute),
        slots(0, 60),
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
        limit(LimitKind::FixedWindow, u32::MAX, ten_years),
        limit(LimitKind::SlidingWindow, u32::MAX, ten_years),
        bucket(u32::MAX, u32::MAX, ten_years),
        slots(u32::MAX, ten_years.secs()),
    ] {
        for charge in [Charge::Always, Charge::Allowed] {
            let mut counter = Counter::new([widest.clone()], charge);
            for now in [0, 1 << 50, 1 << 52, u64::MAX >> 11] {
                for cost in [
                    Cost::Hits(u32::MAX),
                    Cost::Peek,
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
fn an_impossible_bucket_is_rejected() {
    let second = window(Unit::Second, 1);
    assert_eq!(
        TokenBucket::new(
            1,
            Rate {
                requests: 1_000_001,
                window: second
            }
        ),
        Err(InvalidBucket::TooFast)
    );
    assert!(
        TokenBucket::new(
            u32::MAX,
            Rate {
                requests: 1_000_000,
                window: second
            }
        )
        .is_ok()
    );
    assert_eq!(
        TokenBucket::new(
            u32::MAX,
            Rate {
                requests: 1,
                window: Window::LONGEST
            }
        ),
        Err(InvalidBucket::TooSlow)
    );
    assert!(
        TokenBucket::new(
            14,
            Rate {
                requests: 1,
                window: Window::LONGEST
            }
        )
        .is_ok()
    );
}

fn slots(max_in_flight: u32, lease_secs: u32) -> Limit {
    Limit::new(LimitKind::Concurrency {
        max_in_flight,
        lease_secs,
    })
}

impl Counter {
    fn acquire(&mut self, micros: u64, lease: u128) -> bool {
        self.lease_call(micros, Cost::Hits(1), lease).lease == LeaseOutcome::Granted
    }

    fn release(&mut self, micros: u64, lease: u128) -> LeaseOutcome {
        self.lease_call(micros, Cost::Refund(1), lease).lease
    }

    fn lease_call(&mut self, micros: u64, cost: Cost, lease: u128) -> Outcomes {
        let call = Operation {
            lease: Some(LeaseId::from_bits(lease)),
            ..call_at(micros, cost)
        };
        check_and_apply(&self.set, Active::ALL, &mut self.states, call)
    }
}

#[test]
fn slots_are_held_until_their_lease_is_released_or_expires() {
    let mut counter = Counter::new([slots(2, 60)], Charge::Allowed);
    assert!(counter.acquire(0, 1) && counter.acquire(10, 2));
    let refused = counter.lease_call(20, Cost::Hits(1), 3);
    assert!(refused.refused && refused.lease == LeaseOutcome::None);
    assert_eq!(refused.limits[0].reset_after, Micros::from_secs(1));
    assert_eq!(counter.release(30, 3), LeaseOutcome::NotHeld);
    assert_eq!(counter.release(30, 1), LeaseOutcome::Released);
    assert_eq!(counter.release(30, 1), LeaseOutcome::NotHeld);
    assert!(counter.acquire(40, 4) && !counter.acquire(40, 5));
    let end = 10 + 60 * SECOND;
    assert!(!counter.acquire(end - 1, 6));
    assert!(counter.acquire(end, 6));
    assert_eq!(counter.release(end, 2), LeaseOutcome::NotHeld);
}

#[test]
fn an_operation_acquires_as_many_slots_as_hits() {
    let mut counter = Counter::new([slots(5, 60)], Charge::Allowed);
    counter.lease_call(0, Cost::Hits(3), 1);
    let second = counter.lease_call(0, Cost::Hits(2), 1);
    assert_eq!(second.limits[0].available, 0);
    assert_eq!(second.held_until, Some(Timestamp::from_secs(60)));
    assert_eq!(counter.release(1, 1), LeaseOutcome::Released);
    assert_eq!(counter.peek(1).available, 3);
    assert_eq!(counter.release(1, 1), LeaseOutcome::Released);
    let outcomes = counter.call(1, Cost::Peek);
    assert_eq!(
        (outcomes.limits[0].available, outcomes.held_until),
        (5, None)
    );
}

#[test]
fn refunds_without_a_lease_release_no_slot() {
    let minute = limit(LimitKind::FixedWindow, 9, window(Unit::Minute, 1));
    let mut counter = Counter::new([slots(2, 60), minute], Charge::Allowed);
    counter.acquire(0, 1);
    let refund = counter.call(0, Cost::Refund(1));
    assert_eq!(refund.lease, LeaseOutcome::MissingId);
    let remaining = refund.limits.iter().map(|outcome| outcome.available);
    assert_eq!(remaining.collect::<Vec<_>>(), [1, 9]);
}

#[test]
fn a_release_does_not_change_the_rates_of_its_list() {
    let minute = limit(LimitKind::FixedWindow, 9, window(Unit::Minute, 1));
    let mut counter = Counter::new([slots(2, 60), minute], Charge::Allowed);
    counter.acquire(0, 1);
    let given_back = counter.lease_call(0, Cost::Refund(1), 1);
    let remaining = given_back.limits.iter().map(|outcome| outcome.available);
    assert_eq!(remaining.collect::<Vec<_>>(), [2, 8]);
}

#[test]
fn the_nil_lease_is_not_released() {
    let mut counter = Counter::new([slots(2, 60)], Charge::Allowed);
    counter.hit(0, 1);
    let nil = LeaseId::NIL.bits();
    assert_eq!(counter.release(0, nil), LeaseOutcome::NotHeld);
    assert_eq!(counter.peek(0).available, 1);
}

#[test]
fn leases_outlive_a_changed_number_and_length() {
    let mut counter = Counter::new([slots(2, 60)], Charge::Allowed);
    assert!(counter.acquire(0, 1) && counter.acquire(0, 2));
    counter.set.limits = Box::new([slots(3, 10)]);
    assert!(counter.acquire(0, 3) && !counter.acquire(0, 4));
    assert!(counter.acquire(10 * SECOND, 5));
    assert!(counter.acquire(20 * SECOND, 6) && !counter.acquire(29 * SECOND, 7));
    assert_eq!(counter.release(59 * SECOND, 1), LeaseOutcome::Released);
}
