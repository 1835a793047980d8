//! What time does to queued items: they become due, rise, and expire.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use slab::Slab;

use super::{Order, SLACK};
use crate::policy::ChannelPolicy;
use crate::queue::item::{Item, Stage};
use crate::queue::order::{Totals, slot};
use crate::time::{Time, Wall};

impl Order {
    pub(super) fn set_timer(&mut self, index: u32) {
        let item = &mut self.items[index as usize];
        item.timer = item.next_timer();
        if item.timer == Time::NEVER {
            return;
        }
        self.timers
            .push(Reverse((item.timer, item.place.seq, index)));
        if self.timers.len() > 2 * self.items.len() + SLACK {
            let items = &self.items;
            self.timers
                .retain(|Reverse((at, seq, index))| is_timer(items, *index, *seq, *at));
        }
    }

    /// When something next becomes due, rises or expires.
    pub(in crate::queue) fn next_timer(&mut self) -> Option<Time> {
        while let Some(Reverse((at, seq, index))) = self.timers.peek().copied() {
            if is_timer(&self.items, index, seq, at) {
                return Some(at);
            }
            self.timers.pop();
        }
        None
    }

    /// Lets time pass until `now`; the answer is an item whose time is over, to be removed
    /// before this is called again.
    pub(in crate::queue) fn advance(&mut self, now: Time, policy: &ChannelPolicy) -> Option<u32> {
        while let Some(Reverse((at, seq, index))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            if !is_timer(&self.items, index, seq, at) {
                continue;
            }
            let item = &mut self.items[index as usize];
            if item.stage == Stage::Scheduled && item.place.due <= at {
                item.stage = Stage::Blocked;
                let open = item
                    .prev
                    .is_none_or(|prev| self.items[prev as usize].stage == Stage::Waiting);
                if open {
                    self.unblock(Some(index), policy);
                }
            } else if item.deadline <= at {
                return Some(index);
            } else if item.rises <= at {
                self.raise(index, policy);
            }
            self.set_timer(index);
        }
        None
    }

    /// Places everything anew that has an `at`; whether anything moved. Looks at all items: the
    /// wall clock is rarely set.
    pub(in crate::queue) fn place_anew(
        &mut self,
        now: Time,
        wall_origin: Wall,
        policy: &ChannelPolicy,
    ) -> bool {
        let mut moved = false;
        for (_, item) in &mut self.items {
            let level = item.level;
            if item.stage != Stage::Packed && item.place_anew(now, wall_origin) {
                moved = true;
                self.held[level.index()].sub(item.bytes());
                self.held[item.level.index()].add(item.bytes());
            }
        }
        if moved {
            self.line_up(policy);
        }
        moved
    }

    /// Makes candidates, totals and timers from the items' places and the lines of their keys.
    fn line_up(&mut self, policy: &ChannelPolicy) {
        self.ready.iter_mut().for_each(BinaryHeap::clear);
        self.timers.clear();
        self.waiting = [Totals::default(); 3];
        self.alone = 0;
        let mut held = Vec::with_capacity(self.items.len());
        for (index, item) in &mut self.items {
            if item.stage != Stage::Packed {
                held.push(slot(index));
            }
            if item.stage == Stage::Waiting {
                item.stage = Stage::Blocked;
            }
        }
        for &index in &held {
            if self.items[index as usize].prev.is_none() {
                self.unblock(Some(index), policy);
            }
            self.set_timer(index);
        }
    }

    fn raise(&mut self, index: u32, policy: &ChannelPolicy) {
        self.change(index, policy, Item::rise);
        let item = &self.items[index as usize];
        if item.stage == Stage::Waiting && item.prev.is_none() {
            self.push_ready(index);
        }
    }
}

pub(super) fn is_timer(items: &Slab<Item>, index: u32, seq: u64, at: Time) -> bool {
    items
        .get(index as usize)
        .is_some_and(|item| item.place.seq == seq && item.timer == at)
}
