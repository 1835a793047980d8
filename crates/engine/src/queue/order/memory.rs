//! Memory: heaps without too many dead. (An emptied queue gives all of it back.)

use std::cmp::Reverse;
#[cfg(test)]
use std::collections::BinaryHeap;

use super::timers::is_timer;
use super::{Order, SLACK, stands, stands_aside};
use crate::event::Priority;

impl Order {
    /// A channel that is hardly busy keeps no heaps of the dead.
    pub(super) fn shrink(&mut self) {
        let bound = 2 * self.items.len() + SLACK;
        if self.timers.len() > bound {
            let items = &self.items;
            self.timers
                .retain(|Reverse((at, seq, index))| is_timer(items, *index, *seq, *at));
        }
        for level in [Priority::Low, Priority::Normal, Priority::High] {
            let heap = &mut self.ready[level.index()];
            if heap.len() > bound {
                let items = &self.items;
                heap.retain(|Reverse((place, index))| stands(items, *index, *place, level));
            }
            let heap = &mut self.others[level.index()];
            if heap.len() > bound {
                let items = &self.items;
                heap.retain(|Reverse((place, index))| stands_aside(items, *index, *place, level));
            }
        }
    }
}

#[cfg(test)]
impl Order {
    /// Entries of the longest heap of candidates, and of timers.
    pub(in crate::queue) fn heap_lengths(&self) -> (usize, usize) {
        let heaps = self.ready.iter().chain(&self.others);
        let ready = heaps.map(BinaryHeap::len).max();
        (ready.unwrap_or_default(), self.timers.len())
    }

    /// Entries for which memory is kept, in all.
    pub(in crate::queue) fn capacity(&self) -> usize {
        let heaps = self.ready.iter().chain(&self.others);
        let heaps: usize = heaps.map(BinaryHeap::capacity).sum();
        let tables = self.items.slots() + self.chains.capacity() + self.kinds.capacity();
        heaps + self.timers.capacity() + tables
    }
}
