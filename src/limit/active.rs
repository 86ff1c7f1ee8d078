//! Which limits of a rule count for a request.

use super::LimitSet;

/// The limits of a set that count: those that no other rule replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Active(u16);

const _: () = assert!(LimitSet::MAX <= u16::BITS as usize);

impl Active {
    /// All of them.
    pub const ALL: Self = Self(u16::MAX);

    /// Without the limit at `index`.
    #[must_use]
    pub const fn without(self, index: usize) -> Self {
        Self(self.0 & !(1 << index))
    }

    /// Bit `n` is set if the limit at index `n` is active.
    pub(crate) const fn bits(self) -> u16 {
        self.0
    }

    /// The inverse of [`Active::bits`].
    pub(crate) const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Whether the limit at `index` is active.
    pub const fn contains(self, index: usize) -> bool {
        self.0 & (1 << index) != 0
    }
}
