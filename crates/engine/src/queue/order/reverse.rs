//! Takes back what was done to the items, the last first.
//!
//! Each step finds the order as it was left by what it takes back, and leaves it as it was
//! before. So an item gets its slot again, and its neighbours are those that it remembers.

use super::Order;
use crate::policy::ChannelPolicy;
use crate::queue::item::{Item, Stage};

impl Order {
    /// Puts an item back that was removed from `index`; `unblocked` of its key could be packed
    /// because of that.
    pub(in crate::queue) fn reinsert(
        &mut self,
        index: u32,
        item: Item,
        unblocked: u32,
        policy: &ChannelPolicy,
    ) {
        let mut next = item.next;
        for _ in 0..unblocked {
            let Some(follower) = next else { break };
            self.block(follower, policy);
            next = self.items[follower].next;
        }
        let (prev, next) = (item.prev, item.next);
        let slot = self.items.insert(item);
        debug_assert_eq!(slot, index, "slots are given out again in reverse order");
        let item = &self.items[index];
        let (level, bytes) = (item.level.index(), item.content.bytes());
        self.held[level].add(bytes);
        if item.stage == Stage::Waiting {
            self.waiting[level].add(item);
            self.alone += usize::from(item.is_alone(policy));
        }
        if let Some(key) = item.content.key.clone() {
            let chain = self.chains.entry(key).or_default();
            if prev.is_none() {
                chain.head = Some(index);
            }
            if next.is_none() {
                chain.tail = Some(index);
            }
        }
        if let Some(prev) = prev {
            self.items[prev].next = Some(index);
        }
        if let Some(next) = next {
            self.items[next].prev = Some(index);
            // It may have been taken off the others while it was the first.
            self.push_other(next);
        }
        self.relink_kind(index);
        self.enlist(index);
    }

    /// Gives an item back what it said before it was changed; its place and its neighbours are
    /// the same.
    pub(in crate::queue) fn change_back(
        &mut self,
        index: u32,
        before: Item,
        policy: &ChannelPolicy,
    ) {
        self.change(index, policy, |item| *item = before);
        self.enlist(index);
    }

    /// Makes the entries of an item that count, whether they are still there or not.
    fn enlist(&mut self, index: u32) {
        if self.is_candidate(index) {
            self.push_ready(index);
        } else {
            self.push_other(index);
        }
        self.set_timer(index);
    }

    /// An item that was made waiting is blocked again.
    pub(super) fn block(&mut self, index: u32, policy: &ChannelPolicy) {
        let item = &mut self.items[index];
        item.stage = Stage::Blocked;
        self.waiting[item.level.index()].sub(item);
        self.alone -= usize::from(item.is_alone(policy));
        self.push_other(index);
    }
}
