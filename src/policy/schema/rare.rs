//! What is seldom written, and takes no room then.

use std::ops::Deref;

/// Boxed if it says anything.
#[derive(Debug)]
pub(crate) struct Rare<T>(Option<Box<T>>);

/// What has a value that says nothing.
pub(crate) trait Absent: Sized + 'static {
    const ABSENT: Self;
    /// The same, to refer to.
    const NOTHING: &Self;
}

impl<T> Rare<T> {
    pub(crate) const ABSENT: Self = Self(None);

    /// What is written; none if nothing is.
    pub(crate) fn written(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }
}

impl<T: Absent> Rare<T> {
    /// To write something into.
    pub(crate) fn fill(&mut self) -> &mut T {
        self.0.get_or_insert_with(|| Box::new(T::ABSENT))
    }
}

impl<T: Absent> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::NOTHING)
    }
}
