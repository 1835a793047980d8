//! Which item goes next: priorities, keys and timers over the items of one queue.
//!
//! Only the first item of a key is a candidate, which is how nothing ever overtakes an item
//! of its own key. Heaps are lazy: an entry counts only while its item still stands where
//! the entry says, and a heap that is mostly dead is rebuilt, so that it stays within a
//! multiple of the living. This file decides order and never how an event ends.

mod memory;
mod timers;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use slab::Slab;

use super::item::{Item, Place, Stage};
use crate::event::Priority;
use crate::policy::ChannelPolicy;
use crate::time::Time;

/// Dead entries a heap may hold beyond as many as there are items.
const SLACK: usize = 64;

#[derive(Clone, Debug, Default)]
struct Chain {
    head: Option<u32>,
    tail: Option<u32>,
    /// Items of the key in payloads: with several calls in flight a later one must wait.
    packed: u32,
}

/// A number of items and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub count: usize,
    pub bytes: usize,
}

impl Totals {
    pub(super) fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
    }

    pub(super) fn sub(&mut self, bytes: usize) {
        self.count -= 1;
        self.bytes -= bytes;
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    pub items: Slab<Item>,
    /// Candidates by level.
    ready: [BinaryHeap<Reverse<(Place, u32)>>; 3],
    timers: BinaryHeap<Reverse<(Time, u64, u32)>>,
    chains: HashMap<Arc<str>, Chain>,
    /// What could be packed now, by level: exact payload bytes.
    pub waiting: [Totals; 3],
    /// What is in no payload, by level: bytes as `queue_max_bytes` counts them.
    pub held: [Totals; 3],
    /// How many of the waiting take a payload for themselves.
    pub alone: usize,
}

fn slot(index: usize) -> u32 {
    // A queue holds far fewer than 2^32 events: its bytes are bounded.
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl Order {
    pub(super) fn item(&self, index: u32) -> Option<&Item> {
        self.items.get(index as usize)
    }

    fn chain(&mut self, item: u32) -> Option<&mut Chain> {
        let key = self.items.get(item as usize)?.key.as_ref()?;
        self.chains.get_mut(key)
    }

    /// The last item of a key that is in no payload.
    pub(super) fn last_of_key(&self, key: &str) -> Option<u32> {
        self.chains.get(key)?.tail
    }

    /// Takes a new item in, behind those of its key.
    pub(super) fn insert(&mut self, item: Item, policy: &ChannelPolicy) -> u32 {
        let index = slot(self.items.insert(item));
        let item = &self.items[index as usize];
        self.held[item.level.index()].add(item.bytes());
        let mut blocked = false;
        if let Some(key) = item.key.clone() {
            let chain = self.chains.entry(key).or_default();
            let tail = chain.tail.replace(index);
            if let Some(tail) = tail {
                blocked = self.items[tail as usize].stage != Stage::Waiting;
                self.items[tail as usize].next = Some(index);
            } else {
                chain.head = Some(index);
            }
            self.items[index as usize].prev = tail;
        }
        let item = &mut self.items[index as usize];
        if item.stage != Stage::Scheduled {
            item.stage = Stage::Blocked;
            if !blocked {
                self.make_waiting(index, policy);
            }
        }
        self.set_timer(index);
        index
    }

    /// Puts items of a dissolved payload back where they were, before those of their keys.
    pub(super) fn restore(&mut self, packed: &[u32], policy: &ChannelPolicy) {
        for &index in packed.iter().rev() {
            self.unpack(index);
            let item = &mut self.items[index as usize];
            item.stage = Stage::Blocked;
            item.prev = None;
            item.next = None;
            // The rules may have changed while it was in the payload.
            item.measure(policy);
            self.held[item.level.index()].add(item.bytes());
            if let Some(key) = item.key.clone() {
                let chain = self.chains.entry(key).or_default();
                let head = chain.head.replace(index);
                chain.tail.get_or_insert(index);
                if let Some(head) = head {
                    self.items[head as usize].prev = Some(index);
                }
                self.items[index as usize].next = head;
            }
            self.make_waiting(index, policy);
            self.set_timer(index);
        }
    }

    /// A blocked item can be packed from now on.
    fn make_waiting(&mut self, index: u32, policy: &ChannelPolicy) {
        let item = &mut self.items[index as usize];
        item.stage = Stage::Waiting;
        self.waiting[item.level.index()].add(item.size as usize);
        self.alone += usize::from(item.is_alone(policy));
        if item.prev.is_none() {
            self.push_ready(index);
        }
    }

    fn push_ready(&mut self, index: u32) {
        let item = &self.items[index as usize];
        let heap = &mut self.ready[item.level.index()];
        heap.push(Reverse((item.place, index)));
        if heap.len() > 2 * self.items.len() + SLACK {
            let items = &self.items;
            let level = item.level;
            heap.retain(|Reverse((place, index))| stands(items, *index, *place, level));
        }
    }

    /// Makes waiting whatever of a key can be, from `from` on.
    fn unblock(&mut self, from: Option<u32>, policy: &ChannelPolicy) {
        let mut next = from;
        while let Some(index) = next {
            let item = &self.items[index as usize];
            next = item.next;
            match item.stage {
                Stage::Blocked => self.make_waiting(index, policy),
                Stage::Waiting if item.prev.is_none() => {
                    self.push_ready(index);
                    break;
                }
                _ => break,
            }
        }
    }

    /// Takes an item out of its key's line and out of the totals.
    fn unlink(&mut self, index: u32, policy: &ChannelPolicy) {
        let item = &self.items[index as usize];
        let (level, size, bytes) = (item.level.index(), item.size as usize, item.bytes());
        let (stage, prev, next) = (item.stage, item.prev, item.next);
        let alone = item.is_alone(policy);
        self.held[level].sub(bytes);
        if stage == Stage::Waiting {
            self.waiting[level].sub(size);
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
            self.items[prev as usize].next = next;
        }
        if let Some(next) = next {
            self.items[next as usize].prev = prev;
        }
        let open = prev.is_none_or(|prev| self.items[prev as usize].stage == Stage::Waiting);
        if open {
            self.unblock(next, policy);
        }
    }

    /// Removes an item that is in no payload.
    pub(super) fn remove(&mut self, index: u32, policy: &ChannelPolicy) -> Item {
        self.unlink(index, policy);
        self.drop_empty_chain(index);
        let item = self.items.remove(index as usize);
        self.shrink();
        item
    }

    /// Moves an item into a payload.
    pub(super) fn pack(&mut self, index: u32, policy: &ChannelPolicy) {
        if let Some(chain) = self.chain(index) {
            chain.packed += 1;
        }
        self.unlink(index, policy);
        let item = &mut self.items[index as usize];
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
        let item = self.items.remove(index as usize);
        self.shrink();
        item
    }

    fn drop_empty_chain(&mut self, index: u32) {
        let Some(key) = self.items[index as usize].key.clone() else {
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

    /// The item that goes next, taken off the candidates: [`Order::pack`] it, or
    /// [`Order::put_back`].
    pub(super) fn pop(&mut self) -> Option<u32> {
        for level in [Priority::High, Priority::Normal, Priority::Low] {
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
        let key = self.items[index as usize].key.as_ref();
        let Some(chain) = key.and_then(|key| self.chains.get(key)) else {
            return false;
        };
        let here = current
            .iter()
            .filter(|&&other| self.items[other as usize].key.as_ref() == key);
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
        [Priority::High, Priority::Normal, Priority::Low]
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
        let item = &mut self.items[index as usize];
        let waiting = item.stage == Stage::Waiting;
        self.held[item.level.index()].sub(item.bytes());
        if waiting {
            self.waiting[item.level.index()].sub(item.size as usize);
            self.alone -= usize::from(item.is_alone(policy));
        }
        change(item);
        self.held[item.level.index()].add(item.bytes());
        if waiting {
            self.waiting[item.level.index()].add(item.size as usize);
            self.alone += usize::from(item.is_alone(policy));
        }
        if item.next_timer() < item.timer {
            self.set_timer(index);
        }
    }

    /// Measures an item by other rules than those its totals were kept by.
    pub(super) fn remeasure(&mut self, index: usize, old: &ChannelPolicy, new: &ChannelPolicy) {
        let item = &mut self.items[index];
        let waiting = item.stage == Stage::Waiting;
        let before = item.size as usize;
        let was_alone = item.is_alone(old);
        item.measure(new);
        if waiting {
            let totals = &mut self.waiting[item.level.index()];
            totals.bytes = totals.bytes - before + item.size as usize;
            self.alone = self.alone - usize::from(was_alone) + usize::from(item.is_alone(new));
        }
    }

    /// Any item in no payload that `wanted` picks, the one in the first place of them: for
    /// the rare eviction of something that is no candidate.
    pub(super) fn first_where(&self, wanted: impl Fn(&Item) -> bool) -> Option<u32> {
        self.items
            .iter()
            .filter(|(_, item)| item.stage != Stage::Packed && wanted(item))
            .min_by_key(|(_, item)| item.place)
            .map(|(index, _)| slot(index))
    }
}

fn stands(items: &Slab<Item>, index: u32, place: Place, level: Priority) -> bool {
    items.get(index as usize).is_some_and(|item| {
        item.place == place
            && item.level == level
            && item.stage == Stage::Waiting
            && item.prev.is_none()
    })
}
