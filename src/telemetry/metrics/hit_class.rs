//! How the hits of one descriptor are counted at its rule.

use super::thread::RuleCounters;
use crate::engine::DescriptorResult;
use crate::limit::BlockOutcome;
use crate::policy::Rule;

/// How the hits of a descriptor are counted at its rule.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HitClass {
    hits: u32,
    over: bool,
    shadow: bool,
    /// Let through over a soft limit.
    allowed: bool,
    /// Began a block.
    blocks: bool,
    /// Hits that are near a limit, if the request is within all of them.
    near: u32,
    /// Hits for which there was room, if the request is over a limit, …
    room: u32,
    /// … and of these the ones that would have been near it.
    near_room: u32,
}

impl HitClass {
    /// `hits` at `rule`, with this result. A hit is near a limit if more than `near_limit_ratio` of the capacity is used
    /// after it.
    pub(super) fn new(
        rule: &Rule,
        result: &DescriptorResult<'_>,
        hits: u32,
        near_limit_ratio: f32,
    ) -> Self {
        let mut class = Self {
            hits,
            ..Self::default()
        };
        let Some(set) = result.limits else {
            return class;
        };
        for outcome in result.outcomes {
            match set.limits.get(usize::from(outcome.limit)) {
                Some(limit) if !limit.shadow_mode => {
                    let capacity = limit.capacity();
                    // With 32 bits, as envoyproxy/ratelimit does.
                    let near_from = (capacity as f32 * near_limit_ratio).floor() as u32;
                    let near_from = near_from.min(capacity);
                    let used = capacity.saturating_sub(outcome.available);
                    class.near = class.near.max(hits.min(used.saturating_sub(near_from)));
                    if outcome.over {
                        class.blocks |= outcome.block == BlockOutcome::Began;
                        class.over = true;
                        class.room = result.room;
                        class.near_room = result.room.min(capacity - near_from);
                    }
                }
                _ => {}
            }
        }
        let is_shadow = rule.shadow_mode || result.domain.is_some_and(|domain| domain.shadow_mode);
        class.shadow = class.over && is_shadow;
        class.allowed = class.over && result.is_soft && !is_shadow;
        class
    }

    #[inline]
    pub(super) fn count(self, counters: &RuleCounters) {
        let hits = u64::from(self.hits);
        if !self.over {
            counters.within.add(hits);
            if self.near > 0 {
                counters.near.add(self.near.into());
            }
            return;
        }
        counters.over.add(hits);
        if self.shadow {
            counters.shadow.add(hits);
        }
        if self.blocks {
            counters.blocks.add(1);
        }
        if self.allowed {
            counters.allowed.add(hits);
        }
        if self.room > 0 {
            counters.room.add(self.room.into());
            counters.near_room.add(self.near_room.into());
            if self.shadow {
                counters.shadow_room.add(self.room.into());
            }
        }
    }
}
