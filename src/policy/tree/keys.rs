//! A map with bytes as keys, small where it holds little: most levels hold one key.

use std::collections::HashMap;

/// Bytes to something. It is filled once and never changed.
#[derive(Debug)]
pub(crate) enum ByteMap<T> {
    Few(Box<[(Box<[u8]>, T)]>),
    Many(Box<HashMap<Box<[u8]>, T>>),
}

/// Up to here comparing is faster than hashing.
const FEW: usize = 4;

impl<T> ByteMap<T> {
    pub(crate) fn get(&self, key: &[u8]) -> Option<&T> {
        match self {
            Self::Few(pairs) => pairs
                .iter()
                .find(|(own, _)| **own == *key)
                .map(|(_, what)| what),
            Self::Many(map) => map.get(key),
        }
    }
}

impl<T> Default for ByteMap<T> {
    fn default() -> Self {
        Self::Few(Box::default())
    }
}

impl<T> FromIterator<(Box<[u8]>, T)> for ByteMap<T> {
    fn from_iter<I: IntoIterator<Item = (Box<[u8]>, T)>>(pairs: I) -> Self {
        let pairs: Vec<(Box<[u8]>, T)> = pairs.into_iter().collect();
        if pairs.len() <= FEW {
            Self::Few(pairs.into())
        } else {
            Self::Many(Box::new(pairs.into_iter().collect()))
        }
    }
}
