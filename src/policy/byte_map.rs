//! A map with bytes as keys that takes little memory when it has few: most levels have one key.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// A map from bytes; entries are never removed.
#[derive(Debug)]
pub(crate) enum ByteMap<T> {
    Few(Box<[(Box<[u8]>, T)]>),
    Many(Box<ManyKeys<T>>),
}

#[derive(Debug)]
pub(crate) struct ManyKeys<T> {
    /// The length of the longest key: longer bytes need not be hashed.
    longest: usize,
    /// The keys come from the policy, so a client cannot make them collide.
    map: HashMap<Box<[u8]>, T, RandomState>,
}

/// Up to this size, comparing is faster than hashing.
const FEW: usize = 4;

impl<T> ByteMap<T> {
    pub(crate) fn get(&self, key: &[u8]) -> Option<&T> {
        match self {
            Self::Few(pairs) => pairs
                .iter()
                .find(|(own, _)| **own == *key)
                .map(|(_, value)| value),
            Self::Many(many) if key.len() > many.longest => None,
            Self::Many(many) => many.map.get(key),
        }
    }
}

impl<T> ByteMap<T> {
    /// The number of keys.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(pairs) => pairs.len(),
            Self::Many(many) => many.map.len(),
        }
    }

    /// The keys, sorted.
    pub(crate) fn keys(&self) -> Vec<&[u8]> {
        let mut keys: Vec<&[u8]> = match self {
            Self::Few(pairs) => pairs.iter().map(|(key, _)| &**key).collect(),
            Self::Many(many) => many.map.keys().map(|key| &**key).collect(),
        };
        keys.sort_unstable();
        keys
    }
}

impl<T: Copy> ByteMap<T> {
    /// The value of the key, which becomes `fresh` if there was none.
    pub(crate) fn get_or_insert(&mut self, key: &[u8], fresh: T) -> T {
        if let Some(known) = self.get(key) {
            return *known;
        }
        match self {
            Self::Few(pairs) => {
                let mut pairs = std::mem::take(pairs).into_vec();
                pairs.push((key.into(), fresh));
                *self = pairs.into_iter().collect();
            }
            Self::Many(many) => {
                many.longest = many.longest.max(key.len());
                many.map.insert(key.into(), fresh);
            }
        }
        fresh
    }
}

impl<T> Default for ByteMap<T> {
    fn default() -> Self {
        Self::Few(Box::default())
    }
}

impl<T> FromIterator<(Box<[u8]>, T)> for ByteMap<T> {
    fn from_iter<I: IntoIterator<Item = (Box<[u8]>, T)>>(pairs: I) -> Self {
        let mut pairs = pairs.into_iter();
        let few: Vec<(Box<[u8]>, T)> = pairs.by_ref().take(FEW + 1).collect();
        if few.len() <= FEW {
            return Self::Few(few.into());
        }
        let mut longest = 0;
        let pairs = few.into_iter().chain(pairs);
        let map = pairs
            .inspect(|(key, _)| longest = longest.max(key.len()))
            .collect();
        Self::Many(Box::new(ManyKeys { longest, map }))
    }
}
