//! When states count nothing any more, for stores that keep them only until then.

use super::state::{State, States};
use super::{LimitKind, LimitSet, Window};
use crate::clock::{Micros, Timestamp};

/// What states do not know of their limits, but their end depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EndHint {
    /// Seconds until the slowest token bucket has refilled one hit; 0 if there is none, infinite if it is unknown.
    secs_per_hit: f32,
    /// Seconds after the end of a block in which a breach counts as repeated.
    block_secs: u32,
}

impl EndHint {
    /// Of limits that are not known.
    pub const UNKNOWN: Self = Self {
        secs_per_hit: f32::INFINITY,
        block_secs: Window::LONGEST.secs(),
    };

    /// Of these limits.
    pub fn of(set: &LimitSet) -> Self {
        let seconds = set.limits.iter().map(|limit| match &limit.kind {
            LimitKind::TokenBucket(bucket) => {
                let rate = bucket.rate();
                rate.window.secs() as f32 / rate.requests.max(1) as f32
            }
            _ => 0.0,
        });
        let penalties = set.limits.iter().filter_map(|limit| limit.penalty.as_ref());
        let blocks = penalties.map(|penalty| penalty.longest().secs_ceil() as u32);
        Self {
            secs_per_hit: seconds.fold(0.0, f32::max),
            block_secs: blocks.max().unwrap_or(0),
        }
    }

    /// Of the limits of both.
    pub fn max(self, other: Self) -> Self {
        Self {
            secs_per_hit: self.secs_per_hit.max(other.secs_per_hit),
            block_secs: self.block_secs.max(other.block_secs),
        }
    }
}

impl State {
    /// The time from which it is as good as a fresh one.
    fn ends_at(&self, hint: EndHint) -> Timestamp {
        match self {
            Self::FixedWindow { window_secs, count } => {
                count.ends_at(Micros::from_secs(u64::from(*window_secs)))
            }
            // A month of 30 days may have 31, a year of 365 days 366, and the zone may change.
            Self::Calendar { window_secs, count } => {
                let secs = u64::from(*window_secs);
                count.ends_at(Micros::from_secs(secs + secs / 30 + 2 * 86_400))
            }
            Self::Penalized(penalized) => {
                let forgiven = Micros::from_secs(u64::from(hint.block_secs));
                let block = penalized.block.until.plus(forgiven);
                block.max(penalized.count.ends_at(hint))
            }
            Self::SlidingWindow {
                window_secs,
                segments,
            } => segments.ends_at(Micros::from_secs(u64::from(*window_secs))),
            // At least one hit is refilled in each window.
            Self::TokenBucket { window_secs, debt } => {
                debt.ends_at(hint.secs_per_hit.min(*window_secs as f32))
            }
            Self::Concurrency(leases) => {
                leases.held_until(Timestamp::default()).unwrap_or_default()
            }
        }
    }
}

impl States {
    /// The time from which they are as good as fresh ones, or later. `hint` is that of their limits.
    pub fn ends_at(&self, hint: EndHint) -> Timestamp {
        let ends = self.as_slice().iter().map(|state| state.ends_at(hint));
        ends.max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limit::{
        Active, Charge, Limit, Operation, Penalty, Rate, TokenBucket, check_and_apply,
    };
    use crate::request::{Cost, LeaseId, Unit};

    const START: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn limits() -> impl Strategy<Value = Vec<Limit>> {
        let limit = (0..4_u8, 1..50_u32, 1..20_u32, any::<bool>()).prop_map(
            |(kind, requests, multiplier, blocks)| {
                let window = Window::new(Unit::Second, multiplier).unwrap();
                let rate = Rate { requests, window };
                let mut limit = Limit::new(match kind {
                    0 => LimitKind::FixedWindow(rate),
                    1 => LimitKind::SlidingWindow(rate),
                    2 => LimitKind::TokenBucket(TokenBucket::new(3, rate).unwrap()),
                    _ => LimitKind::Concurrency {
                        max_in_flight: requests,
                        lease_secs: multiplier,
                    },
                });
                if blocks && !limit.is_concurrency() {
                    limit.penalty = Penalty::new(&[2, 5]);
                }
                limit
            },
        );
        proptest::collection::vec(limit, 1..4)
    }

    proptest! {
        #[test]
        fn states_that_have_ended_decide_as_fresh_ones(
            limits in limits(),
            hits in proptest::collection::vec((0..5_000_000_u64, 1..9_u32), 1..20),
            always: bool,
            knows_rate: bool,
        ) {
            let charge = if always { Charge::Always } else { Charge::Allowed };
            let set = LimitSet { limits: limits.into(), charge };
            let mut states = States::fresh(&set);
            let mut now = START;
            for (number, (passed, hits)) in hits.into_iter().enumerate() {
                now = now.plus(Micros::new(passed));
                let lease = Some(LeaseId::from_bits(number as u128 + 1));
                let op = Operation { now, cost: Cost::Hits(hits), lease };
                check_and_apply(&set, Active::ALL, &mut states, op);
            }
            let hint = if knows_rate { EndHint::of(&set) } else { EndHint::UNKNOWN };
            let end = states.ends_at(hint);
            for later in [0, 1, 1_000_003] {
                let op = Operation {
                    now: end.max(now).plus(Micros::new(later)),
                    cost: Cost::Hits(2),
                    lease: Some(LeaseId::from_bits(1 << 64)),
                };
                let mut fresh = States::fresh(&set);
                let expected = check_and_apply(&set, Active::ALL, &mut fresh, op);
                prop_assert_eq!(check_and_apply(&set, Active::ALL, &mut states.clone(), op), expected);
            }
        }
    }

    #[test]
    fn a_bucket_ends_when_it_is_full() {
        let window = Window::new(Unit::Minute, 1).unwrap();
        let rate = Rate {
            requests: 600,
            window,
        };
        let bucket = LimitKind::TokenBucket(TokenBucket::new(900, rate).unwrap());
        let set = LimitSet {
            limits: [Limit::new(bucket)].into(),
            charge: Charge::Allowed,
        };
        let mut states = States::fresh(&set);
        let op = Operation {
            now: START,
            cost: Cost::Hits(50),
            lease: None,
        };
        check_and_apply(&set, Active::ALL, &mut states, op);
        let takes = states.ends_at(EndHint::of(&set)).since(START);
        assert!((5_000_000..5_100_000).contains(&takes.get()), "{takes:?}");
    }
}
