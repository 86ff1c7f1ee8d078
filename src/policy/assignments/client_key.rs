//! What a row is found by: a hash of a client's value.

use std::cell::OnceCell;
use std::hash::{BuildHasher, Hasher as _, RandomState};
use std::sync::LazyLock;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use crate::policy::matchers::sha256::Sha256Hash;

/// 128 bits that stand for a value: a keyed hash of a value that is written in clear, or a part of its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RowKey {
    high: u64,
    low: u64,
}

/// The key of the hash, random in each process: a client cannot choose a value that has the hash of another one.
static HASH_KEY: LazyLock<[u64; 2]> = LazyLock::new(|| {
    let random = RandomState::new();
    [0_u64, 1].map(|part| random.hash_one(part))
});

impl RowKey {
    pub(super) const ZERO: Self = Self { high: 0, low: 0 };

    /// Of a value.
    pub(super) fn of_value(value: &[u8]) -> Self {
        let [first, second] = *HASH_KEY;
        let mut hasher = SipHasher13::new_with_keys(first, second);
        hasher.write(value);
        let hash = hasher.finish128();
        Self {
            high: hash.h1,
            low: hash.h2,
        }
    }

    /// Of a value that is only known by its SHA-256.
    pub(super) fn of_sha256(hash: &Sha256Hash) -> Self {
        let ([high, low, ..], _) = hash.bytes().as_chunks::<8>() else {
            return Self::ZERO;
        };
        Self {
            high: u64::from_be_bytes(*high),
            low: u64::from_be_bytes(*low),
        }
    }

    /// Where it is in a table of that many places.
    pub(super) fn place(self, places: usize) -> usize {
        ((u128::from(self.high) * places as u128) >> 64) as usize
    }
}

/// The value of a client, with its hashes as far as they are needed.
#[derive(Debug)]
pub(in crate::policy) struct ClientKey<'v> {
    /// `None` if only its SHA-256 is known.
    value: Option<&'v [u8]>,
    by_value: OnceCell<Option<RowKey>>,
    by_sha256: OnceCell<RowKey>,
}

impl<'v> ClientKey<'v> {
    pub(in crate::policy) fn new(value: &'v [u8]) -> Self {
        Self {
            value: Some(value),
            by_value: OnceCell::new(),
            by_sha256: OnceCell::new(),
        }
    }

    /// A client of which only the SHA-256 is known, so that rows with a value in clear do not match.
    pub(in crate::policy) fn from_sha256(hash: &Sha256Hash) -> Self {
        Self {
            value: None,
            by_value: OnceCell::new(),
            by_sha256: OnceCell::from(RowKey::of_sha256(hash)),
        }
    }

    pub(super) fn by_value(&self) -> Option<RowKey> {
        *self
            .by_value
            .get_or_init(|| self.value.map(RowKey::of_value))
    }

    pub(super) fn by_sha256(&self) -> RowKey {
        let value = || self.value.unwrap_or_default();
        let hash = || RowKey::of_sha256(&Sha256Hash::of(value()));
        *self.by_sha256.get_or_init(hash)
    }
}
