//! Penalties: once a limit has refused something, it refuses everything for a while.
//!
//! The first breach begins a block. A block has a fixed end: what is refused during it does not extend it. A breach soon after
//! a block begins the next longer one. Each counter keeps its block beside what it has counted, and only counters that have
//! been over their limit have one.

use std::sync::Arc;

use super::Window;
use crate::clock::{Micros, Timestamp};

/// How long a limit blocks a client after a breach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Penalty {
    /// In seconds, for the first breach, the second, and so on. The last is also for all that follow.
    block_secs: Arc<[u32]>,
}

/// The latest block of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// When it ends.
    pub(super) until: Timestamp,
    /// Which of the penalty's lengths it has, from 0.
    pub(super) level: u32,
}

/// What an operation met of a limit's penalty, or did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlockOutcome {
    /// No block.
    #[default]
    None,
    /// It was the breach that began a block.
    Began,
    /// A block was in force.
    InForce,
}

impl Penalty {
    /// The most lengths of one penalty.
    pub const MAX_LEVELS: usize = 8;

    /// `None` if there are no lengths or more than [`Penalty::MAX_LEVELS`], or if one is 0 or above [`Window::MAX_SECS`].
    pub fn new(block_secs: &[u32]) -> Option<Self> {
        let is_valid = |secs: &u32| (1..=Window::MAX_SECS).contains(&u64::from(*secs));
        let has_lengths = (1..=Self::MAX_LEVELS).contains(&block_secs.len());
        (has_lengths && block_secs.iter().all(is_valid)).then(|| Self {
            block_secs: block_secs.into(),
        })
    }

    /// The lengths in seconds; at least one.
    pub fn block_secs(&self) -> &[u32] {
        &self.block_secs
    }

    /// The length of the longest block.
    pub fn longest(&self) -> Micros {
        let longest = self.block_secs.iter().max();
        Micros::from_secs(longest.copied().unwrap_or_default().into())
    }

    /// The block that a breach at `now` begins. It counts as repeated until as much time has passed since the end of the last
    /// block as the longest one lasts.
    pub(super) fn block(&self, last: Option<Block>, now: Timestamp) -> Block {
        let repeated = last.filter(|last| now < last.until.plus(self.longest()));
        let level = repeated.map_or(0, |last| last.level.saturating_add(1));
        let level = level.min(self.block_secs.len() as u32 - 1);
        let secs = self.block_secs[level as usize];
        Block {
            until: now.plus(Micros::from_secs(secs.into())),
            level,
        }
    }
}

impl Block {
    /// Shortens a block that lasts longer than any of the penalty: it was begun by a clock that was ahead, or before the
    /// penalty was changed.
    pub(super) fn correct(&mut self, penalty: &Penalty, now: Timestamp) {
        self.until = self.until.min(now.plus(penalty.longest()));
    }
}
