//! The name of a counter in a store: a keyed hash of its identity.
//!
//! No client value is kept, every key has the same size, and without the hash's own key nobody can
//! choose values that meet in one counter.

use siphasher::sip128::SipHasher13;
use smallvec::SmallVec;

use super::NoRandomness;

/// A counter's name: 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(u128);

/// SipHash-1-3 with a key of its own.
#[derive(Clone)]
pub struct KeyHasher(SipHasher13);

impl KeyHasher {
    /// A hasher whose key nobody else has.
    pub(super) fn random() -> Result<Self, NoRandomness> {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(NoRandomness)?;
        Ok(Self(SipHasher13::new_with_key(&key)))
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
#[derive(Debug, Default)]
pub struct KeyBuilder {
    identity: SmallVec<[u8; 256]>,
}

impl KeyBuilder {
    /// Adds a part; `kind` tells parts of different meaning apart.
    pub fn add(&mut self, kind: u8, part: &[u8]) {
        // No message is near 2^56 bytes long: the length's highest byte is free for the kind.
        let mut head = (part.len() as u64).to_le_bytes();
        head[7] = kind;
        self.identity.extend_from_slice(&head);
        self.identity.extend_from_slice(part);
    }

    /// Forgets all parts.
    pub fn clear(&mut self) {
        self.identity.clear();
    }

    /// The key of the parts so far.
    pub fn key(&self, hasher: &KeyHasher) -> Key {
        hasher.hash(&self.identity)
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
    fn every_process_has_its_own_keys() {
        let (one, other) = (KeyHasher::random().unwrap(), KeyHasher::random().unwrap());
        assert_ne!(key(&one, &[(0, "a")]), key(&other, &[(0, "a")]));
    }
}
