//! Limits: what is allowed, what is remembered, and the step from one to the other.
//!
//! Everything here is pure: time is an argument, and nothing is shared. All numbers stay below
//! 2^53, so that a store which computes in doubles decides the same.

mod apart;
mod concurrency;
pub(crate) mod encoding;
mod fixed_window;
mod sliding_window;
mod state;
mod step;
mod token_bucket;
mod window;

pub use apart::Apart;
pub use concurrency::{Leases, MAX_IN_FLIGHT};
pub use encoding::NoStates;
pub use state::{State, States};
pub use step::{Active, Call, Extent, LeaseOutcome, Outcome, Outcomes, carry_out, judge, step};
pub use token_bucket::{InvalidBucket, TokenBucket};
pub use window::Window;

use std::sync::Arc;

/// The highest number a counter reaches; it stays there.
pub const MAX_COUNT: u64 = 1 << 52;

/// One limit, complete and valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How hits are counted.
    pub algorithm: Algorithm,
    /// Hits per window, or of [`Algorithm::Concurrency`] slots; 0 refuses all.
    pub requests_per_unit: u32,
    /// The window; of [`Algorithm::Concurrency`] the time after which a lease ends by itself.
    pub window: Window,
    /// Its name: reported to the client's proxy, and what `replaces` refers to.
    pub name: Option<Arc<str>>,
    /// Counted, but never refuses and is never reported: tomorrow's number beside today's.
    pub shadow_mode: bool,
}

impl Limit {
    const fn bucket(&self) -> TokenBucket {
        match self.algorithm {
            Algorithm::TokenBucket(bucket) => bucket,
            Algorithm::FixedWindow | Algorithm::SlidingWindow | Algorithm::Concurrency => {
                TokenBucket::NONE
            }
        }
    }

    /// Whether it limits how many are at work at once, not how many come in a time.
    pub fn is_concurrency(&self) -> bool {
        self.algorithm == Algorithm::Concurrency
    }

    /// The window in which hits are counted; none if it limits how many are at work at once.
    pub fn rate_window(&self) -> Option<Window> {
        (!self.is_concurrency()).then_some(self.window)
    }
}

/// How a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Windows aligned to the Unix epoch, each starting from 0.
    FixedWindow,
    /// A window that slides in sixteenths.
    SlidingWindow,
    /// A bucket of tokens, filled at the limit's rate (GCRA).
    TokenBucket(TokenBucket),
    /// Slots, held by leases until they are given back or end by themselves.
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

/// The limits of one rule: counted together for one client key, under one lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitSet {
    /// In the order of the policy; 1 to [`LimitSet::MAX`].
    pub limits: Box<[Limit]>,
    /// The same for all of them.
    pub charge: Charge,
}

impl LimitSet {
    /// The most limits that one rule can have.
    pub const MAX: usize = 16;

    /// Whether one of its limits is held by leases.
    pub fn has_leases(&self) -> bool {
        self.limits.iter().any(Limit::is_concurrency)
    }
}

#[cfg(test)]
mod tests;
