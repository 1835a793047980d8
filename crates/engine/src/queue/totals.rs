//! Sums of items.

use super::item::Item;

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

/// What could be packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Packable {
    /// Those that go into payloads with others: exact payload bytes.
    pub items: Totals,
    /// Payloads that the others leave in, which are larger than one.
    pub slices: usize,
}

impl Packable {
    pub(super) fn add(&mut self, item: &Item) {
        match item.slices {
            0 => self.items.add(item.size as usize),
            slices => self.slices += usize::from(slices),
        }
    }

    pub(super) fn sub(&mut self, item: &Item) {
        match item.slices {
            0 => self.items.sub(item.size as usize),
            slices => self.slices -= usize::from(slices),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn sum(all: &[Self]) -> Self {
        let mut sum = Self::default();
        for one in all {
            sum.items.count += one.items.count;
            sum.items.bytes += one.items.bytes;
            sum.slices += one.slices;
        }
        sum
    }
}
