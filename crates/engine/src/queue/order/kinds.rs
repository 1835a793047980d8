//! The items of each type and key, so that purging looks only at what may match.

use super::Order;
use crate::queue::item::{Item, Stage};

impl Order {
    /// Puts an item before the others of its type. The oldest, which mostly go first, leave
    /// without a look into the table.
    pub(super) fn link_kind(&mut self, index: u32) {
        let Some(kind) = &self.items[index].content.kind else {
            return;
        };
        let earlier = if let Some(latest) = self.kinds.get_mut(kind) {
            Some(std::mem::replace(latest, index))
        } else {
            self.kinds.insert(kind.clone(), index);
            None
        };
        self.items[index].kind_next = earlier;
        if let Some(earlier) = earlier {
            self.items[earlier].kind_prev = Some(index);
        }
    }

    pub(super) fn unlink_kind(&mut self, index: u32) {
        let item = &self.items[index];
        let (prev, next) = (item.kind_prev, item.kind_next);
        if let Some(next) = next {
            self.items[next].kind_prev = prev;
        }
        if let Some(prev) = prev {
            self.items[prev].kind_next = next;
        } else if let Some(kind) = self.items[index].content.kind.clone() {
            if let Some(next) = next {
                self.kinds.insert(kind, next);
            } else {
                self.kinds.remove(&kind);
            }
        }
    }

    /// Puts an item back between the neighbours that it still names.
    pub(super) fn relink_kind(&mut self, index: u32) {
        let item = &self.items[index];
        let (prev, next) = (item.kind_prev, item.kind_next);
        if let Some(next) = next {
            self.items[next].kind_prev = Some(index);
        }
        if let Some(prev) = prev {
            self.items[prev].kind_next = Some(index);
        } else if let Some(kind) = self.items[index].content.kind.clone() {
            self.kinds.insert(kind, index);
        }
    }

    /// Every item of that type and key (none: any) that is in no payload, in no order.
    pub(in crate::queue) fn matching(&self, kind: Option<&str>, key: Option<&str>) -> Vec<u32> {
        let of_kind =
            kind.map(|kind| self.walk(self.kinds.get(kind).copied(), |item| item.kind_next));
        let head = key.map(|key| self.chains.get(key).and_then(|chain| chain.head));
        let of_key = head.map(|head| self.walk(head, |item| item.next));
        let mut found = match (of_kind, of_key) {
            (None, None) => self.items.iter().map(|(index, _)| index).collect(),
            (Some(some), None) => some.collect(),
            (None, Some(some)) => some.collect(),
            (Some(of_kind), Some(of_key)) => shorter(of_kind, of_key),
        };
        let fits = |wanted: Option<&str>, has: Option<&str>| wanted.is_none() || wanted == has;
        found.retain(|&index| {
            let item = &self.items[index];
            item.stage != Stage::Packed
                && fits(kind, item.content.kind.as_deref())
                && fits(key, item.content.key.as_deref())
        });
        found
    }

    fn walk(
        &self,
        from: Option<u32>,
        next: impl Fn(&Item) -> Option<u32>,
    ) -> impl Iterator<Item = u32> {
        std::iter::successors(from, move |&index| next(&self.items[index]))
    }
}

/// All of whichever ends first: both are followed step by step.
fn shorter(mut a: impl Iterator<Item = u32>, mut b: impl Iterator<Item = u32>) -> Vec<u32> {
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    loop {
        match a.next() {
            Some(index) => of_a.push(index),
            None => return of_a,
        }
        match b.next() {
            Some(index) => of_b.push(index),
            None => return of_b,
        }
    }
}
