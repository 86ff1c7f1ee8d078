//! What both stores guarantee, through the API of `Store`.

use std::sync::Arc;

use weir::clock::Micros;
use weir::limit::{Charge, LeaseOutcome, LimitKind, LimitSet};
use weir::request::Cost;
use weir::store::{Batch, MemoryConfig, Store};

use crate::stores::{
    NOW, apply, bucket, fresh, hit, key, limit, passes, rule, runtime, slots, with_lease,
};

/// Runs a test on each store.
fn on_both<F: Future<Output = ()>>(test: impl Fn(Arc<Store>) -> F) {
    let runtime = runtime();
    let memory = Store::memory(MemoryConfig::default()).unwrap();
    runtime.block_on(test(Arc::new(memory)));
    let redis = fresh(&runtime);
    runtime.block_on(test(Arc::new(redis)));
}

fn by_hour(requests: u32) -> LimitSet {
    rule(
        [limit(LimitKind::FixedWindow, requests, 3_600)],
        Charge::Allowed,
    )
}

#[test]
fn concurrent_callers_share_exactly_the_limit() {
    on_both(|store| async move {
        for (index, set) in [
            by_hour(100),
            rule([limit(LimitKind::FixedWindow, 100, 3_600)], Charge::Always),
            rule(
                [limit(LimitKind::SlidingWindow, 100, 3_600)],
                Charge::Allowed,
            ),
            rule([bucket(100, 100, 3_600)], Charge::Allowed),
            rule(
                [
                    limit(LimitKind::FixedWindow, 500, 3_600),
                    limit(LimitKind::SlidingWindow, 100, 3_600),
                ],
                Charge::Allowed,
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let set = Arc::new(set);
            let callers = (0..8).map(|_| {
                let (store, set) = (Arc::clone(&store), Arc::clone(&set));
                async move {
                    let mut passed = 0;
                    for _ in 0..50 {
                        passed += u32::from(passes(&store, &format!("exact {index}"), &set).await);
                    }
                    passed
                }
            });
            let passed = futures_util::future::join_all(callers).await;
            assert_eq!(passed.iter().sum::<u32>(), 100, "{set:?}");
        }
    });
}

#[test]
fn a_batch_sees_its_own_earlier_hits() {
    on_both(|store| async move {
        let set = by_hour(20);
        let hit = hit(key(&store, "a"), &set, Cost::Hits(1));
        let answer = apply(&store, NOW, &[hit, hit]).await;
        let remaining: Vec<_> = answer
            .outcomes
            .iter()
            .map(|outcomes| outcomes.limits[0].available)
            .collect();
        assert_eq!(remaining, [19, 18]);
    });
}

#[test]
fn an_atomic_batch_that_is_refused_charges_none() {
    on_both(|store| async move {
        let (wide, narrow) = (by_hour(10), by_hour(1));
        let batch = || Batch {
            hits: [
                hit(key(&store, "wide"), &wide, Cost::Hits(1)),
                hit(key(&store, "narrow"), &narrow, Cost::Hits(1)),
            ]
            .into_iter()
            .collect(),
            atomic: true,
        };
        let refused = |answer: &weir::store::BatchOutcome| -> Vec<bool> {
            answer
                .outcomes
                .iter()
                .map(|outcomes| outcomes.refused)
                .collect()
        };
        assert_eq!(refused(&store.hit(NOW, &batch()).await), [false, false]);
        assert_eq!(refused(&store.hit(NOW, &batch()).await), [false, true]);
        let peek = hit(key(&store, "wide"), &wide, Cost::Peek);
        let left = apply(&store, NOW, &[peek]).await.outcomes[0].limits[0].available;
        assert_eq!(left, 9);
    });
}

#[test]
fn slots_are_held_until_they_are_released_or_expire() {
    on_both(|store| async move {
        let set = rule([slots(2, 30)], Charge::Allowed);
        let slot = key(&store, "slots");
        let leases: Vec<_> = (0..3).map(|_| store.new_lease()).collect();
        let ask = |index: usize, cost| with_lease(hit(slot, &set, cost), leases[index]);
        let mut done = Vec::new();
        for (index, cost) in [
            (0, Cost::Hits(1)),
            (1, Cost::Hits(1)),
            (2, Cost::Hits(1)),
            (0, Cost::Refund(1)),
            (0, Cost::Refund(1)),
            (2, Cost::Hits(1)),
        ] {
            let outcomes = apply(&store, NOW, &[ask(index, cost)])
                .await
                .outcomes
                .remove(0);
            done.push((outcomes.refused, outcomes.lease));
        }
        let expected = [
            (false, LeaseOutcome::Granted),
            (false, LeaseOutcome::Granted),
            (true, LeaseOutcome::None),
            (false, LeaseOutcome::Released),
            (false, LeaseOutcome::NotHeld),
            (false, LeaseOutcome::Granted),
        ];
        assert_eq!(done, expected);

        store.release(NOW, leases[1], &[slot]);
        let peek = hit(slot, &set, Cost::Peek);
        let left = async |now| apply(&store, now, &[peek]).await.outcomes[0].limits[0].available;
        assert_eq!(left(NOW).await, 1);
        assert_eq!(left(NOW.plus(Micros::from_secs(30))).await, 2);
    });
}
