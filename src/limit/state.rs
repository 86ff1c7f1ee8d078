//! What a counter remembers: one state for each limit of its rule.

use super::active::Active;
use super::concurrency::LeaseTable;
use super::count::{Count, StateDelta};
use super::fixed_window::FixedWindowState;
use super::penalty::{Block, Penalty};
use super::sliding_window::SlidingWindowState;
use super::token_bucket::TokenBucketState;
use super::{Algorithm, Limit, LimitKind, LimitSet};
use crate::clock::{Micros, Timestamp};
use crate::request::LeaseId;

/// What one limit remembers: plain data of a fixed size, but for leases and blocks.
///
/// A state belongs to the limits of its algorithm and window, so a limit whose number was changed
/// keeps its state, and one whose algorithm or window was changed does not. Leases keep the length
/// that they were granted with, so they belong to every concurrency limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Of a fixed window.
    FixedWindow {
        /// The length of the window in seconds.
        window_secs: u32,
        /// The hits of the current window.
        count: FixedWindowState,
    },
    /// Of windows of a calendar.
    Calendar {
        /// The unit and the multiplier, as the seconds of a window of 30-day months and 365-day years. A change of the time
        /// zone, or of the day on which windows begin, keeps the hits that were counted since then.
        window_secs: u32,
        /// The hits of the current window.
        count: FixedWindowState,
    },
    /// Of a sliding window.
    SlidingWindow {
        /// The length of the window in seconds.
        window_secs: u32,
        /// The hits by segment.
        segments: Box<SlidingWindowState>,
    },
    /// Of a token bucket.
    TokenBucket {
        /// The length in seconds of the window of its rate.
        window_secs: u32,
        /// How far the bucket is from full.
        debt: TokenBucketState,
    },
    /// Of a concurrency limit.
    Concurrency(Box<LeaseTable>),
    /// Of any other limit, once a breach has begun a block.
    Penalized(Box<PenalizedState>),
}

/// The state of a limit that has begun a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PenalizedState {
    pub(super) block: Block,
    /// What is counted.
    pub(super) count: State,
}

/// The states of a rule's limits, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum States {
    /// Of a rule with one limit.
    One(State),
    /// Of a rule with a list of limits.
    Many(Box<[State]>),
}

/// The overhead of one allocation, on average.
const ALLOCATION_BYTES: usize = 8;

impl State {
    /// The state of a limit that has counted nothing.
    pub fn fresh(limit: &Limit) -> Self {
        match &limit.kind {
            LimitKind::FixedWindow(rate) => Self::FixedWindow {
                window_secs: rate.window.secs(),
                count: FixedWindowState::default(),
            },
            LimitKind::Calendar(rate) => Self::Calendar {
                window_secs: rate.calendar.window().secs(),
                count: FixedWindowState::default(),
            },
            LimitKind::SlidingWindow(rate) => Self::SlidingWindow {
                window_secs: rate.window.secs(),
                segments: Box::default(),
            },
            LimitKind::TokenBucket(bucket) => Self::TokenBucket {
                window_secs: bucket.rate().window.secs(),
                debt: TokenBucketState::default(),
            },
            LimitKind::Concurrency { .. } => Self::Concurrency(Box::default()),
        }
    }

    /// The algorithm that it belongs to.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::FixedWindow { .. } | Self::Calendar { .. } => Algorithm::FixedWindow,
            Self::SlidingWindow { .. } => Algorithm::SlidingWindow,
            Self::TokenBucket { .. } => Algorithm::TokenBucket,
            Self::Concurrency(_) => Algorithm::Concurrency,
            Self::Penalized(penalized) => penalized.count.algorithm(),
        }
    }

    /// Whether it is of the algorithm and window of `limit`.
    pub fn belongs_to(&self, limit: &Limit) -> bool {
        match (self, &limit.kind) {
            (Self::FixedWindow { window_secs, .. }, LimitKind::FixedWindow(rate))
            | (Self::SlidingWindow { window_secs, .. }, LimitKind::SlidingWindow(rate)) => {
                *window_secs == rate.window.secs()
            }
            (Self::Calendar { window_secs, .. }, LimitKind::Calendar(rate)) => {
                *window_secs == rate.calendar.window().secs()
            }
            (Self::TokenBucket { window_secs, .. }, LimitKind::TokenBucket(bucket)) => {
                *window_secs == bucket.rate().window.secs()
            }
            (Self::Concurrency(_), LimitKind::Concurrency { .. }) => true,
            (Self::Penalized(penalized), _) => penalized.count.belongs_to(limit),
            _ => false,
        }
    }

    /// Adds a delta of the same algorithm, and takes over its block if that ends later. Leases are never counted delta.
    pub(super) fn merge(&mut self, limit: &Limit, delta: StateDelta<'_, Self>) {
        let ends = |block: Option<Block>| block.map_or(Timestamp::default(), |block| block.until);
        if let Some(block) = delta.local.block()
            && block.until > ends(self.block())
        {
            self.set_block(block);
        }
        let at_least = delta.at_least;
        let (remote, local) = (delta.remote.counted(), delta.local.counted());
        match (self.counted_mut(), remote, local) {
            (
                Self::FixedWindow { count, .. },
                Self::FixedWindow { count: remote, .. },
                Self::FixedWindow { count: local, .. },
            )
            | (
                Self::Calendar { count, .. },
                Self::Calendar { count: remote, .. },
                Self::Calendar { count: local, .. },
            ) => count.merge(&StateDelta {
                remote,
                local,
                at_least,
            }),
            (
                Self::SlidingWindow { segments, .. },
                Self::SlidingWindow {
                    segments: remote, ..
                },
                Self::SlidingWindow {
                    segments: local, ..
                },
            ) => segments.merge(&StateDelta {
                remote: &**remote,
                local: &**local,
                at_least,
            }),
            (
                Self::TokenBucket { debt, .. },
                Self::TokenBucket { debt: remote, .. },
                Self::TokenBucket { debt: local, .. },
            ) => {
                if let LimitKind::TokenBucket(bucket) = &limit.kind {
                    debt.merge(
                        bucket,
                        &StateDelta {
                            remote,
                            local,
                            at_least,
                        },
                    );
                }
            }
            _ => {}
        }
    }

    fn correct(&mut self, limit: &Limit, now: Timestamp) {
        match (self, &limit.kind) {
            (Self::FixedWindow { count, .. }, LimitKind::FixedWindow(rate)) => {
                count.correct(rate, now);
            }
            (Self::Calendar { count, .. }, LimitKind::Calendar(rate)) => {
                count.correct(rate, now);
            }
            (Self::SlidingWindow { segments, .. }, LimitKind::SlidingWindow(rate)) => {
                segments.correct(rate, now);
            }
            (Self::TokenBucket { debt, .. }, LimitKind::TokenBucket(bucket)) => {
                debt.correct(bucket, now);
            }
            (Self::Concurrency(leases), LimitKind::Concurrency { lease_secs, .. }) => {
                leases.correct_leases(now, Micros::from_secs(u64::from(*lease_secs)));
            }
            (Self::Penalized(penalized), _) => {
                penalized.count.correct(limit, now);
                if let Some(penalty) = &limit.penalty {
                    penalized.block.correct(penalty, now);
                }
            }
            _ => {}
        }
    }

    /// What is counted, without the block.
    pub(super) fn counted(&self) -> &Self {
        match self {
            Self::Penalized(penalized) => &penalized.count,
            count => count,
        }
    }

    pub(super) fn counted_mut(&mut self) -> &mut Self {
        match self {
            Self::Penalized(penalized) => &mut penalized.count,
            count => count,
        }
    }

    /// The latest block, if there was one.
    pub(super) fn block(&self) -> Option<Block> {
        match self {
            Self::Penalized(penalized) => Some(penalized.block),
            _ => None,
        }
    }

    pub(super) fn set_block(&mut self, block: Block) {
        match self {
            Self::Penalized(penalized) => penalized.block = block,
            _ => {
                let count = self.clone();
                *self = Self::Penalized(Box::new(PenalizedState { block, count }));
            }
        }
    }

    /// The end of the block that is in force at `now`.
    pub(super) fn blocked_until(&self, now: Timestamp) -> Option<Timestamp> {
        let block = self.block().filter(|block| block.until > now);
        block.map(|block| block.until)
    }

    /// Begins a block, unless one is in force.
    pub(super) fn penalize(&mut self, penalty: &Penalty, now: Timestamp) {
        if self.blocked_until(now).is_none() {
            self.set_block(penalty.block(self.block(), now));
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::SlidingWindow { .. } => size_of::<SlidingWindowState>() + ALLOCATION_BYTES,
            Self::Concurrency(leases) => {
                size_of::<LeaseTable>() + leases.heap_bytes() + 2 * ALLOCATION_BYTES
            }
            Self::Penalized(penalized) => {
                size_of::<PenalizedState>() + penalized.count.heap_bytes() + ALLOCATION_BYTES
            }
            Self::FixedWindow { .. } | Self::Calendar { .. } | Self::TokenBucket { .. } => 0,
        }
    }
}

impl States {
    /// The states of limits that have counted nothing.
    pub fn fresh(set: &LimitSet) -> Self {
        match &*set.limits {
            [limit] => Self::One(State::fresh(limit)),
            limits => Self::Many(limits.iter().map(State::fresh).collect()),
        }
    }

    /// Whether they belong to the limits of `set`, in its order.
    pub fn is_aligned(&self, set: &LimitSet) -> bool {
        let states = self.as_slice();
        states.len() == set.limits.len()
            && states
                .iter()
                .zip(&set.limits)
                .all(|(state, limit)| state.belongs_to(limit))
    }

    /// Makes them those of `set`: a limit keeps the first state left that belongs to it, and starts
    /// fresh if there is none.
    pub fn align(&mut self, set: &LimitSet) {
        if self.is_aligned(set) {
            return;
        }
        let mut left = self.as_slice().to_vec();
        let mut next = |limit: &Limit| match left.iter().position(|state| state.belongs_to(limit)) {
            Some(at) => left.remove(at),
            None => State::fresh(limit),
        };
        *self = match &*set.limits {
            [limit] => Self::One(next(limit)),
            limits => Self::Many(limits.iter().map(next).collect()),
        };
    }

    /// Corrects the states that a clock that was ahead has written, as a check does. They must be aligned to `set`.
    pub fn correct(&mut self, set: &LimitSet, active: Active, now: Timestamp) {
        let limits = set.limits.iter().zip(self.as_mut_slice()).enumerate();
        for (_, (limit, state)) in limits.filter(|(index, _)| active.contains(*index)) {
            state.correct(limit, now);
        }
    }

    /// Releases one grant of that lease in each of them, and returns whether there was any.
    pub fn release(&mut self, now: Timestamp, lease: LeaseId) -> bool {
        let mut released = false;
        for state in self.as_mut_slice() {
            if let State::Concurrency(leases) = state {
                released |= leases.release(now, lease);
            }
        }
        released
    }

    /// When the last lease expires; `None` if none is held now.
    pub fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        let held = self.as_slice().iter().filter_map(|state| match state {
            State::Concurrency(leases) => leases.held_until(now),
            _ => None,
        });
        held.max()
    }

    /// Bytes of their allocations, with the allocator's overhead.
    pub fn heap_bytes(&self) -> usize {
        let inner: usize = self.as_slice().iter().map(State::heap_bytes).sum();
        match self {
            Self::One(_) => inner,
            Self::Many(states) => inner + size_of_val::<[State]>(states) + ALLOCATION_BYTES,
        }
    }

    /// In the order of the limits.
    pub fn as_slice(&self) -> &[State] {
        match self {
            Self::One(state) => std::slice::from_ref(state),
            Self::Many(states) => states,
        }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [State] {
        match self {
            Self::One(state) => std::slice::from_mut(state),
            Self::Many(states) => states,
        }
    }
}
