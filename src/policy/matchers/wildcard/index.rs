//! Many wildcards of one level: the first in file order that fits a value.
//!
//! Sorted by how they begin and, where they begin alike, by how they end. All texts of a sorted
//! list that a value begins with stand on one chain, from the last one that is not greater than
//! the value to ever shorter ones; so a lookup is a binary search and a walk along that chain.

use super::Wildcard;

/// Wildcards in file order, each with what it leads to.
#[derive(Debug)]
pub(crate) struct WildcardIndex<T> {
    wildcards: Box<[(Wildcard, T)]>,
    by_prefix: Chains<Chains<Box<[u32]>>>,
}

/// Texts, sorted, each knowing the longest other one that it begins with.
#[derive(Debug)]
struct Chains<T> {
    links: Box<[ChainLink<T>]>,
}

#[derive(Debug)]
struct ChainLink<T> {
    text: Box<[u8]>,
    shorter: Option<u32>,
    what: T,
}

impl<T> WildcardIndex<T> {
    pub(crate) fn new(wildcards: Vec<(Wildcard, T)>) -> Self {
        let all: Vec<u32> = (0..wildcards.len() as u32).collect();
        let wildcard = |at: &u32| &wildcards[*at as usize].0;
        let by_prefix = Chains::new(
            &all,
            |at| wildcard(at).prefix().into(),
            |alike| {
                Chains::new(
                    alike,
                    |at| wildcard(at).suffix().iter().rev().copied().collect(),
                    |same| same.into(),
                )
            },
        );
        Self {
            wildcards: wildcards.into(),
            by_prefix,
        }
    }

    /// All of them, in file order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Wildcard, T)> {
        self.wildcards.iter()
    }

    /// The first that fits.
    pub(crate) fn find(&self, value: &[u8]) -> Option<&(Wildcard, T)> {
        self.position(value).map(|at| &self.wildcards[at])
    }

    /// The position, in file order, of the first that fits.
    pub(crate) fn position(&self, value: &[u8]) -> Option<usize> {
        let mut best: Option<u32> = None;
        for by_suffix in self.by_prefix.matching(value.iter()) {
            for same in by_suffix.matching(value.iter().rev()) {
                let better = |at: &&u32| best.is_none_or(|best| **at < best);
                // Each list is in file order, so the first that fits is its best.
                let found = same
                    .iter()
                    .take_while(better)
                    .find(|at| self.wildcards[**at as usize].0.matches(value));
                best = found.copied().or(best);
            }
        }
        best.map(|at| at as usize)
    }
}

impl<T> Chains<T> {
    /// Groups `items` by the text that `text` gives them; each group stays in order.
    fn new(items: &[u32], text: impl Fn(&u32) -> Box<[u8]>, group: impl Fn(&[u32]) -> T) -> Self {
        let mut texts: Vec<(Box<[u8]>, u32)> = items.iter().map(|at| (text(at), *at)).collect();
        texts.sort();
        let mut links: Vec<ChainLink<T>> = Vec::new();
        for alike in texts.chunk_by(|a, b| a.0 == b.0) {
            let text = &alike[0].0;
            let members: Vec<u32> = alike.iter().map(|(_, at)| *at).collect();
            let mut shorter = links.len().checked_sub(1).map(|at| at as u32);
            while let Some(at) = shorter {
                if text.starts_with(&links[at as usize].text) {
                    break;
                }
                shorter = links[at as usize].shorter;
            }
            links.push(ChainLink {
                text: text.clone(),
                shorter,
                what: group(&members),
            });
        }
        Self {
            links: links.into(),
        }
    }

    /// What the texts that `value` begins with lead to, longest first.
    fn matching<'a>(
        &self,
        value: impl Iterator<Item = &'a u8> + Clone,
    ) -> impl Iterator<Item = &T> {
        let not_greater = |link: &ChainLink<T>| link.text.iter().le(value.clone());
        let mut next = self.links.partition_point(not_greater).checked_sub(1);
        // Once one fits, those that it begins with do too.
        let mut fits = false;
        std::iter::from_fn(move || {
            loop {
                let link = &self.links[next?];
                next = link.shorter.map(|at| at as usize);
                let mut value = value.clone();
                fits = fits || link.text.iter().all(|byte| value.next() == Some(byte));
                if fits {
                    return Some(&link.what);
                }
            }
        })
    }
}
