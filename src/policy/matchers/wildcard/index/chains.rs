//! Texts that a value begins with.
//!
//! In a sorted list, all texts that a value begins with are on one chain: from the last one that
//! is not greater than the value to ever shorter ones. A lookup is a binary search and a walk
//! along that chain.

/// Distinct texts, sorted, each with a number and a link to the longest other text that it begins
/// with.
#[derive(Debug)]
pub(super) struct Chains {
    links: Box<[ChainLink]>,
}

#[derive(Debug)]
struct ChainLink {
    text: Box<[u8]>,
    shorter: Option<u32>,
    number: u32,
}

impl Chains {
    pub(super) fn new(mut texts: Vec<(Box<[u8]>, u32)>) -> Self {
        texts.sort_unstable();
        let mut links: Vec<ChainLink> = Vec::with_capacity(texts.len());
        for (text, number) in texts {
            let mut shorter = links.len().checked_sub(1).map(|at| at as u32);
            while let Some(at) = shorter {
                if text.starts_with(&links[at as usize].text) {
                    break;
                }
                shorter = links[at as usize].shorter;
            }
            links.push(ChainLink {
                text,
                shorter,
                number,
            });
        }
        Self {
            links: links.into(),
        }
    }

    /// The length and the number of each text that `value` begins with, longest first.
    pub(super) fn matching<'a>(
        &self,
        value: impl Iterator<Item = &'a u8> + Clone,
    ) -> impl Iterator<Item = (usize, u32)> {
        let not_greater = |link: &ChainLink| link.text.iter().le(value.clone());
        let mut next = self.links.partition_point(not_greater).checked_sub(1);
        // Once one matches, those that it begins with do, too.
        let mut matches = false;
        std::iter::from_fn(move || {
            loop {
                let link = &self.links[next?];
                next = link.shorter.map(|at| at as usize);
                let mut value = value.clone();
                matches = matches || link.text.iter().all(|byte| value.next() == Some(byte));
                if matches {
                    return Some((link.text.len(), link.number));
                }
            }
        })
    }
}
