//! What weir and the script in Redis say to each other.

use bytes::BufMut;
use redis::Value;
use smallvec::SmallVec;

use crate::clock::Timestamp;
use crate::limit::encoding::number;
use crate::limit::{Active, Charge, Delta, Limit, LimitKind, LimitSet, States};
use crate::request::{Cost, LeaseId};
use crate::store::{Batch, Enforcement};

/// The script, in the order in which its parts need each other.
pub(super) const SOURCE: &str = concat!(
    include_str!("script/prelude.lua"),
    include_str!("script/fast_path.lua"),
    include_str!("script/fixed_window.lua"),
    include_str!("script/sliding_window.lua"),
    include_str!("script/token_bucket.lua"),
    include_str!("script/concurrency.lua"),
    include_str!("script/counter.lua"),
    include_str!("script/batch.lua"),
);

/// Further ahead of Redis' clock than this, in microseconds, a caller's clock is not believed; as in the script.
const AHEAD_MICROS: u64 = 1_000_000;

/// Whose clock windows go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisClock {
    /// Redis' own: one for all who share its counters.
    Redis,
    /// That of the weir that asks, as long as it is not more than a second ahead of Redis'.
    Local,
}

impl RedisClock {
    /// The moment by which the script steps.
    pub(super) fn moment(self, now: Timestamp, server_now: Timestamp) -> Timestamp {
        match self {
            Self::Redis => server_now,
            Self::Local => {
                let latest = server_now.micros().saturating_add(AHEAD_MICROS);
                now.min(Timestamp::from_micros(latest))
            }
        }
    }
}

/// What the script is to know besides batches: whose clock, and for how many milliseconds a counter is kept after its end.
pub(super) fn header(clock: RedisClock, kept_millis: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(9);
    header.put_u8(match clock {
        RedisClock::Redis => 0,
        RedisClock::Local => 1,
    });
    header.put_u64_le(kept_millis);
    header
}

/// What a hit does, in the script's words.
mod kind {
    pub(super) const LOOK: u8 = 0;
    pub(super) const HITS: u8 = 1;
    pub(super) const REFUND: u8 = 2;
    pub(super) const GIVE_BACK: u8 = 3;
    pub(super) const SETTLE: u8 = 4;
}

/// A batch; `at` has the place of each hit's counter among as many as `counters`.
pub(super) fn encode(now: Timestamp, batch: &Batch<'_>, at: &[usize], counters: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + 64 * batch.hits.len());
    put_batch(&mut out, (batch.atomic, batch.is_joint()), counters, now);
    for (hit, at) in batch.hits.iter().zip(at) {
        let (kind, hits) = match hit.cost {
            Cost::Peek => (kind::LOOK, 0),
            Cost::Hits(hits) => (kind::HITS, hits),
            Cost::Refund(hits) => (kind::REFUND, hits),
        };
        // One place for each descriptor of a request, of which there are few.
        out.put_u16_le(*at as u16 + 1);
        out.put_u8(kind);
        out.put_u8(u8::from(hit.set.charge == Charge::Always));
        out.put_u8(match hit.enforcement {
            Enforcement::Enforced => 0,
            Enforcement::Quota => 1,
            Enforcement::Ignored => 2,
        });
        out.put_u32_le(hits);
        put_limits(&mut out, hit.active, hit.lease, hit.set);
    }
    out
}

/// Adds what was counted apart at one counter; it is aligned to `set`.
pub(super) fn encode_settlement(now: Timestamp, set: &LimitSet, apart: &Delta) -> Vec<u8> {
    let mut out = Vec::with_capacity(160);
    put_batch(&mut out, (false, false), 1, now);
    out.put_u16_le(1);
    out.put_slice(&[kind::SETTLE, 0, 2]);
    out.put_u32_le(0);
    put_limits(&mut out, Active::ALL, None, set);
    out.put_u8(apart.at_least().into());
    for states in [apart.remote(), apart.local()] {
        let length = out.len();
        out.put_u32_le(0);
        states.encode(&mut out);
        // A few states, of at most 149 bytes each.
        let bytes = (out.len() - length - 4) as u32;
        out[length..length + 4].copy_from_slice(&bytes.to_le_bytes());
    }
    out
}

/// Frees what a lease holds at one counter.
pub(super) fn encode_give_back(now: Timestamp, lease: LeaseId) -> Vec<u8> {
    let mut out = Vec::with_capacity(48);
    put_batch(&mut out, (false, false), 1, now);
    out.put_u16_le(1);
    out.put_slice(&[kind::GIVE_BACK, 0, 2]);
    out.put_u32_le(0);
    put_lease(&mut out, Active::ALL, 0, Some(lease));
    out
}

fn put_batch(out: &mut Vec<u8>, (atomic, joint): (bool, bool), counters: usize, now: Timestamp) {
    out.put_u8(atomic.into());
    out.put_u8(joint.into());
    out.put_u16_le(counters as u16);
    out.put_u64_le(now.micros());
}

fn put_limits(out: &mut Vec<u8>, active: Active, lease: Option<LeaseId>, set: &LimitSet) {
    put_lease(out, active, set.limits.len(), lease);
    for limit in &set.limits {
        put_limit(out, limit);
    }
}

fn put_lease(out: &mut Vec<u8>, active: Active, limits: usize, lease: Option<LeaseId>) {
    out.put_u16_le(active.bits());
    // At most LimitSet::MAX.
    out.put_u8(limits as u8);
    out.put_u8(lease.is_some().into());
    if let Some(lease) = lease {
        out.put_u128_le(lease.bits());
    }
}

fn put_limit(out: &mut Vec<u8>, limit: &Limit) {
    let (number, secs, quota) = match limit.kind {
        LimitKind::FixedWindow(rate) => (number::FIXED_WINDOW, rate.window.secs(), rate.requests),
        LimitKind::SlidingWindow(rate) => {
            (number::SLIDING_WINDOW, rate.window.secs(), rate.requests)
        }
        LimitKind::TokenBucket(bucket) => {
            let rate = bucket.rate();
            (number::TOKEN_BUCKET, rate.window.secs(), rate.requests)
        }
        LimitKind::Concurrency {
            max_in_flight,
            lease_secs,
        } => (number::CONCURRENCY, lease_secs, max_in_flight),
    };
    out.put_u8(number);
    out.put_u8(limit.shadow_mode.into());
    out.put_u32_le(secs);
    out.put_u32_le(quota);
    if let LimitKind::TokenBucket(bucket) = limit.kind {
        out.put_u64_le(bucket.units_per_hit());
        out.put_u64_le(bucket.refill_per_micro());
        out.put_u64_le(bucket.capacity_units());
    }
}

/// What the script says.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) server_now: Timestamp,
    /// Why counters are [`Found::Unusable`].
    pub(super) failure: Option<String>,
    /// One per counter, in order.
    pub(super) found: SmallVec<[Found; 2]>,
}

/// What the script found of a counter, before its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing is counted.
    Nothing,
    /// These states.
    States(Vec<u8>),
    /// It could not be read or written.
    Unusable,
}

impl Reply {
    /// None if it is no reply of the script to so many counters.
    pub(super) fn read(value: Value, counters: usize) -> Option<Self> {
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
        let found: Option<SmallVec<[Found; 2]>> = values.map(Found::read).collect();
        Some(Self {
            server_now: Timestamp::from_micros(u64::try_from(server_now).ok()?),
            failure,
            found: found.filter(|found| found.len() == counters)?,
        })
    }
}

impl Found {
    fn read(value: Value) -> Option<Self> {
        match value {
            Value::Nil => Some(Self::Nothing),
            Value::BulkString(bytes) => Some(Self::States(bytes)),
            Value::Int(0) => Some(Self::Unusable),
            _ => None,
        }
    }

    pub(super) fn is_usable(&self) -> bool {
        *self != Self::Unusable
    }

    /// The states; fresh ones of `set` where there are none.
    pub(super) fn states(&self, set: &LimitSet) -> States {
        match self {
            // What is no state is overwritten by the script, as if it were not there.
            Self::States(bytes) => States::decode(bytes).unwrap_or_else(|_| States::fresh(set)),
            Self::Nothing | Self::Unusable => States::fresh(set),
        }
    }
}
