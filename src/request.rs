//! A rate-limit request: a domain, and descriptors of one request of a client.
//!
//! Keys and values are bytes, not text: Envoy forwards header values that are not UTF-8, and such a
//! value must not switch off a limit.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The most hits of one descriptor. Larger numbers on the wire are reduced to this.
pub const MAX_HITS: u32 = u32::MAX;

/// What one `ShouldRateLimit` message asks.
///
/// ```
/// use weir::request::{Cost, Descriptor, Request};
///
/// let descriptor = Descriptor::new([("api_key", "k"), ("route", "/orders")]);
/// assert_eq!(descriptor.cost, Cost::Hits(1));
/// let request = Request { domain: "shop".into(), descriptors: vec![descriptor] };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The name of a domain. Never empty.
    pub domain: Bytes,
    /// At least one.
    pub descriptors: Vec<Descriptor>,
}

/// One thing to limit, as a path through the policy's tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// In the order of the tree's levels. An empty list matches no rule.
    pub entries: Vec<Entry>,
    /// What the request costs this descriptor.
    pub cost: Cost,
    /// An override: used instead of the limits of the policy.
    pub limit: Option<Override>,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Compared with the keys of the policy, byte by byte.
    pub key: Bytes,
    /// Any bytes; may be empty.
    pub value: Bytes,
}

/// What a request does to a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cost {
    /// Reads it.
    Peek,
    /// Charges this many hits; never 0.
    Hits(u32),
    /// Gives this many hits back.
    Refund(u32),
}

/// The name of a lease: 128 bits that cannot be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseId {
    high: u64,
    low: u64,
}

impl LeaseId {
    /// The id of no lease: releasing it has no effect.
    pub const NIL: Self = Self::from_bits(0);

    /// The id with these bits.
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

    /// Parses what [`LeaseId`] displays; [`LeaseId::NIL`] for anything else.
    pub fn parse(text: &[u8]) -> Self {
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let bits = std::str::from_utf8(text)
            .ok()
            .filter(|text| text.len() == 32 && text.as_bytes().iter().all(is_digit))
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

impl Descriptor {
    /// A descriptor that costs one hit, with these keys and values.
    pub fn new<K: Into<Bytes>, V: Into<Bytes>>(entries: impl IntoIterator<Item = (K, V)>) -> Self {
        let entries = entries.into_iter().map(|(key, value)| Entry {
            key: key.into(),
            value: value.into(),
        });
        Self {
            entries: entries.collect(),
            ..Self::default()
        }
    }
}

impl Default for Cost {
    fn default() -> Self {
        Self::Hits(1)
    }
}

/// An override: a limit that travels in the request. It may be longer than a policy's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    /// Hits per window; 0 refuses all.
    pub requests_per_unit: u32,
    /// The unit of the window.
    pub unit: Unit,
    /// The length of the window in units; at least 1.
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

    /// The unit with this name, in upper or lower case.
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
    fn only_the_displayed_form_of_a_lease_is_parsed() {
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
