//! A payload that leaves in slices, because its one event is larger than what can be sent.
//!
//! It is one payload on its way: the next slice goes when the last one was delivered, and its event ends
//! with the last. Only one of a queue is on its way at a time. Between two slices there is room for one payload
//! of events of higher priority, so that neither keeps the other from going on. For that every second number is
//! left free, and numbers still only grow.
//!
//! The TTL counts until the first slice leaves. The others then have [`TIME`], because players do not keep slices
//! for longer than 30 s. After that, and where the stream ended meanwhile, the event is packed anew under
//! new numbers, if it still lives.

use std::sync::Arc;

use crate::form::{SLICES_MAX, slice};
use crate::time::{Span, Time};

/// From the first slice until the last must be sent.
const TIME: Span = Span::from_millis(20_000);

/// From the number of a slice to that of the next.
pub(super) const STRIDE: u64 = 2;

/// How a payload is cut, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slices {
    /// How many: 2 to 16.
    pub count: u8,
    /// When the first one was taken.
    pub since: Time,
}

impl Slices {
    /// Whether a payload can have been cut so.
    pub(super) fn can_be(self, text: &str) -> bool {
        let count = usize::from(self.count);
        (2..=SLICES_MAX).contains(&count) && slice(text, count - 1, count).is_some()
    }

    /// The number of the last slice, which the payload says, where the first has the number `first`.
    pub(super) fn last_n(self, first: u64) -> u64 {
        first + STRIDE * (u64::from(self.count).saturating_sub(1))
    }
}

/// A payload in slices, and the one that is its turn.
#[derive(Clone, Debug)]
pub(super) struct Slicing {
    pub slices: Slices,
    /// The whole payload, in the form `~0`.
    pub whole: Arc<str>,
    /// Bytes of its plain form.
    pub plain_bytes: usize,
    /// The number of the first slice.
    pub first: u64,
    pub part: u8,
    /// It is the turn of a slice that was not sent yet.
    pub is_next: bool,
    /// The stream ended since the first slice.
    pub is_stale: bool,
    /// Every slice was sent before a restart, as far as anybody knows.
    pub was_out: bool,
}

impl Slicing {
    pub(super) const fn new(
        whole: Arc<str>,
        plain_bytes: usize,
        first: u64,
        slices: Slices,
    ) -> Self {
        Self {
            slices,
            whole,
            plain_bytes,
            first,
            part: 0,
            is_next: false,
            is_stale: false,
            was_out: false,
        }
    }

    pub(super) const fn is_last(&self) -> bool {
        self.part + 1 >= self.slices.count
    }

    pub(super) fn n(&self) -> u64 {
        self.first + STRIDE * u64::from(self.part)
    }

    /// The slice whose turn it is.
    pub(super) fn text(&self) -> Arc<str> {
        let (place, count) = (self.part.into(), self.slices.count.into());
        // There always is one: a payload that cannot be cut so is not taken for one in slices.
        slice(&self.whole, place, count).unwrap_or_default().into()
    }

    /// When the payload is packed anew.
    pub(super) fn over(&self) -> Time {
        self.slices.since + TIME
    }
}
