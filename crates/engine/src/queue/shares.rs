//! What each producer holds of a queue, so that one that floods it cannot fill it for all.
//!
//! It counts, and knows in which order a producer's events came. Whether that matters, and who
//! goes, is decided in `accept`.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;

use slab::Slab;

use super::item::{Item, Stage};
use super::order::Totals;
use crate::event::Producer;
use crate::policy::{ChannelPolicy, Overflow};

/// Entries of events that are gone which a line may hold beyond as many as there are events.
const SLACK: usize = 64;

/// By producer; those that hold nothing are not there.
#[derive(Clone, Debug, Default)]
pub(super) struct Shares(HashMap<NonZeroU32, Held>);

/// Whether any producer still holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    Some,
}

#[derive(Clone, Debug, Default)]
struct Held {
    totals: Totals,
    /// Slots of the events in the order in which they came, each with its sequence number; some
    /// may be gone. Only kept where the oldest can be asked for.
    line: VecDeque<(u32, u64)>,
}

impl Shares {
    /// Counts an event in that was put at `place`: its slot, and its sequence number.
    pub(super) fn add(
        &mut self,
        producer: NonZeroU32,
        bytes: usize,
        place: (u32, u64),
        items: &Slab<Item>,
        policy: &ChannelPolicy,
    ) {
        let held = self.0.entry(producer).or_default();
        held.totals.add(bytes);
        if policy.overflow == Overflow::DropOldest {
            held.line.push_back(place);
            if held.line.len() > 2 * held.totals.count + SLACK {
                held.line.retain(|place| is_its(items, producer, *place));
            }
        }
    }

    /// Counts an event out.
    pub(super) fn sub(&mut self, producer: Option<NonZeroU32>, bytes: usize) -> Left {
        if let Some(producer) = producer
            && let Some(held) = self.0.get_mut(&producer)
        {
            held.totals.sub(bytes);
            if held.totals.count == 0 {
                self.0.remove(&producer);
            }
        }
        if self.0.is_empty() {
            Left::Nothing
        } else {
            Left::Some
        }
    }

    /// An event of a producer became larger or smaller.
    pub(super) fn resize(&mut self, producer: NonZeroU32, before: usize, after: usize) {
        if let Some(held) = self.0.get_mut(&producer) {
            held.totals.bytes = held.totals.bytes - before + after;
        }
    }

    /// Events and bytes beyond the producer's share with one more event of `bytes`.
    pub(super) fn excess(
        &self,
        producer: Producer,
        bytes: usize,
        policy: &ChannelPolicy,
    ) -> (usize, usize) {
        self.beyond(producer, (1, bytes), 0, policy)
    }

    /// Whether the producer's share has room for an item that becomes its own with a merge:
    /// `bytes` then, and `before` if it is its own already.
    pub(super) fn has_room(
        &self,
        producer: Producer,
        bytes: usize,
        before: Option<usize>,
        policy: &ChannelPolicy,
    ) -> bool {
        let more = (usize::from(before.is_none()), bytes);
        self.beyond(producer, more, before.unwrap_or(0), policy) == (0, 0)
    }

    /// Events and bytes beyond the share with so many more and `less` bytes less. A producer may
    /// always have one event.
    fn beyond(
        &self,
        producer: Producer,
        (events, bytes): (usize, usize),
        less: usize,
        policy: &ChannelPolicy,
    ) -> (usize, usize) {
        let held = self.0.get(&producer.id).map(|held| held.totals);
        let held = held.unwrap_or_default();
        if held.count + events <= 1 {
            return (0, 0);
        }
        let most = |all: usize| all.saturating_mul(usize::from(producer.percent)) / 100;
        let count = (held.count + events).saturating_sub(most(policy.queue_max_events).max(1));
        let bytes = (held.bytes + bytes).saturating_sub(most(policy.queue_max_bytes) + less);
        (count, bytes)
    }

    /// The oldest events of a producer that are in no payload, enough to free `excess`; none if
    /// all of them are not.
    pub(super) fn oldest(
        &mut self,
        producer: NonZeroU32,
        excess: (usize, usize),
        items: &Slab<Item>,
    ) -> Option<Vec<u32>> {
        let line = &mut self.0.get_mut(&producer)?.line;
        while line
            .front()
            .is_some_and(|place| !is_its(items, producer, *place))
        {
            line.pop_front();
        }
        let mut victims = Vec::new();
        let mut bytes = 0;
        for &place in line.iter() {
            if victims.len() >= excess.0 && bytes >= excess.1 {
                break;
            }
            let item = items.get(place.0 as usize);
            let item = item.filter(|item| item.stage != Stage::Packed);
            // One that went to another and came back stands in the line twice.
            let is_new = !victims.contains(&place.0);
            if let Some(item) = item.filter(|_| is_its(items, producer, place) && is_new) {
                victims.push(place.0);
                bytes += item.bytes();
            }
        }
        (victims.len() >= excess.0 && bytes >= excess.1).then_some(victims)
    }

    /// What a producer holds: events and bytes.
    #[cfg(test)]
    pub(super) fn held(&self, producer: NonZeroU32) -> (usize, usize) {
        let held = self.0.get(&producer);
        held.map_or((0, 0), |held| (held.totals.count, held.totals.bytes))
    }
}

fn is_its(items: &Slab<Item>, producer: NonZeroU32, (index, seq): (u32, u64)) -> bool {
    items
        .get(index as usize)
        .is_some_and(|item| item.place.seq == seq && item.producer == Some(producer))
}
