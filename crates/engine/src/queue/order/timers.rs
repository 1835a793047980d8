//! What time does to queued items: they become due, rise, and expire.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Order, SLACK};
use crate::policy::ChannelPolicy;
use crate::queue::gate::Gate;
use crate::queue::item::{Item, Stage};
use crate::queue::items::Items;
use crate::queue::totals::Packable;
use crate::time::{Time, Wall};

/// Why an item leaves by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::queue) enum Over {
    /// It has lived.
    Expired,
    /// It became due while the stream is not live, and the policy does not hold it.
    TurnedAway,
}

impl Order {
    pub(super) fn set_timer(&mut self, index: u32) {
        let item = &mut self.items[index];
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

    /// Lets time pass until `now`; the answer is an item to be removed before this is called
    /// again, and why. What was scheduled ends when it becomes due and the gate does not let it
    /// through.
    pub(in crate::queue) fn advance(
        &mut self,
        now: Time,
        policy: &ChannelPolicy,
        gate: Gate,
    ) -> Option<(u32, Over)> {
        while let Some(Reverse((at, seq, index))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            if !is_timer(&self.items, index, seq, at) {
                continue;
            }
            let probes = gate == Gate::Probe && !self.is_anything_waiting();
            let item = &mut self.items[index];
            if item.stage == Stage::Scheduled && item.place.due <= at {
                if gate != Gate::Open && !probes {
                    return Some((index, Over::TurnedAway));
                }
                item.stage = Stage::Blocked;
                let open = item
                    .prev
                    .is_none_or(|prev| self.items[prev].stage == Stage::Waiting);
                if open {
                    self.unblock(Some(index), policy);
                }
            } else if item.deadline <= at {
                return Some((index, Over::Expired));
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
        for (_, item) in self.items.iter_mut() {
            let level = item.level;
            if item.stage != Stage::Packed && item.place_anew(now, wall_origin) {
                moved = true;
                self.held[level.index()].sub(item.content.bytes());
                self.held[item.level.index()].add(item.content.bytes());
            }
        }
        if moved {
            self.line_up(policy);
        }
        moved
    }

    /// Makes candidates, totals and timers from the items' places and the lines of their keys.
    fn line_up(&mut self, policy: &ChannelPolicy) {
        let heaps = self.ready.iter_mut().chain(&mut self.others);
        heaps.for_each(BinaryHeap::clear);
        self.timers.clear();
        self.waiting = [Packable::default(); 3];
        self.alone = 0;
        let mut held = Vec::with_capacity(self.items.len());
        for (index, item) in self.items.iter_mut() {
            if item.stage != Stage::Packed {
                held.push(index);
            }
            if item.stage == Stage::Waiting {
                item.stage = Stage::Blocked;
            }
        }
        for &index in &held {
            if self.items[index].prev.is_none() {
                self.unblock(Some(index), policy);
            }
            self.set_timer(index);
        }
        for &index in &held {
            if !self.is_candidate(index) {
                self.push_other(index);
            }
        }
    }

    fn raise(&mut self, index: u32, policy: &ChannelPolicy) {
        self.change(index, policy, Item::rise);
        if self.is_candidate(index) {
            self.push_ready(index);
        } else {
            self.push_other(index);
        }
    }
}

pub(super) fn is_timer(items: &Items, index: u32, seq: u64, at: Time) -> bool {
    items
        .get(index)
        .is_some_and(|item| item.place.seq == seq && item.timer == at)
}
