//! What time does to queued items: they become due, rise, and expire.

use std::cmp::Reverse;

use slab::Slab;

use super::{Order, SLACK};
use crate::policy::ChannelPolicy;
use crate::queue::item::{Item, Stage};
use crate::time::Time;

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
