//! What is remembered of one client key.

use super::apart::Own;
use super::concurrency::Leases;
use super::fixed_window::WindowCount;
use super::sliding_window::Slots;
use super::token_bucket::Debt;
use super::{Algorithm, Limit, LimitSet};
use crate::clock::{Micros, Timestamp};
use crate::request::LeaseId;

/// What one limit remembers: plain data of a fixed size, or of one that its leases make.
///
/// It is known by its algorithm and its window's length in seconds, so that a limit whose number
/// was changed goes on with it, and one whose algorithm or window was changed does not. Leases are
/// held for as long as was said when they were granted, so only new ones know of another length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Of a fixed window.
    FixedWindow(u32, WindowCount),
    /// Of a sliding window.
    SlidingWindow(u32, Box<Slots>),
    /// Of a token bucket.
    TokenBucket(u32, Debt),
    /// Of slots.
    Concurrency(Box<Leases>),
}

/// The states of a rule's limits, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum States {
    /// Of the usual rule.
    One(State),
    /// Of a list of limits.
    Many(Box<[State]>),
}

/// What an allocator takes for itself, on average.
const ALLOCATION_BYTES: usize = 8;

/// What every algorithm can say of a limit and do for it; `now` may stand still or go back.
pub(super) trait Count {
    /// Whether so many hits would be within the limit.
    fn fits(&self, limit: &Limit, now: Timestamp, hits: u64) -> bool;

    /// Counts hits, within the limit or not.
    fn add(&mut self, limit: &Limit, now: Timestamp, hits: u64);

    /// Gives hits back, at most those counted.
    fn refund(&mut self, limit: &Limit, now: Timestamp, hits: u64);

    /// Hits that would pass now.
    fn remaining(&self, limit: &Limit, now: Timestamp) -> u64;

    /// The time until so many hits pass; hits above the limit or burst are taken for all of it.
    fn until_fits(&self, limit: &Limit, now: Timestamp, hits: u64) -> Micros;

    /// The time until nothing is counted any more.
    fn until_clear(&self, limit: &Limit, now: Timestamp) -> Micros;
}

impl State {
    /// The state of a limit that has seen nothing.
    pub fn fresh(limit: &Limit) -> Self {
        let secs = limit.window.secs();
        match limit.algorithm {
            Algorithm::FixedWindow => Self::FixedWindow(secs, WindowCount::default()),
            Algorithm::SlidingWindow => Self::SlidingWindow(secs, Box::default()),
            Algorithm::TokenBucket(_) => Self::TokenBucket(secs, Debt::default()),
            Algorithm::Concurrency => Self::Concurrency(Box::default()),
        }
    }

    /// Whether `limit` goes on with it.
    pub fn belongs_to(&self, limit: &Limit) -> bool {
        let secs = limit.window.secs();
        match (self, limit.algorithm) {
            (Self::FixedWindow(of, _), Algorithm::FixedWindow)
            | (Self::SlidingWindow(of, _), Algorithm::SlidingWindow)
            | (Self::TokenBucket(of, _), Algorithm::TokenBucket(_)) => *of == secs,
            (Self::Concurrency(_), Algorithm::Concurrency) => true,
            _ => false,
        }
    }

    /// Adds what was counted apart from it, by the same algorithm; slots are not.
    pub(super) fn settle(&mut self, limit: &Limit, own: Own<'_, Self>) {
        let Own { base, restores, .. } = own;
        match (self, base, own.own) {
            (
                Self::FixedWindow(_, count),
                Self::FixedWindow(_, base),
                Self::FixedWindow(_, own),
            ) => count.settle(&Own {
                base,
                own,
                restores,
            }),
            (
                Self::SlidingWindow(_, slots),
                Self::SlidingWindow(_, base),
                Self::SlidingWindow(_, own),
            ) => slots.settle(&Own {
                base: &**base,
                own: &**own,
                restores,
            }),
            (Self::TokenBucket(_, debt), Self::TokenBucket(_, base), Self::TokenBucket(_, own)) => {
                debt.settle(
                    limit,
                    &Own {
                        base,
                        own,
                        restores,
                    },
                );
            }
            _ => {}
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::SlidingWindow(..) => size_of::<Slots>() + ALLOCATION_BYTES,
            Self::Concurrency(leases) => {
                size_of::<Leases>() + leases.heap_bytes() + 2 * ALLOCATION_BYTES
            }
            Self::FixedWindow(..) | Self::TokenBucket(..) => 0,
        }
    }
}

impl States {
    /// The states of limits that have seen nothing.
    pub fn fresh(set: &LimitSet) -> Self {
        match &*set.limits {
            [limit] => Self::One(State::fresh(limit)),
            limits => Self::Many(limits.iter().map(State::fresh).collect()),
        }
    }

    /// Whether they are those of `set`, in its order.
    pub fn is_aligned(&self, set: &LimitSet) -> bool {
        let states = self.as_slice();
        states.len() == set.limits.len()
            && states
                .iter()
                .zip(&set.limits)
                .all(|(state, limit)| state.belongs_to(limit))
    }

    /// Makes them those of `set`: a limit goes on with the state of the same algorithm and window,
    /// the first of several alike with the first, and starts fresh if there is none.
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

    /// Frees what one take of that lease holds in each of them; tells whether there was any.
    pub fn give_back(&mut self, now: Timestamp, lease: LeaseId) -> bool {
        let mut freed = false;
        for state in self.as_mut_slice() {
            if let State::Concurrency(leases) = state {
                freed |= leases.give_back(now, lease);
            }
        }
        freed
    }

    /// When the last lease ends; none if none is held now.
    pub fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        let held = self.as_slice().iter().filter_map(|state| match state {
            State::Concurrency(leases) => leases.held_until(now),
            _ => None,
        });
        held.max()
    }

    /// Bytes that they hold on the heap, what the allocator takes for itself included.
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
