//! Limits: what a rule allows, what is remembered per counter, and how a call changes it.
//!
//! Everything in this module is pure: time is an argument, and nothing is shared. All numbers stay
//! below 2^53, so that a store that computes in doubles (Redis' Lua) decides the same.
//!
//! [`check_and_apply`] is the entry point. `rate` parses and displays limits, `delta` merges hits
//! that were counted in two places.

mod active;
mod calendar;
mod changed_rate;
mod check;
mod concurrency;
mod count;
mod delta;
pub(crate) mod encoding;
mod ends;
mod fixed_window;
mod penalty;
mod rate;
mod sliding_window;
mod state;

mod token_bucket;
mod window;

pub use active::Active;
pub use calendar::{Calendar, CalendarStart, CalendarZone, Weekday};
pub use check::{LeaseOutcome, Operation, Outcome, Outcomes, Scope, apply, check, check_and_apply};
pub use concurrency::{LeaseTable, MAX_IN_FLIGHT};
pub use delta::Delta;
pub use encoding::InvalidStates;
pub use ends::EndHint;
pub use fixed_window::FixedWindowState;
pub use penalty::{BlockOutcome, Penalty};
pub use rate::{Quota, Rate};
pub use sliding_window::SlidingWindowState;
pub use state::{PenalizedState, State, States};
pub use token_bucket::{InvalidBucket, TokenBucket, TokenBucketState};
pub use window::Window;

use std::sync::Arc;

use crate::clock::{Micros, Timestamp};

use serde::{Deserialize, Serialize};

/// The highest number a counter reaches; it stays there.
pub const MAX_COUNT: u64 = 1 << 52;

/// One limit of a rule, complete and valid.
///
/// ```
/// use weir::limit::{Limit, LimitKind, Rate, TokenBucket};
///
/// let minute = Rate::parse("60 per minute").expect("a rate");
/// let limit = Limit::new(LimitKind::FixedWindow(minute));
/// assert_eq!(limit.to_string(), "60 per minute");
///
/// let bucket = TokenBucket::new(90, minute).expect("a bucket");
/// let limit = Limit::new(LimitKind::TokenBucket(bucket));
/// assert_eq!(limit.to_string(), "60 per minute, burst 90");
/// assert_eq!(limit.capacity(), 90);
///
/// let limit = Limit::new(LimitKind::Concurrency { max_in_flight: 8, lease_secs: 180 });
/// assert_eq!(limit.to_string(), "8 at once (lease 180 s)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its name: reported to the proxy, and what `replaces` refers to.
    pub name: Option<Arc<str>>,
    /// Counted, but never refuses and is never reported: to try a new number beside the present one.
    pub shadow_mode: bool,
    /// How hits are counted, and how many are allowed.
    pub kind: LimitKind,
    /// What a breach costs besides the refusal; always `None` for a concurrency limit.
    pub penalty: Option<Penalty>,
}

/// How a limit counts, with the numbers of its algorithm.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Windows aligned to the Unix epoch, each starting from 0.
    FixedWindow(Rate),
    /// Windows of a calendar, each starting from 0.
    Calendar(CalendarRate),
    /// A window that slides in sixteenths of its length.
    SlidingWindow(Rate),
    /// A bucket of tokens that is filled at a rate (GCRA).
    TokenBucket(TokenBucket),
    /// Slots, each held by a lease until it is released or expires.
    Concurrency {
        /// The slots; 0 refuses all, at most [`MAX_IN_FLIGHT`].
        max_in_flight: u32,
        /// Seconds until a lease that was not released expires; 1 to [`Window::MAX_SECS`].
        lease_secs: u32,
    },
}

/// Requests per window of a calendar.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CalendarRate {
    /// Hits per window; 0 refuses all.
    pub requests: u32,
    /// The windows that they are counted in.
    pub calendar: Arc<Calendar>,
}

/// The name of an algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// See [`LimitKind::FixedWindow`] and [`LimitKind::Calendar`].
    FixedWindow,
    /// See [`LimitKind::SlidingWindow`].
    SlidingWindow,
    /// See [`LimitKind::TokenBucket`].
    TokenBucket,
    /// See [`LimitKind::Concurrency`].
    Concurrency,
}

/// Whether a refused hit costs anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Charge {
    /// Hits are added even when they exceed the limit.
    Always,
    /// A refused hit costs nothing, in any limit of the rule.
    Allowed,
}

/// The limits of one rule: counted together for one client, under one lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitSet {
    /// In the order of the policy; 1 to [`LimitSet::MAX`].
    pub limits: Box<[Limit]>,
    /// The same for all of them.
    pub charge: Charge,
}

impl Limit {
    /// An enforced limit without a name.
    pub const fn new(kind: LimitKind) -> Self {
        Self {
            name: None,
            shadow_mode: false,
            kind,
            penalty: None,
        }
    }

    /// The name of its algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        match self.kind {
            LimitKind::FixedWindow(_) | LimitKind::Calendar(_) => Algorithm::FixedWindow,
            LimitKind::SlidingWindow(_) => Algorithm::SlidingWindow,
            LimitKind::TokenBucket(_) => Algorithm::TokenBucket,
            LimitKind::Concurrency { .. } => Algorithm::Concurrency,
        }
    }

    /// What it allows over time, or at once: all of it but the algorithm, the burst and the lease.
    pub fn quota(&self) -> Quota {
        match &self.kind {
            LimitKind::FixedWindow(rate) | LimitKind::SlidingWindow(rate) => Quota::Rate(*rate),
            LimitKind::Calendar(rate) => Quota::Rate(Rate {
                requests: rate.requests,
                window: rate.calendar.window(),
            }),
            LimitKind::TokenBucket(bucket) => Quota::Rate(bucket.rate()),
            LimitKind::Concurrency { max_in_flight, .. } => Quota::Concurrent(*max_in_flight),
        }
    }

    /// The hits that a client that has sent none can send at once: requests, burst or slots.
    pub const fn capacity(&self) -> u32 {
        match &self.kind {
            LimitKind::FixedWindow(rate) | LimitKind::SlidingWindow(rate) => rate.requests,
            LimitKind::Calendar(rate) => rate.requests,
            LimitKind::TokenBucket(bucket) => bucket.burst(),
            LimitKind::Concurrency { max_in_flight, .. } => *max_in_flight,
        }
    }

    /// The window in which hits are counted; `None` for a concurrency limit. Of a calendar only the unit and the multiplier
    /// are those of its windows: [`Limit::window_secs_at`] has their length.
    pub fn window(&self) -> Option<Window> {
        self.quota().window()
    }

    /// The length in seconds of the window around `now`; `None` for a concurrency limit.
    pub fn window_secs_at(&self, now: Timestamp) -> Option<u32> {
        match &self.kind {
            LimitKind::Calendar(rate) => Some(rate.calendar.secs_at(now)),
            _ => self.window().map(Window::secs),
        }
    }

    /// Whether it limits how many requests are in flight, rather than how many come in a time.
    pub const fn is_concurrency(&self) -> bool {
        matches!(self.kind, LimitKind::Concurrency { .. })
    }
}

impl Algorithm {
    /// Every algorithm, the default of a policy first.
    pub const ALL: [Self; 4] = [
        Self::FixedWindow,
        Self::SlidingWindow,
        Self::TokenBucket,
        Self::Concurrency,
    ];

    /// Its name in a policy.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FixedWindow => "fixed_window",
            Self::SlidingWindow => "sliding_window",
            Self::TokenBucket => "token_bucket",
            Self::Concurrency => "concurrency",
        }
    }
}

impl LimitSet {
    /// The most limits that one rule can have.
    pub const MAX: usize = 16;

    /// The longest lease that its concurrency limits grant; `None` if it has none.
    pub fn longest_lease(&self) -> Option<Micros> {
        let lengths = self.limits.iter().filter_map(|limit| match limit.kind {
            LimitKind::Concurrency { lease_secs, .. } => Some(Micros::from_secs(lease_secs.into())),
            _ => None,
        });
        lengths.max()
    }

    /// Whether the states of its limits can grow: by leases, or by the first block.
    pub fn can_grow(&self) -> bool {
        let can_grow = |limit: &Limit| limit.is_concurrency() || limit.penalty.is_some();
        self.limits.iter().any(can_grow)
    }

    /// Whether one of its limits is a concurrency limit.
    pub fn has_leases(&self) -> bool {
        self.limits.iter().any(Limit::is_concurrency)
    }
}

#[cfg(test)]
mod tests;
