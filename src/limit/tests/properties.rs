//! The promises of the algorithms, each held against a model that remembers every hit.

use proptest::prelude::*;

use super::*;

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
                0 => limit(LimitKind::FixedWindow, requests, window),
                1 => limit(LimitKind::SlidingWindow, requests, window),
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

proptest! {
    #[test]
    fn a_fixed_window_never_passes_more_than_the_limit(requests in 1u32..12, calls in calls()) {
        let length = window(Unit::Second, 7);
        for charge in [Charge::Always, Charge::Allowed] {
            let mut counter = Counter::new([limit(LimitKind::FixedWindow, requests, length)], charge);
            let mut by_window = std::collections::BTreeMap::<u64, u64>::new();
            for (at, hits) in admitted(&mut counter, &calls) {
                *by_window.entry(at / length.length().get()).or_default() += hits;
            }
            prop_assert!(by_window.values().all(|passed| *passed <= requests.into()));
        }
    }

    #[test]
    fn a_window_of_a_calendar_never_passes_more_than_the_limit_and_starts_from_zero(
        requests in 1u32..12,
        calls in prop::collection::vec((0..20 * 3_600 * SECOND, 1u32..4), 1..120),
    ) {
        let zone = CalendarZone::named("Europe/Berlin").unwrap();
        let calendar = Calendar::new(CalendarStart::Day, 1, zone).unwrap();
        // The clock goes back on October 29.
        let mut now = Timestamp::from_rfc3339("2023-10-28T12:00:00Z").unwrap().micros();
        let kind = LimitKind::Calendar(CalendarRate { requests, calendar: Arc::new(calendar) });
        for charge in [Charge::Always, Charge::Allowed] {
            let mut counter = Counter::new([Limit::new(kind.clone())], charge);
            let LimitKind::Calendar(CalendarRate { calendar, .. }) = &kind else { unreachable!() };
            let (mut window, mut passed) = (Timestamp::default(), 0);
            for (pause, hits) in &calls {
                now += pause;
                let (start, end) = calendar.around(Timestamp::from_micros(now));
                if start != window {
                    (window, passed) = (start, 0);
                }
                let used = counter.peek(now);
                prop_assert_eq!(used.reset_after, end.since(Timestamp::from_micros(now)));
                let fits = passed + hits <= requests;
                if charge == Charge::Allowed {
                    prop_assert_eq!(counter.passes(now, *hits), fits);
                    passed += if fits { *hits } else { 0 };
                } else if counter.passes(now, *hits) {
                    passed += hits;
                    prop_assert!(passed <= requests);
                }
            }
        }
    }

    #[test]
    fn blocks_are_those_of_a_model(
        limit in any_limit(),
        charge in prop_oneof![Just(Charge::Always), Just(Charge::Allowed)],
        blocks in prop::collection::vec(prop_oneof![1u32..4, 20u32..90], 1..4),
        calls in calls(),
    ) {
        let penalty = Penalty::new(&blocks);
        let mut alone = Counter::new([limit.clone()], charge);
        let mut counter = Counter::new([Limit { penalty, ..limit }], charge);
        let longest = u64::from(*blocks.iter().max().unwrap()) * SECOND;
        let (mut ends, mut level) = (0, None);
        let mut now = 1_700_000_000 * SECOND;
        for (pause, hits) in calls {
            now += pause;
            let is_blocked = now < ends;
            prop_assert!(!is_blocked || counter.peek(now).over);
            let outcome = counter.hit(now, hits);
            let is_over = match is_blocked && charge == Charge::Allowed {
                true => true,
                false => alone.hit(now, hits).over || is_blocked,
            };
            prop_assert_eq!(outcome.over, is_over);
            if !is_over {
                prop_assert_eq!(outcome.block, BlockOutcome::None);
                continue;
            }
            if is_blocked {
                prop_assert_eq!(outcome.block, BlockOutcome::InForce);
            } else {
                prop_assert_eq!(outcome.block, BlockOutcome::Began);
                let next = level.filter(|_| now < ends + longest).map_or(0, |level: usize| level + 1);
                let next = next.min(blocks.len() - 1);
                level = Some(next);
                ends = now + u64::from(blocks[next]) * SECOND;
            }
            prop_assert_eq!(outcome.available, 0);
            prop_assert!(outcome.reset_after.get() >= ends - now);
            // Who waits that long is admitted.
            let mut states = counter.states.clone();
            let at = now + outcome.reset_after.get();
            let retry = call_at(at, Cost::Hits(hits));
            let admitted = !check_and_apply(&counter.set, Active::ALL, &mut states, retry).refused;
            prop_assert!(admitted || outcome.over_capacity);
        }
    }

    #[test]
    fn a_sliding_window_never_passes_more_than_the_limit_in_any_interval(
        requests in 1u32..12,
        calls in calls(),
    ) {
        let length = window(Unit::Second, 7);
        for charge in [Charge::Always, Charge::Allowed] {
            let mut counter = Counter::new([limit(LimitKind::SlidingWindow, requests, length)], charge);
            let passed = admitted(&mut counter, &calls);
            prop_assert!(most_within(&passed, length.length().get()) <= requests.into());
        }
    }

    #[test]
    fn a_sliding_window_returns_room_at_most_a_sixteenth_late(requests in 1u32..12, at in 0..7 * SECOND) {
        let length = window(Unit::Second, 7);
        let mut counter = Counter::new([limit(LimitKind::SlidingWindow, requests, length)], Charge::Allowed);
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
        prop_assume!(hits <= limit.capacity());
        let mut counter = Counter::new([limit.clone()], charge);
        let mut now = 1_700_000_000 * SECOND;
        for (pause, hits) in calls {
            now += pause;
            counter.passes(now, hits);
        }
        let refused = counter.hit(now, hits);
        if refused.over {
            let wait = refused.reset_after.get();
            let retry = |counter: &Counter, at| {
                let mut states = counter.states.clone();
                !check_and_apply(&counter.set, Active::ALL, &mut states, call_at(at, Cost::Hits(hits))).refused
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
        let remaining = counter.call(now, Cost::Refund(0)).limits[0].available;
        prop_assert!(!counter.passes(now, remaining + 1));
        prop_assert!(remaining == 0 || counter.passes(now, remaining));
        prop_assert!(!counter.passes(now, 1));
    }

    #[test]
    fn time_that_goes_back_by_less_than_a_window_grants_nothing(
        limit in any_limit(),
        back in prop::collection::vec(0..100u64, 1..40),
    ) {
        let length = limit.window().unwrap().length().get();
        let back: Vec<u64> = back.into_iter().map(|percent| length * percent / 100).collect();
        let mut counter = Counter::new([limit], Charge::Allowed);
        let now = 1_700_000_000 * SECOND;
        while counter.passes(now, 1) {}
        for back in back {
            prop_assert!(!counter.passes(now - back, 1));
            prop_assert!(counter.peek(now - back).over);
        }
    }

    #[test]
    fn a_clock_that_was_ahead_grants_nothing_and_costs_a_window_at_most(
        limit in any_limit(),
        charge in prop_oneof![Just(Charge::Always), Just(Charge::Allowed)],
        before in 0u32..12,
        ahead in 121 * SECOND..1 << 50,
        peeks_first in any::<bool>(),
    ) {
        let window = limit.window().unwrap();
        let now = 1_700_000_000 * SECOND + 123_456;
        let mut counter = Counter::new([limit.clone()], charge);
        for _ in 0..before {
            counter.passes(now, 1);
        }
        let available = counter.peek(now + ahead).available;
        counter.passes(now + ahead, available);
        if peeks_first {
            prop_assert!(counter.peek(now).available == 0);
        }
        let refused = counter.hit(now, 1);
        prop_assert!(refused.over && refused.available == 0);
        let longest = match limit.kind {
            // A hit counts until the end of its segment.
            LimitKind::SlidingWindow(_) => window.length().get() / 16 * 17,
            LimitKind::TokenBucket(bucket) => {
                let debt = u64::from(bucket.burst()) + 1;
                let exact = window.length().get() * debt / u64::from(bucket.rate().requests);
                exact + exact / 100_000 + 1
            }
            _ => window.length().get(),
        };
        prop_assert!(refused.reset_after.get() <= longest);
        prop_assert!(counter.peek(now + refused.reset_after.get() - 1).over);
        prop_assert!(counter.passes(now + longest, 1));
    }

    #[test]
    fn leases_of_a_clock_that_was_ahead_end_on_time(
        max_in_flight in 1u32..5,
        held in 0u32..5,
        ahead in 6 * SECOND..1 << 50,
    ) {
        let mut counter = Counter::new([slots(max_in_flight, 5)], Charge::Allowed);
        let now = 1_700_000_000 * SECOND;
        for lease in 0..held {
            counter.acquire(now, u128::from(lease) + 1);
        }
        while counter.acquire(now + ahead, 100) {}
        prop_assert!(!counter.acquire(now, 200));
        prop_assert!(!counter.acquire(now + 5 * SECOND - 1, 200));
        prop_assert!(counter.acquire(now + 5 * SECOND, 200));
    }

    #[test]
    fn a_look_writes_nothing(limit in any_limit(), calls in calls()) {
        for charge in [Charge::Always, Charge::Allowed] {
            let mut counter = Counter::new([limit.clone()], charge);
            let mut now = 1_700_000_000 * SECOND;
            for (pause, hits) in &calls {
                now += pause;
                let before = counter.states.clone();
                counter.peek(now);
                prop_assert_eq!(&counter.states, &before);
                counter.passes(now, *hits);
            }
        }
    }

    #[test]
    fn a_refund_takes_back_what_was_charged(limit in any_limit(), hits in 1u32..12, more in 0u32..30) {
        let mut counter = Counter::new([limit.clone()], Charge::Always);
        let now = 1_700_000_000 * SECOND;
        let fresh = counter.call(now, Cost::Refund(1)).limits[0].available;
        counter.hit(now, hits);
        let refunded = counter.call(now, Cost::Refund(hits + more)).limits[0];
        prop_assert!(!refunded.over);
        prop_assert_eq!(refunded.available, fresh);
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
                !check_and_apply(&one.set, Active::ALL, &mut states, call_at(now, Cost::Hits(hits))).refused
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

    #[test]
    fn slots_are_those_of_a_model_that_remembers_every_lease(
        max_in_flight in 0u32..5,
        calls in prop::collection::vec((0..3 * SECOND, 0u8..4, 0u128..6, 1u32..3), 1..120),
    ) {
        const LEASE: u64 = 5;
        let mut counter = Counter::new([slots(max_in_flight, LEASE as u32)], Charge::Allowed);
        // Lease, when it ends, slots.
        let mut model: Vec<(u128, u64, u32)> = Vec::new();
        let mut now = 1_700_000_000 * SECOND;
        for (pause, kind, lease, hits) in calls {
            now += pause;
            let held: u32 = model.iter().filter(|(_, end, _)| *end > now).map(|(_, _, slots)| slots).sum();
            match kind {
                0 | 1 => {
                    let fits = held + hits <= max_in_flight;
                    let outcomes = counter.lease_call(now, Cost::Hits(hits), lease);
                    prop_assert_eq!(outcomes.refused, !fits);
                    prop_assert_eq!(outcomes.lease == LeaseOutcome::Granted, fits);
                    if fits {
                        model.push((lease, now + LEASE * SECOND, hits));
                    }
                }
                2 => {
                    let own = |(of, end, _): &(u128, u64, u32)| *of == lease && *end > now && lease != 0;
                    let found = model.iter().position(own);
                    let outcome = counter.release(now, lease);
                    prop_assert_eq!(outcome == LeaseOutcome::Released, found.is_some());
                    found.map(|at| model.remove(at));
                }
                _ => {
                    let remaining = counter.peek(now).available;
                    prop_assert_eq!(remaining, max_in_flight - held);
                }
            }
            let held: u32 = model.iter().filter(|(_, end, _)| *end > now).map(|(_, _, slots)| slots).sum();
            prop_assert!(held <= max_in_flight);
        }
    }

    #[test]
    fn slots_are_not_freed_by_time_that_goes_back_by_less_than_a_lease(
        max_in_flight in 1u32..5,
        times in prop::collection::vec(0..5 * SECOND, 1..60),
    ) {
        let mut counter = Counter::new([slots(max_in_flight, 5)], Charge::Allowed);
        let start = 1_700_000_000 * SECOND;
        let mut latest = start;
        // When each lease was granted, by the latest time at which one was: none ends before its length has passed.
        let mut granted: Vec<u64> = Vec::new();
        for (at, time) in times.into_iter().enumerate() {
            if counter.acquire(start + time, at as u128 + 1) {
                latest = latest.max(start + time);
                granted.retain(|granted| granted + 5 * SECOND > start + time);
                granted.push(latest);
                prop_assert!(granted.len() <= max_in_flight as usize);
            }
        }
    }
}
