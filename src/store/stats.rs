//! Statistics of stores.

/// Statistics of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Counters in memory.
    pub counters: u64,
    /// Estimated resident bytes of these counters.
    pub bytes: u64,
    /// Counters that are not evicted: over their limit, until their reset, or holding leases.
    pub pinned: u64,
    /// Counters evicted to make room since the start. Their counts are lost.
    pub evicted: u64,
    /// Counters since the start that lost their pin before their reset, because too many were pinned.
    pub evicted_over_limit: u64,
    /// Statistics of Redis; `None` for a store in memory.
    pub shared: Option<SharedStats>,
}

/// Statistics of a store in Redis. All but `connections` and `is_up` count since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedStats {
    /// Connections that take calls now: one for each thread that has decided something.
    pub connections: u64,
    /// Connections made.
    pub connects: u64,
    /// Commands sent; each carries the hits of one or more requests.
    pub round_trips: u64,
    /// Hits answered from the local cache, without asking Redis.
    pub local_answers: u64,
    /// Hits that Redis did not count in time, so that `on_store_error` applied.
    pub fallback_hits: u64,
    /// Hits counted locally and added in Redis afterwards.
    pub writeback_hits: u64,
    /// Hits counted locally that will never reach Redis, because too many counters were waiting.
    pub writeback_dropped_hits: u64,
    /// Whether Redis is available; [`Store::unavailable_reason`](super::Store::unavailable_reason) names the reason if it is not.
    pub is_up: bool,
}

impl Stats {
    /// The sum of those of two stores.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            counters: self.counters + other.counters,
            bytes: self.bytes + other.bytes,
            pinned: self.pinned + other.pinned,
            evicted: self.evicted + other.evicted,
            evicted_over_limit: self.evicted_over_limit + other.evicted_over_limit,
            shared: match (self.shared, other.shared) {
                (Some(shared), Some(other)) => Some(shared.plus(other)),
                (shared, other) => shared.or(other),
            },
        }
    }
}

impl SharedStats {
    fn plus(self, other: Self) -> Self {
        Self {
            connections: self.connections + other.connections,
            connects: self.connects + other.connects,
            round_trips: self.round_trips + other.round_trips,
            local_answers: self.local_answers + other.local_answers,
            fallback_hits: self.fallback_hits + other.fallback_hits,
            writeback_hits: self.writeback_hits + other.writeback_hits,
            writeback_dropped_hits: self.writeback_dropped_hits + other.writeback_dropped_hits,
            is_up: self.is_up && other.is_up,
        }
    }
}
