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
                held.line.retain(|place| is_there(items, *place));
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

    /// An event became larger or smaller.
    pub(super) fn resize(&mut self, producer: Option<NonZeroU32>, before: usize, after: usize) {
        if let Some(held) = producer.and_then(|producer| self.0.get_mut(&producer)) {
            held.totals.bytes = held.totals.bytes - before + after;
        }
    }

    /// Events and bytes beyond the producer's share with one more event of `bytes`. A producer
    /// that holds nothing may always have one.
    pub(super) fn excess(
        &self,
        producer: Producer,
        bytes: usize,
        policy: &ChannelPolicy,
    ) -> (usize, usize) {
        let Some(held) = self.0.get(&producer.id) else {
            return (0, 0);
        };
        let most = |all: usize| all.saturating_mul(usize::from(producer.percent)) / 100;
        let count = (held.totals.count + 1).saturating_sub(most(policy.queue_max_events).max(1));
        let bytes = (held.totals.bytes + bytes).saturating_sub(most(policy.queue_max_bytes));
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
        while line.front().is_some_and(|place| !is_there(items, *place)) {
            line.pop_front();
        }
        let mut victims = Vec::new();
        let mut bytes = 0;
        for &(index, seq) in line.iter() {
            if victims.len() >= excess.0 && bytes >= excess.1 {
                break;
            }
            let item = items.get(index as usize);
            let item = item.filter(|item| item.place.seq == seq && item.stage != Stage::Packed);
            if let Some(item) = item {
                victims.push(index);
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

fn is_there(items: &Slab<Item>, (index, seq): (u32, u64)) -> bool {
    items
        .get(index as usize)
        .is_some_and(|item| item.place.seq == seq)
}
