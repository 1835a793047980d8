//! Payloads that leave in slices, on their way.

use std::sync::Arc;

use super::{InFlightPayload, PayloadId, Settled};
use crate::queue::Queue;
use crate::queue::fill::Filled;
use crate::queue::order::LEVELS;
use crate::queue::slices::{STRIDE, Slices, Slicing};
use crate::time::Time;

impl InFlightPayload {
    /// A payload that leaves in slices, with its first one in flight.
    pub(in crate::queue) fn in_slices(mut self, slicing: Slicing) -> Self {
        self.text = slicing.text();
        self.plain_bytes = 0;
        self.deadline = self.deadline.max(slicing.over());
        self.slicing = Some(Box::new(slicing));
        self
    }

    /// The number that is in the payload: the last slice's.
    pub(in crate::queue) fn own_n(&self) -> u64 {
        let slicing = self.slicing.as_ref();
        slicing.map_or(self.n, |slicing| slicing.slices.last_n(slicing.first))
    }

    /// The text of all of it.
    pub(in crate::queue) fn whole(&self) -> &Arc<str> {
        let slicing = self.slicing.as_deref();
        slicing.map_or(&self.text, |slicing| &slicing.whole)
    }

    /// The number that it is recorded under: the first slice's.
    pub(in crate::queue) fn first_n(&self) -> u64 {
        self.slicing
            .as_ref()
            .map_or(self.n, |slicing| slicing.first)
    }

    /// Whether viewers may have the whole payload, because an attempt ended and nobody knows how.
    pub(in crate::queue) fn may_be_seen(&self) -> bool {
        let is_whole = |slicing: &Slicing| slicing.is_last();
        let slicing = self.slicing.as_deref();
        slicing.is_some_and(|slicing| slicing.was_out)
            || (self.maybe && slicing.is_none_or(is_whole))
    }

    /// Calls that it takes from now on, the one in flight among them.
    pub(in crate::queue) fn calls_left(&self) -> usize {
        self.slicing.as_ref().map_or(1, |slicing| {
            usize::from(slicing.slices.count - slicing.part)
        })
    }

    /// When it changes by itself, while it waits to be sent again.
    pub(in crate::queue) fn changes_at(&self) -> Time {
        let slicing = self.slicing.as_ref();
        slicing.map_or(self.deadline, |slicing| slicing.over().min(self.deadline))
    }

    /// Whether it is no longer of use to send what is left of it.
    pub(in crate::queue) fn is_late(&self, now: Time, payload_max: usize) -> bool {
        self.slicing.as_ref().is_some_and(|slicing| {
            slicing.is_stale
                || slicing.over() <= now
                || (slicing.is_next && self.text.len() > payload_max)
        })
    }

    /// Whether its next slice waits for its turn, and was not sent before.
    pub(in crate::queue) fn is_next_slice(&self) -> bool {
        self.again && self.slicing.as_ref().is_some_and(|slicing| slicing.is_next)
    }

    /// It is sent, perhaps not for the first time.
    pub(in crate::queue) fn leaves(&mut self) {
        self.again = false;
        if let Some(slicing) = &mut self.slicing {
            slicing.is_next = false;
        }
    }

    /// The next slice's turn. A late answer to the call of the one before is nothing to it.
    fn turn(&mut self, id: PayloadId) {
        let Some(slicing) = &mut self.slicing else {
            return;
        };
        slicing.part += 1;
        slicing.is_next = true;
        (self.id, self.n, self.text) = (id, slicing.n(), slicing.text());
        if slicing.is_last() {
            self.plain_bytes = slicing.plain_bytes;
        }
        (self.again, self.returned, self.maybe) = (true, false, false);
    }
}

impl Queue {
    /// Of how many levels, from the highest, events may go in the next payload: between slices only those of
    /// higher priority, and one payload.
    pub(in crate::queue) fn open_levels(&self) -> usize {
        let pending = |out: &InFlightPayload| {
            let slicing = out.slicing.as_deref()?;
            let next = slicing.n() + if slicing.is_next { 0 } else { STRIDE };
            let waits = slicing.is_next || !slicing.is_last();
            waits.then_some((next, *out.items.first()?))
        };
        let Some((next, index)) = self.outs.iter().find_map(pending) else {
            return LEVELS.len();
        };
        if self.next_n >= next {
            return 0;
        }
        let level = self.order.item(index).map(|item| item.level);
        LEVELS
            .iter()
            .position(|other| Some(*other) == level)
            .unwrap_or(0)
    }

    /// Whether a payload is on its way in slices: no other one begins.
    pub(in crate::queue) fn is_slicing(&self) -> bool {
        self.outs.iter().any(|out| out.slicing.is_some())
    }

    /// The payload that leaves in slices, from the first on.
    pub(in crate::queue) fn begin_slices(
        &mut self,
        filled: Filled,
        id: PayloadId,
        count: u8,
    ) -> InFlightPayload {
        let slices = Slices {
            count,
            since: self.now,
        };
        let (n, whole) = (self.next_n, filled.text.into());
        let slicing = Slicing::new(whole, filled.plain_bytes, n, slices);
        let text = Arc::default();
        InFlightPayload::new(id, n, text, 0, filled.items, &self.order).in_slices(slicing)
    }

    /// A slice was delivered: it is the next one's turn. None: it was the last, and what is to be done is what
    /// is done with any payload.
    pub(in crate::queue) fn go_on(&mut self, position: usize) -> Option<Settled> {
        let slicing = self.outs[position].slicing.as_deref()?;
        let is_stale = slicing.is_stale;
        if slicing.is_last() && !is_stale {
            return None;
        }
        let (n, text) = (self.outs[position].n, Arc::clone(&self.outs[position].text));
        if is_stale {
            self.dissolve(position);
        } else {
            let id = self.take_payload_id();
            self.outs[position].turn(id);
        }
        Some(Settled {
            delivered: Some((n, text)),
            ..Settled::default()
        })
    }

    /// The stream is no longer live: viewers of the next one have no slice of what is on its way.
    pub(in crate::queue) fn stream_ended(&mut self) {
        for slicing in self.outs.iter_mut().filter_map(|out| out.slicing.as_mut()) {
            slicing.is_stale = true;
        }
    }
}
