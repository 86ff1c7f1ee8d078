//! Wildcards: `*` matches zero or more bytes, everything else matches itself.

mod index;

pub(crate) use index::WildcardIndex;

/// A value with at least one `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wildcard {
    text: Box<[u8]>,
    prefix_len: usize,
    suffix_len: usize,
    middle: Box<[Needle]>,
}

/// A piece of text to search for, with its failure table (Knuth, Morris and Pratt), so that the
/// time of a search is linear in the value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Needle {
    text: Box<[u8]>,
    overlaps: Box<[u32]>,
}

impl Wildcard {
    /// `None` if there is no `*` in `text`.
    pub(crate) fn new(text: &[u8]) -> Option<Self> {
        let prefix_len = text.iter().position(|b| *b == b'*')?;
        let last = text.iter().rposition(|b| *b == b'*')?;
        let middle = text[prefix_len..=last]
            .split(|b| *b == b'*')
            .filter(|piece| !piece.is_empty())
            .map(Needle::new)
            .collect();
        Some(Self {
            text: text.into(),
            prefix_len,
            suffix_len: text.len() - last - 1,
            middle,
        })
    }

    /// As written.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    fn prefix(&self) -> &[u8] {
        &self.text[..self.prefix_len]
    }

    fn suffix(&self) -> &[u8] {
        &self.text[self.text.len() - self.suffix_len..]
    }

    /// The texts between the stars, in order; none is empty.
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.middle.iter().map(|needle| &*needle.text)
    }

    /// Whether it matches all of `value`.
    pub(crate) fn matches(&self, value: &[u8]) -> bool {
        value.len() >= self.prefix_len + self.suffix_len
            && value.starts_with(self.prefix())
            && value.ends_with(self.suffix())
            && self.middle_matches(value)
    }

    /// Whether the middle matches, given that the beginning and the end do.
    fn middle_matches(&self, value: &[u8]) -> bool {
        let mut rest = &value[self.prefix_len..value.len() - self.suffix_len];
        for needle in &self.middle {
            match needle.end_in(rest) {
                Some(end) => rest = &rest[end..],
                None => return false,
            }
        }
        true
    }
}

impl Needle {
    fn new(text: &[u8]) -> Self {
        let mut overlaps = vec![0_u32; text.len()];
        let mut overlap = 0_usize;
        for at in 1..text.len() {
            while overlap > 0 && text[at] != text[overlap] {
                overlap = overlaps[overlap - 1] as usize;
            }
            if text[at] == text[overlap] {
                overlap += 1;
            }
            overlaps[at] = overlap as u32;
        }
        Self {
            text: text.into(),
            overlaps: overlaps.into(),
        }
    }

    /// The end of the first occurrence.
    fn end_in(&self, haystack: &[u8]) -> Option<usize> {
        let mut matched = 0_usize;
        for (at, byte) in haystack.iter().enumerate() {
            while matched > 0 && self.text[matched] != *byte {
                matched = self.overlaps[matched - 1] as usize;
            }
            if self.text[matched] == *byte {
                matched += 1;
            }
            if matched == self.text.len() {
                return Some(at + 1);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
