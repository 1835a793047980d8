//! Parts that only a busy queue has: most channels are idle most of the time, and there may
//! be 100,000 of them.

use std::ops::{Deref, DerefMut};

/// A part in memory of its own, made at the first change and given back by
/// [`Lazy::release`]. Read while it is not there, it is empty.
#[derive(Clone, Debug)]
pub(super) struct Lazy<T>(Option<Box<T>>);

/// What a part is while it is not there.
pub(super) trait Empty: Default + 'static {
    fn empty() -> &'static Self;
}

impl<T> Lazy<T> {
    pub(super) const NONE: Self = Self(None);

    pub(super) fn new(part: T) -> Self {
        Self(Some(Box::new(part)))
    }

    /// The part, if it is there: for what changes nothing where nothing is.
    #[inline]
    pub(super) fn get_mut(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    /// The part, if it is there: cheaper than to look into an empty one.
    #[inline]
    pub(super) fn get(&self) -> Option<&T> {
        self.0.as_deref()
    }

    /// Gives the memory back.
    pub(super) fn release(&mut self) {
        self.0 = None;
    }
}

impl<T: Empty> Deref for Lazy<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        match &self.0 {
            Some(part) => part,
            None => T::empty(),
        }
    }
}

impl<T: Empty> DerefMut for Lazy<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(made)
    }
}

/// Kept out of the path of a busy queue.
#[cold]
#[inline(never)]
#[expect(
    clippy::unnecessary_box_returns,
    reason = "the box is what is made here"
)]
fn made<T: Default>() -> Box<T> {
    Box::default()
}
