//! The items of a queue at stable places. In tests it counts how often an item is looked at:
//! what a call costs must depend on what it touches and not on how much is queued.

use std::ops::{Index, IndexMut};

use slab::Slab;

use super::item::Item;

#[cfg(test)]
thread_local! {
    static TOUCHED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts that something queued or remembered was looked at.
#[inline]
pub(super) fn touch() {
    #[cfg(test)]
    TOUCHED.with(|touched| touched.set(touched.get() + 1));
}

/// How often this thread has looked at something.
#[cfg(test)]
pub(super) fn touched() -> u64 {
    TOUCHED.with(std::cell::Cell::get)
}

#[derive(Clone, Debug, Default)]
pub(super) struct Items(Slab<Item>);

/// The number of a place. A queue holds far fewer than 2^32 events: its bytes are bounded.
pub(super) fn slot(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl Items {
    pub(super) fn get(&self, index: u32) -> Option<&Item> {
        touch();
        self.0.get(index as usize)
    }

    pub(super) fn insert(&mut self, item: Item) -> u32 {
        touch();
        slot(self.0.insert(item))
    }

    pub(super) fn remove(&mut self, index: u32) -> Item {
        touch();
        self.0.remove(index as usize)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every item, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Item)> {
        self.0.iter().map(|(index, item)| {
            touch();
            (slot(index), item)
        })
    }

    /// Every item, to be changed, in no order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Item)> {
        self.0.iter_mut().map(|(index, item)| {
            touch();
            (slot(index), item)
        })
    }

    /// How many places there are: every item is at one below that.
    pub(super) fn slots(&self) -> usize {
        self.0.capacity()
    }
}

impl Index<u32> for Items {
    type Output = Item;

    fn index(&self, index: u32) -> &Item {
        touch();
        &self.0[index as usize]
    }
}

impl IndexMut<u32> for Items {
    fn index_mut(&mut self, index: u32) -> &mut Item {
        touch();
        &mut self.0[index as usize]
    }
}
