//! What is seldom written, and takes no room then.

use std::ops::Deref;

/// Boxed if it says anything.
#[derive(Debug)]
pub(crate) struct Lazy<T>(Option<Box<T>>);

/// What has a value that says nothing.
pub(crate) trait Defaulted: Sized + 'static {
    const DEFAULT: Self;
    /// The same, to refer to.
    const DEFAULT_REF: &Self;
}

impl<T> Lazy<T> {
    pub(crate) const DEFAULT: Self = Self(None);

    /// What is written; none if nothing is.
    pub(crate) fn written(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }
}

impl<T: Defaulted> Lazy<T> {
    /// To write something into.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(|| Box::new(T::DEFAULT))
    }
}

impl<T: Defaulted> Deref for Lazy<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::DEFAULT_REF)
    }
}
