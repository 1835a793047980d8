//! Another event in the place of one that is queued: a cue that is moved or corrected.
//!
//! It is tried as a batch is: where the new event is refused, the old one is as it was.

use super::Queue;
use super::accept::Refusal;
use super::ids::Whereabouts;
use super::item::{Seat, Stage};
use super::ledger::End;
use crate::event::Event;
use crate::time::Time;

/// What became of an event that replaces another of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// The queued event was cancelled, and the new one was accepted for it.
    Replaced,
    /// No event of that id was queued, and none was delivered: the new one was accepted.
    Accepted,
    /// The event was delivered, is in a payload on its way, or was merged into another: nothing
    /// changed.
    Gone,
}

impl Queue {
    /// Replaces the queued event of the same id whole, or takes the event in where none is queued.
    ///
    /// Without an `at` of its own it keeps the moment of the old one. If its key is the same, or it
    /// has none, it keeps the place as well; with another key it goes behind the events of that
    /// key. Its TTL begins anew. An event without an id is simply accepted.
    ///
    /// # Errors
    /// [`Refusal`], as of [`Queue::accept`]: nothing has changed then.
    pub fn replace(&mut self, now: Time, event: Event) -> Result<Replaced, Refusal> {
        self.advance(now);
        let id = event.content.id.as_deref();
        let found = id.and_then(|id| self.ids.find(self.now, id));
        let queued = match found {
            Some(Whereabouts::Queued(index)) => Some(index),
            Some(Whereabouts::Ended(fate)) if matches!(fate.end, End::Delivered | End::Merged) => {
                return Ok(Replaced::Gone);
            }
            Some(Whereabouts::Ended(_)) | None => None,
        };
        if queued.is_some_and(|index| self.order.items[index].stage == Stage::Packed) {
            return Ok(Replaced::Gone);
        }
        self.begin(now);
        match self.swap(now, queued, event) {
            Ok(()) => {
                self.commit();
                let replaced = queued.map(|_| Replaced::Replaced);
                Ok(replaced.unwrap_or(Replaced::Accepted))
            }
            Err(refusal) => {
                self.roll_back();
                Err(refusal)
            }
        }
    }

    /// Ends the queued event, if there is one, and accepts the other.
    fn swap(&mut self, now: Time, queued: Option<u32>, mut event: Event) -> Result<(), Refusal> {
        let mut seat = None;
        if let Some(index) = queued {
            let old = &self.order.items[index];
            let same_key = event.content.key.is_none() || event.content.key == old.content.key;
            if event.at.is_none() {
                event.at = old.scheduled.as_deref().map(|scheduled| scheduled.at);
                seat = same_key.then(|| self.seat(index));
            }
            self.end_replaced(index);
        }
        self.admit(now, event, seat)
    }

    fn seat(&self, index: u32) -> Seat {
        let item = &self.order.items[index];
        let known = |index: u32| (index, self.order.items[index].place.seq);
        Seat {
            place: item.place,
            prev: item.prev.map(known),
            next: item.next.map(known),
        }
    }
}
