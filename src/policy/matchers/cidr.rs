//! CIDR blocks: `10.0.0.0/8`, `2001:db8::/32`.
//!
//! An IPv4 address written as IPv6 (`::ffff:10.0.0.1`) is treated as IPv4, in blocks and in values,
//! because a proxy that listens on both families may send either.

mod index;

pub(crate) use index::CidrIndex;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All addresses with the same prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cidr {
    first: AddressBits,
    prefix_len: u8,
}

/// An address as bits, left-aligned; missing bits are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct AddressBits {
    family: AddressFamily,
    bits: u128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum AddressFamily {
    V4,
    V6,
}

/// Why a text is not a CIDR block. It does not quote the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CidrError {
    #[error("a CIDR block begins with an IPv4 or IPv6 address")]
    InvalidAddress,
    #[error("the prefix length must be a number up to 32, or 128 for IPv6")]
    InvalidPrefixLen,
    #[error("host bits set in the CIDR block")]
    HostBits,
}

impl CidrError {
    /// How to correct it.
    pub(crate) const fn help(self) -> &'static str {
        match self {
            Self::InvalidAddress | Self::InvalidPrefixLen => {
                "a CIDR block looks like `10.0.0.0/8` or `2001:db8::/32`"
            }
            Self::HostBits => "set them to 0, as in `10.1.0.0/16`, or make the prefix longer",
        }
    }
}

impl Cidr {
    /// Parses an address with a prefix length, or an address alone.
    pub(crate) fn parse(text: &str) -> Result<Self, CidrError> {
        let (address, written) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| CidrError::InvalidAddress)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix_len = match written {
            None => most,
            Some(text) => prefix_len(text)
                .filter(|len| *len <= most)
                .ok_or(CidrError::InvalidPrefixLen)?,
        };
        let first = AddressBits::of(address);
        // The 96 bits in front of a mapped IPv4 address must be part of the prefix.
        let mapped = most - first.family.len();
        let prefix_len = prefix_len.checked_sub(mapped).ok_or(CidrError::HostBits)?;
        if first.cut(prefix_len) != first {
            return Err(CidrError::HostBits);
        }
        Ok(Self { first, prefix_len })
    }

    /// The block of one address.
    fn of_one(address: IpAddr) -> Self {
        let first = AddressBits::of(address);
        let prefix_len = first.family.len();
        Self { first, prefix_len }
    }

    /// The block around an address that has a prefix of that length as it is written.
    fn around(address: IpAddr, written_len: u8) -> Option<Self> {
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = AddressBits::of(address);
        let mapped = most - bits.family.len();
        let (bits, prefix_len) = match (written_len.checked_sub(mapped), address) {
            (Some(len), _) => (bits, len),
            // It ends inside of what is in front of a mapped IPv4 address.
            (None, IpAddr::V6(address)) => (AddressBits::of_v6(address), written_len),
            (None, IpAddr::V4(_)) => return None,
        };
        (written_len <= most).then(|| Self {
            first: bits.cut(prefix_len),
            prefix_len,
        })
    }

    /// Whether it holds one address only.
    const fn is_one(self) -> bool {
        self.prefix_len == self.first.family.len()
    }

    /// How its addresses are counted, each prefix of `lens` by itself. A prefix is never shorter than the block.
    pub(crate) fn counted_len(self, lens: PrefixLens) -> u8 {
        let len = match self.first.family {
            AddressFamily::V4 => lens.v4,
            AddressFamily::V6 => lens.v6,
        };
        len.max(self.prefix_len)
    }

    /// The length of the prefix that is a whole address.
    pub(crate) const fn address_len(self) -> u8 {
        self.first.family.len()
    }
}

/// A length of prefixes for each family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PrefixLens {
    pub(crate) v4: u8,
    pub(crate) v6: u8,
}

impl PrefixLens {
    /// Those of whole addresses.
    pub(crate) const WHOLE: Self = Self {
        v4: AddressFamily::V4.len(),
        v6: AddressFamily::V6.len(),
    };
}

fn prefix_len(text: &str) -> Option<u8> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let has_zero = text.len() > 1 && text.starts_with('0');
    text.parse().ok().filter(|_| is_plain && !has_zero)
}

impl AddressFamily {
    const fn len(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

impl AddressBits {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self {
                family: AddressFamily::V4,
                bits: u128::from(u32::from(address)) << 96,
            },
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        Self {
            family: AddressFamily::V6,
            bits: address.into(),
        }
    }

    fn address(self) -> IpAddr {
        match self.family {
            AddressFamily::V4 => Ipv4Addr::from((self.bits >> 96) as u32).into(),
            AddressFamily::V6 => Ipv6Addr::from(self.bits).into(),
        }
    }

    /// Its first `len` bits.
    fn cut(self, len: u8) -> Self {
        let mask = !u128::MAX.checked_shr(len.into()).unwrap_or(0);
        Self {
            bits: self.bits & mask,
            ..self
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first.address(), self.prefix_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_and_written() {
        for (text, written) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("2001:DB8:0::/32", "2001:db8::/32"),
            ("::/0", "::/0"),
            ("::1", "::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:a00:1/128", "10.0.0.1/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ] {
            assert_eq!(Cidr::parse(text).unwrap().to_string(), written);
        }
    }

    #[test]
    fn invalid_blocks_are_rejected() {
        for (text, fault) in [
            ("", CidrError::InvalidAddress),
            ("10.0.0/8", CidrError::InvalidAddress),
            ("010.0.0.0/8", CidrError::InvalidAddress),
            ("[::1]/128", CidrError::InvalidAddress),
            ("fe80::1%eth0", CidrError::InvalidAddress),
            ("10.0.0.0/", CidrError::InvalidPrefixLen),
            ("10.0.0.0/33", CidrError::InvalidPrefixLen),
            ("10.0.0.0/+8", CidrError::InvalidPrefixLen),
            ("10.0.0.0/08", CidrError::InvalidPrefixLen),
            ("10.0.0.0/8/8", CidrError::InvalidPrefixLen),
            ("::/129", CidrError::InvalidPrefixLen),
            ("10.0.0.1/8", CidrError::HostBits),
            ("2001:db8::1/32", CidrError::HostBits),
            ("::ffff:0:0/90", CidrError::HostBits),
        ] {
            assert_eq!(Cidr::parse(text), Err(fault), "{text}");
        }
    }
}
