//! The protocol between weir and its script in Redis: batches in, states out.
//!
//! The script counts as [`limit`](crate::limit) does and returns the states that it found. The
//! caller repeats the step on them to learn the outcomes, so the script need not report any.

use bytes::BufMut;
use redis::Value;
use smallvec::SmallVec;

use super::time::{RedisClock, RedisTime};
use crate::clock::Timestamp;
use crate::limit::encoding::number;
use crate::limit::{Active, Charge, Delta, Limit, LimitKind, LimitSet, States};
use crate::request::{Cost, LeaseId};
use crate::store::{Batch, Enforcement};

/// The script: its parts in the order of their dependencies.
pub(super) const SOURCE: &str = concat!(
    include_str!("script/prelude.lua"),
    include_str!("script/fast_path.lua"),
    include_str!("script/fixed_window.lua"),
    include_str!("script/sliding_window.lua"),
    include_str!("script/token_bucket.lua"),
    include_str!("script/concurrency.lua"),
    include_str!("script/counter.lua"),
    include_str!("script/penalty.lua"),
    include_str!("script/batch.lua"),
);

/// The first argument of the script: which clock to use, and how long to keep a counter after it
/// has ended, in milliseconds.
pub(super) fn header(clock: RedisClock, grace_millis: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(9);
    header.put_u8(match clock {
        RedisClock::Redis => 0,
        RedisClock::Local => 1,
    });
    header.put_u64_le(grace_millis);
    header
}

/// What a hit does; the script has the same constants.
mod kind {
    pub(super) const PEEK: u8 = 0;
    pub(super) const HITS: u8 = 1;
    pub(super) const REFUND: u8 = 2;
    pub(super) const RELEASE: u8 = 3;
    pub(super) const MERGE: u8 = 4;
}

/// A batch of hits. `at` has, for each hit, the index of its counter among `counters`. `store_now` is when the script is
/// expected to count them.
pub(super) fn encode(
    now: Timestamp,
    store_now: RedisTime,
    batch: &Batch<'_>,
    at: &[usize],
    counters: usize,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + 64 * batch.hits.len());
    put_batch(&mut out, batch.atomic, batch.is_joint(), counters, now);
    for (hit, at) in batch.hits.iter().zip(at) {
        let (kind, hits) = match hit.cost {
            Cost::Peek => (kind::PEEK, 0),
            Cost::Hits(hits) => (kind::HITS, hits),
            Cost::Refund(hits) => (kind::REFUND, hits),
        };
        // At most one counter per descriptor of a request, which has few.
        out.put_u16_le(*at as u16 + 1);
        out.put_u8(kind);
        out.put_u8(u8::from(hit.set.charge == Charge::Always));
        out.put_u8(match hit.enforcement {
            Enforcement::Enforced => 0,
            Enforcement::Quota => 1,
            Enforcement::Ignored => 2,
        });
        out.put_u32_le(hits);
        put_limits(&mut out, hit.active, hit.lease, hit.set, store_now);
    }
    out
}

/// Adds what was charged locally to one counter; `delta` is aligned to `set`.
pub(super) fn encode_merge(charged_at: RedisTime, set: &LimitSet, delta: &Delta) -> Vec<u8> {
    let mut out = Vec::with_capacity(160);
    put_batch(&mut out, false, false, 1, charged_at.timestamp());
    out.put_u16_le(1);
    out.put_slice(&[kind::MERGE, 0, 2]);
    out.put_u32_le(0);
    put_limits(&mut out, Active::ALL, None, set, charged_at);
    out.put_u8(delta.at_least().into());
    for states in [delta.remote(), delta.local()] {
        let length = out.len();
        out.put_u32_le(0);
        states.encode(&mut out);
        // A few states, of at most 162 bytes each.
        let bytes = (out.len() - length - 4) as u32;
        out[length..length + 4].copy_from_slice(&bytes.to_le_bytes());
    }
    out
}

/// Releases what a lease holds at one counter.
pub(super) fn encode_release(now: Timestamp, lease: LeaseId) -> Vec<u8> {
    let mut out = Vec::with_capacity(48);
    put_batch(&mut out, false, false, 1, now);
    out.put_u16_le(1);
    out.put_slice(&[kind::RELEASE, 0, 2]);
    out.put_u32_le(0);
    put_lease(&mut out, Active::ALL, 0, Some(lease));
    out
}

/// One hit at a counter that belongs to no client, which is always charged.
pub(super) fn encode_probe() -> Vec<u8> {
    let mut out = Vec::with_capacity(40);
    put_batch(&mut out, false, false, 1, Timestamp::from_micros(0));
    out.put_u16_le(1);
    out.put_slice(&[kind::HITS, 1, 2]);
    out.put_u32_le(1);
    put_lease(&mut out, Active::ALL, 1, None);
    out.put_slice(&[number::FIXED_WINDOW, 0]);
    out.put_u32_le(1);
    out.put_u32_le(u32::MAX);
    out
}

fn put_batch(out: &mut Vec<u8>, atomic: bool, joint: bool, counters: usize, now: Timestamp) {
    out.put_u8(atomic.into());
    out.put_u8(joint.into());
    out.put_u16_le(counters as u16);
    out.put_u64_le(now.micros());
}

fn put_limits(
    out: &mut Vec<u8>,
    active: Active,
    lease: Option<LeaseId>,
    set: &LimitSet,
    store_now: RedisTime,
) {
    put_lease(out, active, set.limits.len(), lease);
    for limit in &set.limits {
        put_limit(out, limit, store_now);
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

/// Of a calendar the script gets the window around `store_now`, the one before it and the one after it: its clock may be a
/// little behind or ahead.
fn put_limit(out: &mut Vec<u8>, limit: &Limit, store_now: RedisTime) {
    let (number, secs, quota) = match &limit.kind {
        LimitKind::FixedWindow(rate) => (number::FIXED_WINDOW, rate.window.secs(), rate.requests),
        LimitKind::Calendar(rate) => {
            let window = rate.calendar.window();
            (number::CALENDAR, window.secs(), rate.requests)
        }
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
        } => (number::CONCURRENCY, *lease_secs, *max_in_flight),
    };
    out.put_u8(number);
    let has_penalty = limit.penalty.is_some();
    out.put_u8(u8::from(limit.shadow_mode) | u8::from(has_penalty) << 1);
    out.put_u32_le(secs);
    out.put_u32_le(quota);
    match &limit.kind {
        LimitKind::TokenBucket(bucket) => {
            out.put_u64_le(bucket.units_per_hit());
            out.put_u64_le(bucket.refill_per_micro());
            out.put_u64_le(bucket.capacity_units());
        }
        LimitKind::Calendar(rate) => {
            for bound in rate.calendar.bounds_around(store_now.timestamp()) {
                out.put_u64_le(bound.micros());
            }
        }
        LimitKind::FixedWindow(_) | LimitKind::SlidingWindow(_) | LimitKind::Concurrency { .. } => {
        }
    }
    if let Some(penalty) = &limit.penalty {
        // At most Penalty::MAX_LEVELS.
        out.put_u8(penalty.block_secs().len() as u8);
        for secs in penalty.block_secs() {
            out.put_u32_le(*secs);
        }
    }
}

/// What the script returns.
#[derive(Debug)]
pub(super) struct ScriptReply {
    /// The clock of the server.
    pub(super) server_now: RedisTime,
    /// Why counters are [`StoredStates::Unusable`]: the first error of Redis.
    pub(super) failure: Option<String>,
    /// Whether something was written, without a failure.
    pub(super) has_written: bool,
    /// One per counter, in order.
    pub(super) found: SmallVec<[StoredStates; 2]>,
}

/// What the script found of a counter, before its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StoredStates {
    /// The key does not exist.
    Missing,
    /// Encoded states.
    Encoded(Vec<u8>),
    /// The key could not be read or written.
    Unusable,
}

impl ScriptReply {
    /// `None` if this is not a reply of the script to that many counters.
    pub(super) fn decode(value: Value, counters: usize) -> Option<Self> {
        let Value::Array(values) = value else {
            return None;
        };
        let mut values = values.into_iter();
        let Value::Int(server_now) = values.next()? else {
            return None;
        };
        let (failure, has_written) = match values.next()? {
            Value::Nil => (None, false),
            Value::Int(1) => (None, true),
            Value::BulkString(bytes) => (Some(String::from_utf8_lossy(&bytes).into_owned()), false),
            _ => return None,
        };
        let server_now = Timestamp::from_micros(u64::try_from(server_now).ok()?);
        let found: Option<SmallVec<[StoredStates; 2]>> = values.map(StoredStates::decode).collect();
        Some(Self {
            server_now: RedisTime::new(server_now),
            failure,
            has_written,
            found: found.filter(|found| found.len() == counters)?,
        })
    }
}

impl StoredStates {
    fn decode(value: Value) -> Option<Self> {
        match value {
            Value::Nil => Some(Self::Missing),
            Value::BulkString(bytes) => Some(Self::Encoded(bytes)),
            Value::Int(0) => Some(Self::Unusable),
            _ => None,
        }
    }

    pub(super) fn is_usable(&self) -> bool {
        *self != Self::Unusable
    }

    /// The states; fresh ones of `set` if there are none.
    pub(super) fn states(&self, set: &LimitSet) -> States {
        match self {
            // The script treats bytes that it cannot read as a missing key.
            Self::Encoded(bytes) => States::decode(bytes).unwrap_or_else(|_| States::fresh(set)),
            Self::Missing | Self::Unusable => States::fresh(set),
        }
    }
}
