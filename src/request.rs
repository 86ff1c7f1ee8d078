//! What a caller asks: a domain and the descriptors that describe one client request.
//!
//! Keys and values are bytes, not text: Envoy forwards header values that are not UTF-8, and a
//! limit that such a value could switch off would be none.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The most hits that one call can charge to one descriptor.
///
/// Larger numbers on the wire are cut to this, so that every store can count them exactly.
pub const MAX_HITS: u32 = u32::MAX;

/// One `ShouldRateLimit` call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The name of the policy to ask. Never empty.
    pub domain: Bytes,
    /// At least one.
    pub descriptors: Vec<Descriptor>,
}

/// One thing to be limited, as a path through the policy's tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// In the order in which the tree is walked. May be empty, and then matches nothing.
    pub entries: Vec<Entry>,
    /// What the call costs this descriptor.
    pub cost: Cost,
    /// A limit that the caller brings along instead of the policy's.
    pub limit: Option<Override>,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Compared exactly with the keys of the policy.
    pub key: Bytes,
    /// Any bytes; may be empty.
    pub value: Bytes,
}

/// What a call does to the counters it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cost {
    /// Asks without counting.
    Peek,
    /// Counts so many hits; never 0.
    Hits(u32),
    /// Gives so many hits back.
    Refund(u32),
}

/// What a call holds slots by, and gives them back by: 128 bits that nobody can guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseId {
    high: u64,
    low: u64,
}

impl LeaseId {
    /// A lease that nobody was ever granted: giving it back frees nothing.
    pub const NIL: Self = Self::from_bits(0);

    /// The lease of these bits.
    pub const fn from_bits(bits: u128) -> Self {
        Self {
            high: (bits >> 64) as u64,
            low: bits as u64,
        }
    }

    /// Its bits.
    pub const fn bits(self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }

    /// Reads what [`LeaseId`] is displayed as; [`LeaseId::NIL`] for anything else.
    pub fn parse(text: &[u8]) -> Self {
        let is_written = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let bits = std::str::from_utf8(text)
            .ok()
            .filter(|text| text.len() == 32 && text.as_bytes().iter().all(is_written))
            .and_then(|text| u128::from_str_radix(text, 16).ok());
        bits.map_or(Self::NIL, Self::from_bits)
    }
}

/// 32 hexadecimal digits in lower case.
impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.bits())
    }
}

impl Default for Cost {
    fn default() -> Self {
        Self::Hits(1)
    }
}

/// A limit that travels in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    /// Hits per window; 0 refuses all.
    pub requests_per_unit: u32,
    /// The unit of the window.
    pub unit: Unit,
    /// How many units make the window; at least 1.
    pub unit_multiplier: u32,
}

/// A unit of time as policies and Envoy name it. Months have 30 days and years 365.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    /// 1 second.
    Second,
    /// 60 seconds.
    Minute,
    /// 3,600 seconds.
    Hour,
    /// 86,400 seconds.
    Day,
    /// 7 days.
    Week,
    /// 30 days.
    Month,
    /// 365 days.
    Year,
}

impl Unit {
    /// Every unit, shortest first.
    pub const ALL: [Self; 7] = [
        Self::Second,
        Self::Minute,
        Self::Hour,
        Self::Day,
        Self::Week,
        Self::Month,
        Self::Year,
    ];

    /// Its length in seconds.
    pub const fn secs(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
            Self::Week => 7 * 86_400,
            Self::Month => 30 * 86_400,
            Self::Year => 365 * 86_400,
        }
    }

    /// Its name in a policy, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The unit of that name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|unit| unit.name().eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::LeaseId;

    #[test]
    fn a_lease_is_read_as_it_is_written_and_in_no_other_way() {
        let lease = LeaseId::from_bits(0x0123_4567_89ab_cdef);
        let text = lease.to_string();
        assert_eq!(text, "00000000000000000123456789abcdef");
        assert_eq!(LeaseId::parse(text.as_bytes()), lease);
        let others = [
            "",
            "1",
            "+0000000000000000123456789abcdef",
            &text.to_uppercase(),
        ];
        for other in others
            .iter()
            .map(|text| text.as_bytes())
            .chain([&[0xff; 32][..]])
        {
            assert_eq!(LeaseId::parse(other), LeaseId::NIL);
        }
    }
}
