//! Which item goes next: priorities, keys and timers over the items of one queue.
//!
//! Only the first item of a key is a candidate, which is how nothing ever overtakes an item
//! of its own key. Heaps are lazy: an entry counts only while its item still stands where
//! the entry says, and a heap that is mostly dead is rebuilt, so that it stays within a
//! multiple of the living. This file decides order and never how an event ends.

mod kinds;
mod memory;
mod reverse;
mod timers;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Arc, LazyLock};

pub(super) use timers::Over;

use super::item::{Item, Place, Seat, Stage};
use super::items::Items;
use super::lazy::Empty;
use super::totals::{Packable, Totals};
use crate::event::Priority;
use crate::policy::ChannelPolicy;
use crate::time::Time;

/// From the highest.
pub(super) const LEVELS: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

/// Dead entries a heap may hold beyond as many as there are items.
const SLACK: usize = 64;

#[derive(Clone, Debug, Default)]
struct Chain {
    head: Option<u32>,
    tail: Option<u32>,
    /// Items of the key in payloads: with several calls in flight a later one must wait.
    packed: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    pub items: Items,
    /// Candidates by level.
    ready: [BinaryHeap<Reverse<(Place, u32)>>; 3],
    /// By level, what is in no payload and no candidate: scheduled, or behind another of its key.
    /// Only evicting asks for them.
    others: [BinaryHeap<Reverse<(Place, u32)>>; 3],
    timers: BinaryHeap<Reverse<(Time, u64, u32)>>,
    chains: HashMap<Arc<str>, Chain>,
    /// The latest item of each type.
    kinds: HashMap<Arc<str>, u32>,
    /// What could be packed now, by level.
    pub waiting: [Packable; 3],
    /// What is in no payload, by level: bytes as `queue_max_bytes` counts them.
    pub held: [Totals; 3],
    /// How many of the waiting take a payload for themselves.
    pub alone: usize,
}

impl Empty for Order {
    #[cold]
    #[inline(never)]
    fn empty() -> &'static Self {
        static EMPTY: LazyLock<Order> = LazyLock::new(Order::default);
        &EMPTY
    }
}

impl Order {
    pub(super) fn item(&self, index: u32) -> Option<&Item> {
        self.items.get(index)
    }

    fn chain(&mut self, item: u32) -> Option<&mut Chain> {
        let key = self.items.get(item)?.content.key.as_ref()?;
        self.chains.get_mut(key)
    }

    /// The last item of a key that is in no payload.
    pub(super) fn last_of_key(&self, key: &str) -> Option<u32> {
        self.chains.get(key)?.tail
    }

    /// Takes a new item in: behind those of its key, or at the seat of the one it replaces.
    pub(super) fn insert(&mut self, item: Item, seat: Option<Seat>, policy: &ChannelPolicy) -> u32 {
        let next = seat.and_then(|seat| self.next_of(&item, seat));
        let index = self.items.insert(item);
        let item = &self.items[index];
        self.held[item.level.index()].add(item.content.bytes());
        let is_open = self.link_key(index, next);
        let item = &mut self.items[index];
        if item.stage != Stage::Scheduled {
            item.stage = Stage::Blocked;
            if is_open {
                self.make_waiting(index, policy);
            }
        }
        if !self.is_candidate(index) {
            self.push_other(index);
        }
        if let Some(next) = next {
            self.stand_behind(next, policy);
        }
        self.link_kind(index);
        self.set_timer(index);
        index
    }

    /// Puts an item into its key's line, before `next` or as the last; whether what is before it
    /// can be packed.
    fn link_key(&mut self, index: u32, next: Option<u32>) -> bool {
        let Some(key) = self.items[index].content.key.clone() else {
            return true;
        };
        let chain = self.chains.entry(key).or_default();
        let prev = match next {
            Some(next) => self.items[next].prev.replace(index),
            None => chain.tail.replace(index),
        };
        match prev {
            Some(prev) => self.items[prev].next = Some(index),
            None => chain.head = Some(index),
        }
        let item = &mut self.items[index];
        (item.prev, item.next) = (prev, next);
        prev.is_none_or(|prev| self.items[prev].stage == Stage::Waiting)
    }

    /// An item has another before it from now on, and is packed after that one.
    fn stand_behind(&mut self, index: u32, policy: &ChannelPolicy) {
        let prev = self.items[index].prev;
        let is_open = prev.is_none_or(|prev| self.items[prev].stage == Stage::Waiting);
        self.push_other(index);
        let mut next = Some(index).filter(|_| !is_open);
        while let Some(follower) = next
            && self.items[follower].stage == Stage::Waiting
        {
            self.block(follower, policy);
            next = self.items[follower].next;
        }
    }

    /// The item of the same key that comes after the seat; none: the seat is the last.
    fn next_of(&self, item: &Item, seat: Seat) -> Option<u32> {
        let key = item.content.key.as_ref()?;
        let stands = |&(index, seq): &(u32, u64)| {
            let item = self.items.get(index);
            item.is_some_and(|it| it.place.seq == seq && it.stage != Stage::Packed)
        };
        if let Some((next, _)) = seat.next.filter(stands) {
            return Some(next);
        }
        if let Some((prev, _)) = seat.prev.filter(stands) {
            return self.items[prev].next;
        }
        // Both neighbours were evicted to make room. A line is in the order of its numbers.
        let mut after = None;
        let mut last = self.chains.get(key)?.tail;
        while let Some(index) = last.filter(|&last| self.items[last].place.seq > seat.place.seq) {
            after = Some(index);
            last = self.items[index].prev;
        }
        after
    }

    /// Puts items of a dissolved payload back where they were, before those of their keys.
    pub(super) fn restore(&mut self, packed: &[u32], policy: &ChannelPolicy) {
        for &index in packed.iter().rev() {
            self.unpack(index);
            let item = &mut self.items[index];
            item.stage = Stage::Blocked;
            item.prev = None;
            item.next = None;
            // The rules may have changed while it was in the payload.
            item.measure(policy);
            self.held[item.level.index()].add(item.content.bytes());
            if let Some(key) = item.content.key.clone() {
                let chain = self.chains.entry(key).or_default();
                let head = chain.head.replace(index);
                chain.tail.get_or_insert(index);
                if let Some(head) = head {
                    self.items[head].prev = Some(index);
                    self.push_other(head);
                }
                self.items[index].next = head;
            }
            self.make_waiting(index, policy);
            self.set_timer(index);
        }
    }

    /// A blocked item can be packed from now on.
    fn make_waiting(&mut self, index: u32, policy: &ChannelPolicy) {
        let item = &mut self.items[index];
        item.stage = Stage::Waiting;
        self.waiting[item.level.index()].add(item);
        self.alone += usize::from(item.is_alone(policy));
        if item.prev.is_none() {
            self.push_ready(index);
        }
    }

    fn push_ready(&mut self, index: u32) {
        let item = &self.items[index];
        let heap = &mut self.ready[item.level.index()];
        heap.push(Reverse((item.place, index)));
        if heap.len() > 2 * self.items.len() + SLACK {
            let items = &self.items;
            let level = item.level;
            heap.retain(|Reverse((place, index))| stands(items, *index, *place, level));
        }
    }

    /// Whether anything could be packed now.
    pub(super) fn is_anything_waiting(&self) -> bool {
        self.waiting.iter().any(|held| !held.is_empty())
    }

    /// Whether it is the first of its key and due.
    fn is_candidate(&self, index: u32) -> bool {
        let item = &self.items[index];
        item.stage == Stage::Waiting && item.prev.is_none()
    }

    fn push_other(&mut self, index: u32) {
        let item = &self.items[index];
        let heap = &mut self.others[item.level.index()];
        heap.push(Reverse((item.place, index)));
        if heap.len() > 2 * self.items.len() + SLACK {
            let items = &self.items;
            let level = item.level;
            heap.retain(|Reverse((place, index))| stands_aside(items, *index, *place, level));
        }
    }

    /// Makes waiting whatever of a key can be, from `from` on; how many were not before.
    fn unblock(&mut self, from: Option<u32>, policy: &ChannelPolicy) -> u32 {
        let mut next = from;
        let mut unblocked = 0;
        while let Some(index) = next {
            let item = &self.items[index];
            next = item.next;
            match item.stage {
                Stage::Blocked => {
                    self.make_waiting(index, policy);
                    unblocked += 1;
                }
                Stage::Waiting if item.prev.is_none() => {
                    self.push_ready(index);
                    break;
                }
                _ => break,
            }
        }
        unblocked
    }

    /// Takes an item out of its key's line and out of the totals; how many of its key can be
    /// packed because of that.
    fn unlink(&mut self, index: u32, policy: &ChannelPolicy) -> u32 {
        let item = &self.items[index];
        let (level, bytes) = (item.level.index(), item.content.bytes());
        let (stage, prev, next) = (item.stage, item.prev, item.next);
        let alone = item.is_alone(policy);
        self.held[level].sub(bytes);
        if stage == Stage::Waiting {
            self.waiting[level].sub(item);
            self.alone -= usize::from(alone);
        }
        if let Some(chain) = self.chain(index) {
            if prev.is_none() {
                chain.head = next;
            }
            if next.is_none() {
                chain.tail = prev;
            }
        }
        if let Some(prev) = prev {
            self.items[prev].next = next;
        }
        if let Some(next) = next {
            self.items[next].prev = prev;
        }
        let open = prev.is_none_or(|prev| self.items[prev].stage == Stage::Waiting);
        if open { self.unblock(next, policy) } else { 0 }
    }

    /// Removes an item that is in no payload; with how many of its key can be packed because of
    /// that.
    pub(super) fn remove(&mut self, index: u32, policy: &ChannelPolicy) -> (Item, u32) {
        let unblocked = self.unlink(index, policy);
        self.drop_empty_chain(index);
        self.unlink_kind(index);
        let item = self.items.remove(index);
        self.shrink();
        (item, unblocked)
    }

    /// Moves an item into a payload.
    pub(super) fn pack(&mut self, index: u32, policy: &ChannelPolicy) {
        if let Some(chain) = self.chain(index) {
            chain.packed += 1;
        }
        self.unlink(index, policy);
        let item = &mut self.items[index];
        item.stage = Stage::Packed;
        item.sent = true;
        item.timer = Time::NEVER;
    }

    fn unpack(&mut self, index: u32) {
        if let Some(chain) = self.chain(index) {
            chain.packed -= 1;
        }
    }

    /// Removes an item that is in a payload.
    pub(super) fn remove_packed(&mut self, index: u32) -> Item {
        self.unpack(index);
        self.drop_empty_chain(index);
        self.unlink_kind(index);
        let item = self.items.remove(index);
        self.shrink();
        item
    }

    fn drop_empty_chain(&mut self, index: u32) {
        let Some(key) = self.items[index].content.key.clone() else {
            return;
        };
        if self
            .chains
            .get(&key)
            .is_some_and(|chain| chain.head.is_none() && chain.packed == 0)
        {
            self.chains.remove(&key);
        }
    }

    /// The item that goes next of so many levels from the highest, taken off the candidates: [`Order::pack`]
    /// it, or [`Order::put_back`].
    pub(super) fn pop(&mut self, levels: usize) -> Option<u32> {
        for level in LEVELS.into_iter().take(levels) {
            let heap = &mut self.ready[level.index()];
            while let Some(Reverse((place, index))) = heap.pop() {
                // An item that lost the head of its line and got it back is there twice.
                while heap.peek() == Some(&Reverse((place, index))) {
                    heap.pop();
                }
                if stands(&self.items, index, place, level) {
                    return Some(index);
                }
            }
        }
        None
    }

    /// A candidate that did not go keeps its place.
    pub(super) fn put_back(&mut self, index: u32) {
        self.push_ready(index);
    }

    /// Whether an item of this key is in a payload that is not `current`.
    pub(super) fn is_key_packed(&self, index: u32, current: &[u32]) -> bool {
        let key = self.items[index].content.key.as_ref();
        let Some(chain) = key.and_then(|key| self.chains.get(key)) else {
            return false;
        };
        let here = current
            .iter()
            .filter(|&&other| self.items[other].content.key.as_ref() == key);
        chain.packed as usize > here.count()
    }

    /// The oldest candidate of a level.
    pub(super) fn oldest_of(&mut self, level: Priority) -> Option<(Place, u32)> {
        let heap = &mut self.ready[level.index()];
        while let Some(Reverse((place, index))) = heap.peek().copied() {
            if stands(&self.items, index, place, level) {
                return Some((place, index));
            }
            heap.pop();
        }
        None
    }

    /// The oldest candidate of all, whatever its priority.
    pub(super) fn oldest(&mut self) -> Option<(Place, u32)> {
        LEVELS
            .into_iter()
            .filter_map(|level| self.oldest_of(level))
            .min()
    }

    /// Changes an item in place, keeping every total.
    pub(super) fn change(
        &mut self,
        index: u32,
        policy: &ChannelPolicy,
        change: impl FnOnce(&mut Item),
    ) {
        let item = &mut self.items[index];
        let waiting = item.stage == Stage::Waiting;
        self.held[item.level.index()].sub(item.content.bytes());
        if waiting {
            self.waiting[item.level.index()].sub(item);
            self.alone -= usize::from(item.is_alone(policy));
        }
        change(item);
        self.held[item.level.index()].add(item.content.bytes());
        if waiting {
            self.waiting[item.level.index()].add(item);
            self.alone += usize::from(item.is_alone(policy));
        }
        if item.next_timer() < item.timer {
            self.set_timer(index);
        }
    }

    /// Measures an item by other rules than those its totals were kept by.
    pub(super) fn remeasure(&mut self, index: u32, old: &ChannelPolicy, new: &ChannelPolicy) {
        let item = &mut self.items[index];
        let waiting = item.stage == Stage::Waiting;
        if waiting {
            self.waiting[item.level.index()].sub(item);
        }
        let was_alone = item.is_alone(old);
        item.measure(new);
        if waiting {
            self.waiting[item.level.index()].add(item);
            self.alone = self.alone - usize::from(was_alone) + usize::from(item.is_alone(new));
        }
    }

    /// What is evicted of a level that has no candidate: the item in the first place.
    pub(super) fn first_other_of(&mut self, level: Priority) -> Option<(Place, u32)> {
        let heap = &mut self.others[level.index()];
        while let Some(Reverse((place, index))) = heap.peek().copied() {
            if stands_aside(&self.items, index, place, level) {
                return Some((place, index));
            }
            heap.pop();
        }
        None
    }

    /// The same of all levels.
    pub(super) fn first_other(&mut self) -> Option<(Place, u32)> {
        LEVELS
            .into_iter()
            .filter_map(|level| self.first_other_of(level))
            .min()
    }
}

fn stands(items: &Items, index: u32, place: Place, level: Priority) -> bool {
    items.get(index).is_some_and(|item| {
        item.place == place
            && item.level == level
            && item.stage == Stage::Waiting
            && item.prev.is_none()
    })
}

/// The item is where the entry says, in no payload, and no candidate.
fn stands_aside(items: &Items, index: u32, place: Place, level: Priority) -> bool {
    items.get(index).is_some_and(|item| {
        item.place == place
            && item.level == level
            && item.stage != Stage::Packed
            && !(item.stage == Stage::Waiting && item.prev.is_none())
    })
}
