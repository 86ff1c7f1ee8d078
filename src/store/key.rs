//! The name of a counter in a store: a keyed hash of its identity.
//!
//! No client value is kept, every key has the same size, and without the hash's own key nobody can
//! choose values that meet in one counter.

use siphasher::sip128::SipHasher13;

use super::NoRandomness;

/// A counter's name: 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(u128);

impl Key {
    /// Bits that find it in a table.
    pub(super) const fn low_bits(self) -> u32 {
        self.0 as u32
    }

    /// Other bits, that choose the table.
    pub(super) const fn high_bits(self) -> usize {
        (self.0 >> 96) as usize
    }
}

/// SipHash-1-3 with a key of its own.
#[derive(Clone)]
pub struct KeyHasher(SipHasher13);

/// The key of a hash: whoever has the same gives counters the same names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey([u8; 16]);

impl HashKey {
    /// A key that nobody else has.
    pub(super) fn random() -> Result<Self, NoRandomness> {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(NoRandomness)?;
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
        KeyHasher::new(self).hash(b"weir: which key is it").hex()
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey")
    }
}

impl Key {
    /// 32 hexadecimal digits.
    pub(super) fn hex(self) -> String {
        format!("{:032x}", self.0)
    }
}

impl KeyHasher {
    pub(super) fn new(HashKey(key): HashKey) -> Self {
        Self(SipHasher13::new_with_key(&key))
    }

    /// A hasher whose key nobody else has.
    pub(super) fn random() -> Result<Self, NoRandomness> {
        HashKey::random().map(Self::new)
    }

    fn hash(&self, identity: &[u8]) -> Key {
        Key(self.0.hash(identity).as_u128())
    }
}

impl std::fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyHasher")
    }
}

/// Gathers an identity, part by part. Parts never run into each other.
#[derive(Debug)]
pub struct KeyBuilder {
    /// The identity, as long as it fits: the usual one does.
    short: [u8; SHORT_BYTES],
    len: usize,
    /// All of an identity that does not.
    long: Vec<u8>,
}

/// Room for the usual identity. (A small vector in its place took twice the time.)
const SHORT_BYTES: usize = 256;

impl Default for KeyBuilder {
    fn default() -> Self {
        Self {
            short: [0; SHORT_BYTES],
            len: 0,
            long: Vec::new(),
        }
    }
}

impl KeyBuilder {
    /// Adds a part; `kind` tells parts of different meaning apart.
    pub fn add(&mut self, kind: u8, part: &[u8]) {
        // No message is near 2^56 bytes long: the length's highest byte is free for the kind.
        let mut head = (part.len() as u64).to_le_bytes();
        head[7] = kind;
        self.append(&head);
        self.append(part);
    }

    /// Forgets all parts.
    pub fn clear(&mut self) {
        self.len = 0;
        self.long.clear();
    }

    /// The key of the parts so far.
    pub fn key(&self, hasher: &KeyHasher) -> Key {
        hasher.hash(self.identity())
    }

    fn append(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        match self.short.get_mut(self.len..end) {
            Some(room) if self.long.is_empty() => {
                room.copy_from_slice(bytes);
                self.len = end;
            }
            _ => {
                if self.long.is_empty() {
                    self.long.extend_from_slice(&self.short[..self.len]);
                }
                self.long.extend_from_slice(bytes);
            }
        }
    }

    fn identity(&self) -> &[u8] {
        if self.long.is_empty() {
            &self.short[..self.len]
        } else {
            &self.long
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(hasher: &KeyHasher, parts: &[(u8, &str)]) -> Key {
        let mut builder = KeyBuilder::default();
        for (kind, part) in parts {
            builder.add(*kind, part.as_bytes());
        }
        builder.key(hasher)
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
    fn a_long_identity_is_known_by_all_its_parts() {
        let hasher = KeyHasher::random().unwrap();
        let long = "x".repeat(1_000);
        let of = |last: &str| key(&hasher, &[(0, "a"), (0, &long), (0, ""), (0, last)]);
        assert_eq!(of("b"), of("b"));
        assert_ne!(of("b"), of("c"));
        assert_ne!(
            of("b"),
            key(&hasher, &[(0, "d"), (0, &long), (0, ""), (0, "b")])
        );
    }

    #[test]
    fn every_process_has_its_own_keys() {
        let (one, other) = (KeyHasher::random().unwrap(), KeyHasher::random().unwrap());
        assert_ne!(key(&one, &[(0, "a")]), key(&other, &[(0, "a")]));
    }
}
