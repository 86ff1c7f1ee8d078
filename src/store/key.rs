//! The name of a counter in a store: a keyed hash of its identity.
//!
//! No client value is kept, every key has the same size, and without the hash's own key nobody can
//! choose values that meet in one counter.

use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::RngError;

/// A counter's name: 128 bits. (Two halves, for a `u128` makes whatever holds it a third larger.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CounterKey {
    high: u64,
    low: u64,
}

impl CounterKey {
    /// Bits that find it in a table.
    pub(super) const fn low_bits(self) -> u32 {
        self.low as u32
    }

    /// Other bits, that choose the table.
    pub(super) const fn high_bits(self) -> usize {
        (self.high >> 32) as usize
    }
}

/// SipHash-1-3 with a key of its own.
#[derive(Clone, Copy)]
pub struct KeyHasher(HashKey);

/// The key of a hash: whoever has the same gives counters the same names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey([u8; 16]);

impl HashKey {
    /// A key that nobody else has.
    pub(super) fn random() -> Result<Self, RngError> {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(RngError)?;
        Ok(Self(key))
    }

    /// The key that is written as 32 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let key = u128::from_str_radix(text, 16).ok().filter(|_| is_hex)?;
        Some(Self(key.to_be_bytes()))
    }

    /// The key as [`HashKey::from_hex`] reads it.
    pub(super) fn to_hex(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// Tells keys apart without telling what they are.
    pub(super) fn fingerprint(self) -> String {
        let mut text = KeyBuilder::new(&KeyHasher::new(self));
        text.add(0, b"weir: which key is it");
        text.key().hex()
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey")
    }
}

impl CounterKey {
    /// 32 hexadecimal digits.
    pub(super) fn hex(self) -> String {
        format!("{:016x}{:016x}", self.high, self.low)
    }
}

impl KeyHasher {
    pub(super) const fn new(key: HashKey) -> Self {
        Self(key)
    }

    /// A hasher whose key nobody else has.
    pub(super) fn random() -> Result<Self, RngError> {
        HashKey::random().map(Self::new)
    }
}

impl std::fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyHasher")
    }
}

/// Hashes an identity, part by part. Parts never run into each other.
///
/// A part is its kind and length in one word, and its bytes in words of eight, the last filled up with zeros. Words go
/// into the hash as they come: to gather the bytes and hash them afterwards took twice the time.
#[derive(Clone, Copy)]
pub struct KeyBuilder(SipHasher13);

impl KeyBuilder {
    /// The identity without any parts.
    pub fn new(KeyHasher(HashKey(key)): &KeyHasher) -> Self {
        Self(SipHasher13::new_with_key(key))
    }

    /// Adds a part; `kind` tells parts of different meaning apart.
    pub fn add(&mut self, kind: u8, part: &[u8]) {
        let Self(hasher) = self;
        // No message is near 2^56 bytes long: the length's highest byte is free for the kind.
        hasher.write_u64(part.len() as u64 | u64::from(kind) << 56);
        let (words, rest) = part.as_chunks();
        for word in words {
            hasher.write_u64(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            hasher.write_u64(filled_up(rest));
        }
    }

    /// The key of the parts so far.
    pub fn key(&self) -> CounterKey {
        let hash = self.0.finish128();
        CounterKey {
            high: hash.h2,
            low: hash.h1,
        }
    }
}

impl std::fmt::Debug for KeyBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyBuilder")
    }
}

/// A word of less than eight bytes, the first of them lowest.
fn filled_up(rest: &[u8]) -> u64 {
    match (rest.first_chunk(), rest.last_chunk()) {
        // The two halves may overlap, in the same bytes.
        (Some(first), Some(last)) => {
            let above = u64::from(u32::from_le_bytes(*last)) << (8 * (rest.len() - 4));
            u64::from(u32::from_le_bytes(*first)) | above
        }
        _ => rest
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(hasher: &KeyHasher, parts: &[(u8, &str)]) -> CounterKey {
        let mut builder = KeyBuilder::new(hasher);
        for (kind, part) in parts {
            builder.add(*kind, part.as_bytes());
        }
        builder.key()
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let hasher = KeyHasher::random().unwrap();
        assert_ne!(
            key(&hasher, &[(0, "ab"), (0, "c")]),
            key(&hasher, &[(0, "a"), (0, "bc")])
        );
        assert_ne!(key(&hasher, &[(0, "ab")]), key(&hasher, &[(1, "ab")]));
        assert_eq!(key(&hasher, &[(0, "ab")]), key(&hasher, &[(0, "ab")]));
    }

    #[test]
    fn a_part_is_known_by_each_of_its_bytes_and_their_number() {
        let hasher = KeyHasher::random().unwrap();
        let mut seen = std::collections::HashSet::new();
        for len in 0..=40 {
            let zeros = vec![0; len];
            let mut builder = KeyBuilder::new(&hasher);
            builder.add(0, &zeros);
            assert!(seen.insert(builder.key()));
            for at in 0..len {
                let mut part = zeros.clone();
                part[at] = 1;
                let mut builder = KeyBuilder::new(&hasher);
                builder.add(0, &part);
                assert!(seen.insert(builder.key()), "byte {at} of {len}");
            }
        }
    }

    #[test]
    fn every_process_has_its_own_keys() {
        let (one, other) = (KeyHasher::random().unwrap(), KeyHasher::random().unwrap());
        assert_ne!(key(&one, &[(0, "a")]), key(&other, &[(0, "a")]));
    }
}
