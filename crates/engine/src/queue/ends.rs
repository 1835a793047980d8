//! How events end that are in no payload, and the one place that counts any of them out.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::changes::Change;
use super::ids::{FORGET_MAX, Whereabouts};
use super::item::{Item, Stage};
use super::ledger::{DeadLetterReason, End, Fate};
use super::order::Over;
use super::shares::Left;
use super::{Cancelled, Ended, Queue};
use crate::time::Time;

impl Queue {
    /// Takes back the event of that id, unless it was sent.
    pub fn cancel(&mut self, now: Time, id: &str) -> Cancelled {
        self.advance(now);
        match self.ids.find(self.now, id) {
            None => Cancelled::NeverSeen,
            Some(Whereabouts::Ended(fate)) if fate.end == End::Cancelled => Cancelled::Done,
            Some(Whereabouts::Ended(_)) => Cancelled::Gone,
            Some(Whereabouts::Queued(index)) => match self.order.item(index) {
                Some(item) if item.stage != Stage::Packed => {
                    self.end_held(index, End::Cancelled);
                    Cancelled::Done
                }
                _ => Cancelled::Gone,
            },
        }
    }

    /// Takes back every event of that type and key (none: any) that is in no payload.
    pub fn purge(&mut self, now: Time, kind: Option<&str>, key: Option<&str>) -> usize {
        self.advance(now);
        let matching = self.order.matching(kind, key);
        self.end_all(matching, End::Cancelled)
    }

    pub(super) fn end_where(&mut self, end: End, wanted: impl Fn(&Item) -> bool) {
        let mut matching = self.order.matching(None, None);
        matching.retain(|&index| wanted(&self.order.items[index]));
        self.end_all(matching, end);
    }

    /// Ends events that are in no payload, by their places; how many.
    fn end_all(&mut self, mut indices: Vec<u32>, end: End) -> usize {
        indices.sort_by_cached_key(|&index| self.order.items[index].place);
        for &index in &indices {
            self.end_held(index, end);
        }
        indices.len()
    }

    /// Lets time pass: what is due becomes so, what is old rises, what is over ends.
    pub(super) fn advance(&mut self, now: Time) {
        if self.trial.is_some() {
            // Nothing but what is tried may change.
            return;
        }
        self.now = self.now.max(now);
        if self.stuck && self.next_timer().is_some_and(|timer| timer <= now) {
            // What has become due may belong to a key that is not in flight.
            self.stuck = false;
        }
        let gate = self.gate();
        while let Some(order) = self.order.get_mut()
            && let Some((index, over)) = order.advance(now, &self.policy, gate)
        {
            let was_sent = self.order.items[index].sent;
            let end = match over {
                Over::Expired if was_sent => End::DeadLettered(DeadLetterReason::Expired),
                Over::Expired => End::Expired,
                Over::TurnedAway => End::DeadLettered(DeadLetterReason::Offline),
            };
            self.end_held(index, end);
        }
        self.expire_outs(now);
        self.expire_state();
        if let Some(ids) = self.ids.get_mut() {
            ids.forget(now, self.policy.dedup_max_ids, FORGET_MAX);
            if ids.is_empty() {
                self.ids.release();
            }
        }
    }

    /// Makes room where memory is short: forgets ids of events that have ended, first those whose
    /// windows are over, then the oldest of the others, until `bytes` bytes are free as
    /// [`Queue::footprint`] counts them. Returns how many are: 0 when no id is left that may be
    /// forgotten. Ids of queued events are never forgotten.
    ///
    /// One call forgets 512 ids at most (0.2 ms under the channel's lock), so it may free less than
    /// `bytes`: call it again for more, with the lock free in between. With `bytes` = 0 only what
    /// has expired goes, which every other call does as well and [`Queue::timer`] asks for.
    ///
    /// An id that is forgotten early may be accepted again within its window. A journal does not
    /// hear of it: after a restart the id is remembered, as far as the policy says.
    pub fn forget_ids(&mut self, now: Time, bytes: usize) -> usize {
        let before = self.ids.bytes();
        self.advance(now);
        if let Some(ids) = self.ids.get_mut() {
            let expired = before.saturating_sub(ids.bytes());
            ids.free(bytes.saturating_sub(expired), FORGET_MAX);
            if ids.is_empty() {
                self.ids.release();
            }
        }
        before.saturating_sub(self.ids.bytes())
    }

    /// When the window ends of the oldest id that [`Queue::forget_ids`] may forget.
    #[must_use]
    pub fn oldest_id(&self) -> Option<Time> {
        self.ids.first_forgotten()
    }

    /// Ends an event that is in no payload.
    pub(super) fn end_held(&mut self, index: u32, end: End) {
        self.leave_line(index);
        let (item, unblocked) = self.order.remove(index, &self.policy);
        self.note_removed(index, &item, unblocked);
        self.end_item(&item, end, None);
    }

    /// Ends a queued event whose id is the next one's, which must be accepted or all be taken back.
    pub(super) fn end_replaced(&mut self, index: u32) {
        self.leave_line(index);
        let (item, unblocked) = self.order.remove(index, &self.policy);
        self.note_removed(index, &item, unblocked);
        self.bytes -= item.content.bytes();
        self.give_back(item.producer, item.content.bytes());
        if let Some(id) = &item.content.id {
            self.note_receipt(id, End::Cancelled, None, None);
        }
        self.record_end(&Ending {
            id: None,
            seq: item.id_seq,
            waiter: item.waiter,
            end: End::Cancelled,
            n: None,
            into: None,
        });
    }

    /// An event is about to leave what its producer has waiting.
    pub(super) fn leave_line(&mut self, index: u32) {
        if let Some(shares) = self.shares.get_mut() {
            shares.leave(index, &mut self.order.items);
        }
    }

    /// Counts out an item that was removed, from the payload of that number.
    pub(super) fn end_item(&mut self, item: &Item, end: End, n: Option<u64>) {
        self.bytes -= item.content.bytes();
        self.give_back(item.producer, item.content.bytes());
        self.release_if_empty();
        if let End::DeadLettered(reason) = end {
            self.keep_dead(item, reason, n);
        }
        let ending = Ending {
            id: item.content.id.as_ref(),
            seq: item.id_seq,
            waiter: item.waiter,
            end,
            n,
            into: None,
        };
        self.record_end(&ending);
    }

    /// An empty queue gives its memory back.
    pub(super) fn release_if_empty(&mut self) {
        if self.order.items.is_empty() && self.trial.is_none() {
            // No event, no payload: each has some.
            self.order.release();
            self.outs = Vec::new();
        }
    }

    /// Gives the part of a share back that an event took.
    pub(super) fn give_back(&mut self, producer: Option<NonZeroU32>, bytes: usize) {
        if let Some(shares) = self.shares.get_mut()
            && shares.sub(producer, bytes) == Left::Nothing
        {
            self.shares.release();
        }
    }

    pub(super) fn record_end(&mut self, ending: &Ending<'_>) {
        let &Ending {
            id,
            seq,
            waiter,
            end,
            n,
            into,
        } = ending;
        self.ledger.end(end);
        let fate = match id {
            None => Fate::of(end),
            Some(_) => Fate {
                end,
                n,
                at: Some(self.now.wall(self.wall_origin)),
            },
        };
        self.record(Change::Ended { seq, fate });
        if waiter != 0 {
            self.news.ended.push(Ended { waiter, end });
        }
        if let Some(id) = id {
            self.note_receipt(id, end, n, into);
            self.note_id(id);
            if let Some(settled) = self.ids.ended(self.now, id, seq, fate) {
                self.settle_id(settled);
            }
        }
    }
}

/// An event that ends.
pub(super) struct Ending<'e> {
    pub id: Option<&'e Arc<str>>,
    /// The number of the acceptance that has the id.
    pub seq: u64,
    pub waiter: u64,
    pub end: End,
    /// The `n` of the payload it is in.
    pub n: Option<u64>,
    /// The id of the event that took it in.
    pub into: Option<&'e Arc<str>>,
}
