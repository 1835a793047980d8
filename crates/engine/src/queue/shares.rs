//! What each producer holds of a queue, so that one that floods it cannot fill it for all.
//!
//! It counts, and knows in which order a producer's events came. Whether that matters, and who
//! goes, is decided in `accept`.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::LazyLock;

use super::items::Items;
use super::lazy::Empty;
use super::totals::Totals;
use crate::event::Producer;
use crate::policy::ChannelPolicy;

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
    /// The ends of the line of its events that are in no payload, in the order in which they
    /// came. The items know their neighbours.
    oldest: Option<u32>,
    latest: Option<u32>,
}

impl Empty for Shares {
    #[cold]
    #[inline(never)]
    fn empty() -> &'static Self {
        static EMPTY: LazyLock<Shares> = LazyLock::new(Shares::default);
        &EMPTY
    }
}

impl Shares {
    /// Counts an event in, as the latest of its producer.
    pub(super) fn add(
        &mut self,
        producer: NonZeroU32,
        bytes: usize,
        index: u32,
        items: &mut Items,
    ) {
        let held = self.0.entry(producer).or_default();
        held.totals.add(bytes);
        let before = held.latest.replace(index);
        if let Some(before) = before {
            items[before].own_next = Some(index);
        } else {
            held.oldest = Some(index);
        }
        let item = &mut items[index];
        (item.own_prev, item.own_next) = (before, None);
    }

    /// Counts an event out. If it was in no payload, it has left the line before.
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

    /// An event leaves its producer's line; it still names its neighbours.
    pub(super) fn leave(&mut self, index: u32, items: &mut Items) {
        let item = &items[index];
        let (prev, next) = (item.own_prev, item.own_next);
        let Some(held) = item.producer.and_then(|one| self.0.get_mut(&one)) else {
            return;
        };
        match prev {
            Some(prev) => items[prev].own_next = next,
            None => held.oldest = next,
        }
        match next {
            Some(next) => items[next].own_prev = prev,
            None => held.latest = prev,
        }
    }

    /// Takes a [`Shares::leave`] and a [`Shares::sub`] back: nothing else has happened since to
    /// the neighbours that the event names.
    pub(super) fn add_back(&mut self, index: u32, items: &mut Items) {
        let item = &items[index];
        let (prev, next, bytes) = (item.own_prev, item.own_next, item.content.bytes());
        let Some(producer) = item.producer else {
            return;
        };
        let held = self.0.entry(producer).or_default();
        held.totals.add(bytes);
        match prev {
            Some(prev) => items[prev].own_next = Some(index),
            None => held.oldest = Some(index),
        }
        match next {
            Some(next) => items[next].own_prev = Some(index),
            None => held.latest = Some(index),
        }
    }

    /// An event of a payload that was dissolved takes its place in the line again: mostly the
    /// first, because the oldest leave first.
    pub(super) fn come_back(&mut self, index: u32, items: &mut Items) {
        let item = &items[index];
        let seq = item.place.seq;
        let Some(held) = item.producer.and_then(|one| self.0.get_mut(&one)) else {
            return;
        };
        let (mut prev, mut next) = (None, held.oldest);
        while let Some(other) = next.filter(|&other| items[other].place.seq < seq) {
            (prev, next) = (next, items[other].own_next);
        }
        let item = &mut items[index];
        (item.own_prev, item.own_next) = (prev, next);
        match prev {
            Some(prev) => items[prev].own_next = Some(index),
            None => held.oldest = Some(index),
        }
        match next {
            Some(next) => items[next].own_prev = Some(index),
            None => held.latest = Some(index),
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
        &self,
        producer: NonZeroU32,
        excess: (usize, usize),
        items: &Items,
    ) -> Option<Vec<u32>> {
        let mut next = self.0.get(&producer)?.oldest;
        let mut victims = Vec::new();
        let mut bytes = 0;
        while victims.len() < excess.0 || bytes < excess.1 {
            let index = next?;
            let item = &items[index];
            victims.push(index);
            bytes += item.content.bytes();
            next = item.own_next;
        }
        Some(victims)
    }

    /// What a producer holds: events and bytes.
    #[cfg(test)]
    pub(super) fn held(&self, producer: NonZeroU32) -> (usize, usize) {
        let held = self.0.get(&producer);
        held.map_or((0, 0), |held| (held.totals.count, held.totals.bytes))
    }

    /// A producer's line, the oldest first.
    #[cfg(test)]
    pub(super) fn line(&self, producer: NonZeroU32, items: &Items) -> Vec<u32> {
        let first = self.0.get(&producer).and_then(|held| held.oldest);
        let line: Vec<u32> = std::iter::successors(first, |&index| items[index].own_next).collect();
        let held = &self.0.get(&producer);
        assert_eq!(held.and_then(|held| held.latest), line.last().copied());
        line
    }
}
