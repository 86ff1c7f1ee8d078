//! The value of a key, once read.

use super::Position;

/// A value and its position in the file.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its position; `None` if it does not come from a file.
    pub position: Option<Position>,
}

/// Two values are equal wherever they are.
impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// The value of an optional key.
#[derive(Clone, Debug, Default)]
pub enum Field<T> {
    /// The key is left out, or null.
    #[default]
    Absent,
    /// The value is invalid; the report has the fault.
    Invalid,
    /// A valid value.
    Given(Spanned<T>),
}

impl<T> Field<T> {
    /// The value, if it is valid.
    pub fn given(&self) -> Option<&Spanned<T>> {
        match self {
            Self::Given(spanned) => Some(spanned),
            Self::Absent | Self::Invalid => None,
        }
    }

    /// Whether the key is left out.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}
