//! What was counted: hits at a rule, and decisions in a domain.

use serde::{Deserialize, Serialize};

/// Hits at a rule, over all threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RuleHits {
    /// Within all limits of the rule.
    pub within: u64,
    /// Part of `within`: near one of the limits.
    pub near: u64,
    /// Over one of the limits.
    pub over: u64,
    /// Part of `over`: allowed by shadow mode.
    pub shadow: u64,
    /// Part of `over`: let through, because the limits are soft.
    #[serde(default)]
    pub allowed: u64,
    /// Blocks that penalties began.
    #[serde(default)]
    pub blocks: u64,
    /// Part of `over`: hits for which there was room.
    #[serde(skip)]
    pub room: HitsWithRoom,
}

/// Hits of requests that were over a limit, for which there was room: of requests of several hits. envoyproxy/ratelimit
/// does not count them as over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HitsWithRoom {
    /// All of them.
    pub hits: u64,
    /// Those that would have been near the limit.
    pub near: u64,
    /// Those that were allowed by shadow mode.
    pub shadow: u64,
}

/// Decisions in a domain, over all threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DomainDecisions {
    /// Requests that were allowed.
    pub ok: u64,
    /// Requests that were refused.
    pub over_limit: u64,
    /// Part of `ok`: would be refused without the domain's shadow mode.
    pub shadow: u64,
    /// Part of `ok`: exempt from all limits.
    #[serde(default)]
    pub exempt: u64,
}

impl RuleHits {
    /// All hits, within the limits or over one.
    pub fn total(&self) -> u64 {
        self.within + self.over
    }

    /// Part of `over`: refused.
    pub fn refused(&self) -> u64 {
        self.over.saturating_sub(self.shadow + self.allowed)
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.within += other.within;
        self.near += other.near;
        self.over += other.over;
        self.shadow += other.shadow;
        self.allowed += other.allowed;
        self.blocks += other.blocks;
        self.room.hits += other.room.hits;
        self.room.near += other.room.near;
        self.room.shadow += other.room.shadow;
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        self.within = self.within.saturating_sub(other.within);
        self.near = self.near.saturating_sub(other.near);
        self.over = self.over.saturating_sub(other.over);
        self.shadow = self.shadow.saturating_sub(other.shadow);
        self.allowed = self.allowed.saturating_sub(other.allowed);
        self.blocks = self.blocks.saturating_sub(other.blocks);
    }
}
