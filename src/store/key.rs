//! The key of a counter in a store: a keyed hash of its identity.
//!
//! So no client value is stored, all keys have the same size, and a client that does not know the
//! hash key cannot choose values that collide.

use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::RngError;

/// The key of a counter: 128 bits, in two halves because a `u128` would add padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CounterKey {
    high: u64,
    low: u64,
}

impl CounterKey {
    /// A key that no client has, but by a chance of 2^-64.
    pub(super) const fn reserved(low: u32) -> Self {
        Self {
            high: 0,
            low: low as u64,
        }
    }

    /// The bits that find it in a table.
    pub(super) const fn low_bits(self) -> u32 {
        self.low as u32
    }

    /// Its 16 bytes.
    pub(super) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.high) << 64 | u128::from(self.low)).to_be_bytes()
    }

    /// The key of these bytes.
    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        let bits = u128::from_be_bytes(bytes);
        Self {
            high: (bits >> 64) as u64,
            low: bits as u64,
        }
    }

    /// Other bits, which select the table.
    pub(super) const fn high_bits(self) -> usize {
        (self.high >> 32) as usize
    }
}

/// SipHash-1-3 with a key.
#[derive(Clone, Copy)]
pub struct KeyHasher(HashKey);

/// The key of the hash: instances with the same one use the same keys for counters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey([u8; 16]);

impl HashKey {
    /// A random key.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn random() -> Result<Self, RngError> {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(RngError)?;
        Ok(Self(key))
    }

    /// Parses 32 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let key = u128::from_str_radix(text, 16).ok().filter(|_| is_hex)?;
        Some(Self(key.to_be_bytes()))
    }

    /// As [`HashKey::from_hex`] parses it.
    pub fn to_hex(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// Identifies the key without revealing it.
    pub fn fingerprint(self) -> String {
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
    pub fn hex(self) -> String {
        let mut hex = String::with_capacity(32);
        self.push_hex(&mut hex);
        hex
    }

    /// Appends [`CounterKey::hex`], without the machinery of formatting: each call of Redis has one.
    pub(super) fn push_hex(self, text: &mut String) {
        let digits = self
            .to_bytes()
            .into_iter()
            .flat_map(|byte| [byte >> 4, byte & 15]);
        text.extend(digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
    }
}

impl KeyHasher {
    pub(super) const fn new(key: HashKey) -> Self {
        Self(key)
    }

    /// A hasher with a random key.
    pub(super) fn random() -> Result<Self, RngError> {
        HashKey::random().map(Self::new)
    }
}

impl std::fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyHasher")
    }
}

/// Hashes an identity, part by part. Different lists of parts never have the same input.
///
/// A part is one word with its kind and length, then its bytes in words of eight, the last padded
/// with zeros. Words are hashed as they arrive: collecting all bytes first took twice the time.
#[derive(Clone, Copy)]
pub struct KeyBuilder(SipHasher13);

impl KeyBuilder {
    /// An identity without parts.
    pub fn new(KeyHasher(HashKey(key)): &KeyHasher) -> Self {
        Self(SipHasher13::new_with_key(key))
    }

    /// Adds a part. Parts of different `kind` differ even if their bytes are equal.
    pub fn add(&mut self, kind: u8, part: &[u8]) {
        let Self(hasher) = self;
        // Messages are far shorter than 2^56 bytes, so the highest byte of the length is free.
        hasher.write_u64(part.len() as u64 | u64::from(kind) << 56);
        let (words, rest) = part.as_chunks();
        for word in words {
            hasher.write_u64(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            hasher.write_u64(padded(rest));
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

/// Fewer than eight bytes as a little-endian word.
fn padded(rest: &[u8]) -> u64 {
    match (rest.first_chunk(), rest.last_chunk()) {
        // The two halves may overlap in equal bytes.
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
    fn parts_are_separated() {
        let hasher = KeyHasher::random().unwrap();
        assert_ne!(
            key(&hasher, &[(0, "ab"), (0, "c")]),
            key(&hasher, &[(0, "a"), (0, "bc")])
        );
        assert_ne!(key(&hasher, &[(0, "ab")]), key(&hasher, &[(1, "ab")]));
        assert_eq!(key(&hasher, &[(0, "ab")]), key(&hasher, &[(0, "ab")]));
    }

    #[test]
    fn every_byte_and_the_length_of_a_part_matter() {
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
    fn random_hash_keys_differ() {
        let (one, other) = (KeyHasher::random().unwrap(), KeyHasher::random().unwrap());
        assert_ne!(key(&one, &[(0, "a")]), key(&other, &[(0, "a")]));
    }
}
