//! Rarely written values, which use little memory when absent.

use std::ops::Deref;

/// A value that is boxed when it is written, and the default otherwise.
#[derive(Debug)]
pub(crate) struct Lazy<T>(Option<Box<T>>);

/// A type with a constant default.
pub(crate) trait Defaulted: Sized + 'static {
    const DEFAULT: Self;
    /// A reference to it.
    const DEFAULT_REF: &Self;
}

impl<T> Lazy<T> {
    pub(crate) const DEFAULT: Self = Self(None);

    /// The value; `None` if nothing was written.
    pub(crate) fn written(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }
}

impl<T: Defaulted> Lazy<T> {
    /// The value, to write into.
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
