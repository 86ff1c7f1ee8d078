//! The blocks of one level: the longest that contains an address, or a whole block.
//!
//! One lookup for each prefix length that occurs, longest first: at most 33 or 129 of them,
//! however many blocks there are, and in practice a handful.

use std::collections::HashMap;
use std::io::Write as _;

use super::{Cidr, prefix_len};
use crate::policy::matchers::count_step;

/// Blocks, each with its target.
#[derive(Debug)]
pub(crate) struct CidrIndex<T> {
    cidrs: HashMap<Cidr, T>,
    /// The lengths of all prefixes, longest first.
    prefix_lens: Box<[u8]>,
}

/// An address from a request, or a block of addresses: what `masked_remote_address` of Envoy is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address(Cidr);

/// The length of the longest text of an address, `::ffff:` and an IPv4 address included, with a prefix length.
const MAX_TEXT: usize = 45 + 4;

impl<T> CidrIndex<T> {
    pub(crate) fn new(cidrs: HashMap<Cidr, T>) -> Self {
        let mut prefix_lens: Vec<u8> = cidrs.keys().map(|cidr| cidr.prefix_len).collect();
        prefix_lens.sort_unstable_by(|a, b| b.cmp(a));
        prefix_lens.dedup();
        Self {
            cidrs,
            prefix_lens: prefix_lens.into(),
        }
    }

    /// The address that a value is, and the target of the longest block that contains it.
    pub(crate) fn find(&self, value: &[u8]) -> Option<(Address, &T)> {
        if self.cidrs.is_empty() {
            return None;
        }
        let address = Address::read(value)?;
        let lens = self.prefix_lens.iter();
        let mut fitting = lens.filter(|len| **len <= address.0.prefix_len);
        let found = fitting.find_map(|prefix_len| {
            count_step();
            self.cidrs.get(&Cidr {
                first: address.0.first.cut(*prefix_len),
                prefix_len: *prefix_len,
            })
        })?;
        Some((address, found))
    }

    /// All blocks in the order in which they are tried, and whether each contains the value.
    pub(crate) fn tried(&self, value: &[u8]) -> Vec<(Cidr, bool)> {
        let address = Address::read(value);
        let mut cidrs: Vec<Cidr> = self.cidrs.keys().copied().collect();
        cidrs.sort_by_key(|cidr| (std::cmp::Reverse(cidr.prefix_len), cidr.first.bits));
        let holds = |cidr: &Cidr| {
            address.is_some_and(|Address(sent)| {
                cidr.prefix_len <= sent.prefix_len && sent.first.cut(cidr.prefix_len) == cidr.first
            })
        };
        cidrs.iter().map(|cidr| (*cidr, holds(cidr))).collect()
    }
}

impl Address {
    /// Parses an address or a block; one with a port, brackets or a zone is neither.
    ///
    /// Host bits of a block are ignored: what a proxy sends is never the reason to limit nothing.
    fn read(value: &[u8]) -> Option<Self> {
        if value.len() > MAX_TEXT {
            return None;
        }
        let text = std::str::from_utf8(value).ok()?;
        match text.split_once('/') {
            Some((address, len)) => Cidr::around(address.parse().ok()?, prefix_len(len)?).map(Self),
            None => Some(Self(Cidr::of_one(text.parse().ok()?))),
        }
    }

    /// The block around it with a prefix of `len` bits, or the block itself if it is longer.
    #[must_use]
    pub(crate) fn cut(self, len: u8) -> Self {
        let Self(Cidr { first, prefix_len }) = self;
        let prefix_len = prefix_len.min(len);
        Self(Cidr {
            first: first.cut(prefix_len),
            prefix_len,
        })
    }

    /// Its canonical text: the same for every spelling.
    pub(crate) fn with_text<R>(self, take: impl FnOnce(&[u8]) -> R) -> R {
        let mut text = [0; MAX_TEXT];
        let mut rest = &mut text[..];
        // There is room for every address and every block.
        let _ = match self.0.is_one() {
            true => write!(rest, "{}", self.0.first.address()),
            false => write!(rest, "{}", self.0),
        };
        let len = MAX_TEXT - rest.len();
        take(&text[..len])
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::super::AddressBits;
    use super::*;

    fn index(cidrs: &[&str]) -> CidrIndex<usize> {
        let cidrs = cidrs.iter().enumerate();
        CidrIndex::new(
            cidrs
                .map(|(at, cidr)| (Cidr::parse(cidr).unwrap(), at))
                .collect(),
        )
    }

    fn find(index: &CidrIndex<usize>, value: &str) -> Option<(String, usize)> {
        let (address, at) = index.find(value.as_bytes())?;
        let text = address.with_text(|text| String::from_utf8(text.to_vec()).unwrap());
        Some((text, *at))
    }

    #[test]
    fn the_longest_prefix_is_found() {
        let index = index(&[
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.3",
            "2001:db8::/32",
        ]);
        for (value, text, at) in [
            ("10.1.2.3", "10.1.2.3", 3),
            ("10.1.2.4", "10.1.2.4", 2),
            ("10.2.0.1", "10.2.0.1", 1),
            ("8.8.8.8", "8.8.8.8", 0),
            ("::ffff:10.1.2.4", "10.1.2.4", 2),
            ("0:0:0:0:0:FFFF:a01:203", "10.1.2.3", 3),
            ("2001:0DB8:0::1", "2001:db8::1", 4),
        ] {
            assert_eq!(find(&index, value), Some((text.to_owned(), at)), "{value}");
        }
        for value in [
            "",
            "x",
            "10.1.2.3:80",
            "[2001:db8::1]",
            "2001:db9::",
            "::",
            " 10.1.2.3",
        ] {
            assert_eq!(find(&index, value), None, "{value}");
        }
        assert!(index.find(&[0xff; 4]).is_none());
    }

    #[test]
    fn a_block_is_found_in_the_cidrs_that_hold_all_of_it() {
        let index = index(&[
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.1.2.0/24",
            "2001:db8::/32",
            "::/0",
        ]);
        for (value, text, at) in [
            ("10.1.0.0/16", "10.1.0.0/16", 1),
            ("10.1.2.0/24", "10.1.2.0/24", 2),
            ("10.1.2.128/25", "10.1.2.128/25", 2),
            ("10.1.2.3/32", "10.1.2.3", 2),
            ("10.0.0.0/7", "10.0.0.0/7", 0),
            ("10.1.2.3/16", "10.1.0.0/16", 1),
            ("::ffff:10.1.0.0/112", "10.1.0.0/16", 1),
            ("::ffff:0:0/90", "::ffc0:0:0/90", 4),
            ("2001:DB8:1::/48", "2001:db8:1::/48", 3),
            ("2001::/16", "2001::/16", 4),
        ] {
            assert_eq!(find(&index, value), Some((text.to_owned(), at)), "{value}");
        }
        for value in [
            "10.1.0.0/",
            "10.1.0.0/33",
            "10.1.0.0/016",
            "/16",
            "10.1.0.0/16/16",
            "::/129",
            "x/8",
        ] {
            assert_eq!(find(&index, value), None, "{value}");
        }
        let (longest, _) = find(&index, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127").unwrap();
        assert_eq!(longest, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127");
    }

    #[test]
    fn addresses_of_one_prefix_have_one_text() {
        let index = index(&["0.0.0.0/0", "::/0"]);
        let text = |value: &str, len| {
            let (address, _) = index.find(value.as_bytes()).unwrap();
            address
                .cut(len)
                .with_text(|text| String::from_utf8(text.to_vec()).unwrap())
        };
        assert_eq!(text("2001:db8:1:2:3::4", 64), "2001:db8:1:2::/64");
        assert_eq!(text("2001:db8:1:2::/72", 64), "2001:db8:1:2::/64");
        assert_eq!(text("2001:db8:1::/48", 64), "2001:db8:1::/48");
        assert_eq!(text("10.1.2.3", 24), "10.1.2.0/24");
        assert_eq!(text("10.1.2.3", 32), "10.1.2.3");
    }

    #[test]
    fn all_of_ipv6_is_not_ipv4() {
        let index = index(&["::/0"]);
        assert!(find(&index, "::ffff:10.0.0.1").is_none());
        assert!(find(&index, "10.0.0.1").is_none());
        assert!(find(&index, "::1").is_some());
        let long = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        assert_eq!(find(&index, long).unwrap().0, long);
    }

    proptest! {
        #[test]
        fn a_lookup_agrees_with_asking_every_block(
            cidrs in prop::collection::hash_set((any::<bool>(), any::<u128>(), 0..=128_u8), 0..20),
            address in any::<u128>(),
            near in any::<prop::sample::Index>(),
        ) {
            // Few distinct bits, so that cidrs hold one another.
            let bits = |raw: u128| raw & (0b11 << 126 | 0b11 << 94 | 0b11);
            let of = |v4: bool, raw: u128| -> IpAddr {
                if v4 {
                    Ipv4Addr::from((bits(raw) >> 96) as u32).into()
                } else {
                    Ipv6Addr::from(bits(raw) | 1 << 60).into()
                }
            };
            let cidrs: Vec<Cidr> = cidrs.into_iter().map(|(v4, raw, len)| {
                let prefix_len = if v4 { len % 33 } else { len };
                let first = AddressBits::of(of(v4, raw)).cut(prefix_len);
                Cidr { first, prefix_len }
            }).collect();
            let v4 = near.index(2) == 0;
            let value = of(v4, address);
            let holds = |cidr: &&Cidr| {
                cidr.first == AddressBits::of(value).cut(cidr.prefix_len)
            };
            let expected = cidrs.iter().filter(holds).map(|cidr| cidr.prefix_len).max();
            let index = CidrIndex::new(cidrs.iter().map(|cidr| (*cidr, cidr.prefix_len)).collect());
            let found = index.find(value.to_string().as_bytes()).map(|(_, len)| *len);
            prop_assert_eq!(found, expected);
        }
    }
}
