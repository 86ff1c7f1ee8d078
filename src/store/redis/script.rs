//! What weir and the script `counters.lua` say to each other.

use bytes::BufMut;
use redis::Value;

use crate::clock::Timestamp;
use crate::limit::encoding::number;
use crate::limit::{Active, Algorithm, Charge, Limit, Outcomes, States, step};
use crate::request::Cost;
use crate::store::Hit;

/// The script.
pub(super) const SOURCE: &str = include_str!("counters.lua");

/// Further ahead of Redis' clock than this, in microseconds, a caller's clock is not believed; as in the script.
const AHEAD_MICROS: u64 = 1_000_000;

/// Whose clock windows go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisClock {
    /// Redis' own: one for all who share its counters.
    Server,
    /// That of the weir that asks, as long as it is not more than a second ahead of Redis'.
    Caller,
}

impl RedisClock {
    /// The moment by which the script steps.
    pub(super) fn moment(self, now: Timestamp, server_now: Timestamp) -> Timestamp {
        match self {
            Self::Server => server_now,
            Self::Caller => {
                let latest = server_now.micros().saturating_add(AHEAD_MICROS);
                now.min(Timestamp::from_micros(latest))
            }
        }
    }
}

/// What the script is to know besides the hits: whose clock, and for how many milliseconds a counter is kept after its end.
pub(super) fn header(clock: RedisClock, kept_millis: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(9);
    header.put_u8(match clock {
        RedisClock::Server => 0,
        RedisClock::Caller => 1,
    });
    header.put_u64_le(kept_millis);
    header
}

/// What a hit costs, in the script's words.
mod cost {
    pub(super) const LOOK: u8 = 0;
    pub(super) const HITS: u8 = 1;
    pub(super) const REFUND: u8 = 2;
}

/// Appends a hit.
pub(super) fn encode(out: &mut Vec<u8>, now: Timestamp, hit: &Hit<'_>) {
    let (kind, hits) = match hit.cost {
        Cost::Look => (cost::LOOK, 0),
        Cost::Hits(hits) => (cost::HITS, hits),
        Cost::Refund(hits) => (cost::REFUND, hits),
    };
    out.put_u8(kind);
    out.put_u8(u8::from(hit.set.charge == Charge::Always));
    out.put_u16_le(hit.active.bits());
    out.put_u32_le(hits);
    out.put_u64_le(now.micros());
    for limit in &hit.set.limits {
        encode_limit(out, limit);
    }
}

/// Appends hits at the limits of `hit` that are charged to the active ones, whatever they say.
pub(super) fn encode_debit(
    out: &mut Vec<u8>,
    now: Timestamp,
    hit: &Hit<'_>,
    (hits, active): (u32, Active),
) {
    out.put_u8(cost::HITS);
    out.put_u8(1);
    out.put_u16_le(active.bits());
    out.put_u32_le(hits);
    out.put_u64_le(now.micros());
    for limit in &hit.set.limits {
        encode_limit(out, limit);
    }
}

fn encode_limit(out: &mut Vec<u8>, limit: &Limit) {
    out.put_u8(match limit.algorithm {
        Algorithm::FixedWindow => number::FIXED_WINDOW,
        Algorithm::SlidingWindow => number::SLIDING_WINDOW,
        Algorithm::TokenBucket(_) => number::TOKEN_BUCKET,
    });
    out.put_u8(limit.shadow_mode.into());
    out.put_u32_le(limit.window.secs());
    out.put_u32_le(limit.requests_per_unit);
    if let Algorithm::TokenBucket(bucket) = limit.algorithm {
        out.put_u64_le(bucket.parts_per_hit());
        out.put_u64_le(bucket.parts_per_micro());
        out.put_u64_le(bucket.capacity());
    }
}

/// What the script says.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) server_now: Timestamp,
    /// Why hits could not be counted that are [`Found::NotCounted`].
    pub(super) failure: Option<String>,
    /// One per hit, in order.
    pub(super) found: Vec<Found>,
}

/// What the script found before it took a hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing is counted.
    Nothing,
    /// These states.
    States(Vec<u8>),
    /// It could not write, and so did not take the hit.
    NotCounted,
}

impl Reply {
    /// None if it is no reply of the script to so many hits.
    pub(super) fn read(value: Value, hits: usize) -> Option<Self> {
        let Value::Array(values) = value else {
            return None;
        };
        let mut values = values.into_iter();
        let Value::Int(server_now) = values.next()? else {
            return None;
        };
        let failure = match values.next()? {
            Value::Nil => None,
            Value::BulkString(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            _ => return None,
        };
        let found: Option<Vec<Found>> = values.map(Found::read).collect();
        Some(Self {
            server_now: Timestamp::from_micros(u64::try_from(server_now).ok()?),
            failure,
            found: found.filter(|found| found.len() == hits)?,
        })
    }
}

impl Found {
    fn read(value: Value) -> Option<Self> {
        match value {
            Value::Nil => Some(Self::Nothing),
            Value::BulkString(bytes) => Some(Self::States(bytes)),
            Value::Int(0) => Some(Self::NotCounted),
            _ => None,
        }
    }

    /// The states of the hit's limits as it met them; none if it was not taken.
    pub(super) fn states(&self, hit: &Hit<'_>) -> Option<States> {
        match self {
            Self::Nothing => Some(States::fresh(hit.set)),
            Self::States(bytes) => {
                // What is no state is overwritten by the script, as if it were not there.
                let mut states = States::decode(bytes).unwrap_or_else(|_| States::fresh(hit.set));
                states.align(hit.set);
                Some(states)
            }
            Self::NotCounted => None,
        }
    }

    /// Takes the step that the script took; none if it took none.
    pub(super) fn step(&self, hit: &Hit<'_>, now: Timestamp) -> Option<(States, Outcomes)> {
        let mut states = self.states(hit)?;
        let outcomes = step(hit.set, hit.active, &mut states, (now, hit.cost));
        Some((states, outcomes))
    }
}
