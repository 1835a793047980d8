//! Changes, added up, make a queue again.
//!
//! The changes may come from a file that was torn, and from a wall clock that has stepped
//! since: what no queue can have written is refused by name, and every time is brought within what
//! it can be.
//! Nothing here may panic or overflow, whatever is read.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::de::IgnoredAny;

use super::carried::Carried;
use super::changes::Change;
use super::ids::Ids;
use super::item::{Item, Place, Stage};
use super::keyframes::Keeping;
use super::lazy::Lazy;
use super::ledger::{DeadLetterReason, Fate};
use super::pack::InFlightPayload;
use super::queued_event::QueuedEvent;
use super::scheduled::Scheduled;
use super::slices::{Slices, Slicing};
use super::{NUMBERS, Queue};
use crate::event::Data;
use crate::form;
use crate::policy::{ChannelPolicy, OnUnknown};
use crate::state::{State, StateChange, Window};
use crate::time::{Span, Time, Wall};

/// A day in ms: no event lives longer.
const TTL_MAX_MS: u32 = 86_400_000;

/// Changes added up: what a queue held when the last of them was written.
#[derive(Clone, Debug, Default)]
pub struct Rebuild {
    /// By [`QueuedEvent::seq`].
    events: HashMap<u64, Held>,
    /// By `n`.
    payloads: BTreeMap<u64, Packed>,
    /// Under the numbers of their events; remembered ones, whose numbers are not known,
    /// under numbers from [`NUMBERS`] on, which no event has.
    ids: Ids,
    remembered: u64,
    /// Of the keys, if it was kept.
    state: Option<State>,
    /// What was told of it over HTTP.
    window: Window,
    /// Greater than every number seen.
    next_seq: u64,
    next_n: u64,
}

/// A change that no queue can have written. It is left out, and whoever reads it must tell: an
/// event that was accepted may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// An event's data is no JSON.
    #[error("the data of event {seq} is no JSON")]
    Data {
        /// The event's number.
        seq: u64,
    },
    /// An event is queued a second time.
    #[error("event {seq} is there twice")]
    Twice {
        /// The event's number.
        seq: u64,
    },
    /// The number of an event or a payload is greater than any can be.
    #[error("the number {number} is impossible")]
    Number {
        /// The number.
        number: u64,
    },
    /// A payload cannot have been cut into such slices.
    #[error("payload {n} cannot be cut into its slices")]
    Slices {
        /// The number of the first.
        n: u64,
    },
}

#[derive(Clone, Debug)]
struct Held {
    kept: QueuedEvent,
    /// The payload it is in.
    payload: Option<u64>,
}

#[derive(Clone, Debug)]
struct Packed {
    text: Arc<str>,
    /// Those of its events that have not ended.
    seqs: Vec<u64>,
    returned: bool,
    slices: Option<Slices>,
}

impl Rebuild {
    /// Adds the next change. One about an event or a payload that was never queued here changes
    /// nothing: what came and went within a group is not written.
    ///
    /// # Errors
    /// [`Unusable`]: it is left out.
    pub fn apply(&mut self, change: Change) -> Result<(), Unusable> {
        match change {
            Change::Queued(kept) => self.queued(kept)?,
            Change::Ended { seq, fate } => self.ended(seq, fate),
            Change::Packed {
                n,
                text,
                seqs,
                slices,
            } => self.packed(n, text, &seqs, slices)?,
            Change::Returned { n } => {
                if let Some(payload) = self.payloads.get_mut(&n) {
                    payload.returned = true;
                }
            }
            Change::Dissolved { n } => self.dissolved(n),
            Change::Remembered { id, until, fate } => self.remember(&id, until, fate),
            Change::State(change) => self.state_changed(change),
        }
        Ok(())
    }

    /// Forgets ids that a queue would have forgotten by `now`, as [`Queue::rebuild`] does. Called
    /// after every group of changes that were taken together, it keeps a long journal from needing
    /// more memory than its queue did.
    pub fn forget(&mut self, now: Time, dedup_max_ids: usize) {
        self.ids.forget(now, dedup_max_ids, usize::MAX);
    }

    /// The events still queued, by their places.
    #[must_use]
    pub fn events(&self) -> Vec<&QueuedEvent> {
        let mut events: Vec<&QueuedEvent> = self.events.values().map(|held| &held.kept).collect();
        events.sort_unstable_by_key(|kept| kept.place());
        events
    }

    /// How many events are still queued, those in payloads among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether no event is still queued. (Ids may be remembered.)
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    fn state_changed(&mut self, change: StateChange) {
        self.window.hear(&change);
        if change == StateChange::Off {
            self.state = None;
        } else {
            self.state.get_or_insert_default().restore(change);
        }
    }

    fn saw(&mut self, seq: u64) -> bool {
        let possible = seq < NUMBERS;
        if possible {
            self.next_seq = self.next_seq.max(seq + 1);
        }
        possible
    }

    fn queued(&mut self, kept: QueuedEvent) -> Result<(), Unusable> {
        let seq = kept.seq;
        for number in [seq, kept.place_seq] {
            if !self.saw(number) {
                return Err(Unusable::Number { number });
            }
        }
        let readable = match &kept.content.data {
            Data::Json(text) => serde_json::from_str::<IgnoredAny>(text).is_ok(),
            Data::Verbatim(_) => true,
        };
        if !readable {
            return Err(Unusable::Data { seq });
        }
        if self.events.contains_key(&seq) {
            return Err(Unusable::Twice { seq });
        }
        if let (Some(id), Some(until)) = (&kept.content.id, kept.dedup_until) {
            self.ids.insert(Arc::clone(id), kept.seq, u32::MAX, until);
        }
        let held = Held {
            payload: None,
            kept,
        };
        self.events.insert(held.kept.seq, held);
        Ok(())
    }

    fn ended(&mut self, seq: u64, fate: Fate) {
        self.saw(seq);
        let Some(held) = self.events.remove(&seq) else {
            return;
        };
        if let Some(id) = &held.kept.content.id {
            let settled = self.ids.ended(Time::ZERO, id, seq, fate);
            if let Some(settled) = settled {
                self.ids.settle(settled);
            }
        }
        let Some(n) = held.payload else { return };
        if let Some(payload) = self.payloads.get_mut(&n) {
            payload.seqs.retain(|&other| other != seq);
            if payload.seqs.is_empty() {
                self.payloads.remove(&n);
            }
        }
    }

    fn packed(
        &mut self,
        n: u64,
        text: Arc<str>,
        seqs: &[u64],
        slices: Option<Slices>,
    ) -> Result<(), Unusable> {
        if n >= NUMBERS {
            return Err(Unusable::Number { number: n });
        }
        if slices.is_some_and(|slices| !slices.can_be(&text)) {
            return Err(Unusable::Slices { n });
        }
        let last = slices.map_or(n, |slices| slices.last_n(n));
        self.next_n = self.next_n.max(last + 1);
        if let Some(payload) = self.payloads.get_mut(&n) {
            payload.returned = false;
            return Ok(());
        }
        let mut found = Vec::with_capacity(seqs.len());
        for &seq in seqs {
            self.saw(seq);
            if let Some(held) = self.events.get_mut(&seq)
                && held.payload.is_none()
            {
                held.payload = Some(n);
                held.kept.sent = true;
                found.push(seq);
            }
        }
        if !found.is_empty() {
            let payload = Packed {
                text,
                seqs: found,
                returned: false,
                slices,
            };
            self.payloads.insert(n, payload);
        }
        Ok(())
    }

    fn dissolved(&mut self, n: u64) {
        let payload = self.payloads.remove(&n);
        for seq in payload.into_iter().flat_map(|payload| payload.seqs) {
            if let Some(held) = self.events.get_mut(&seq) {
                held.payload = None;
            }
        }
    }

    fn remember(&mut self, id: &Arc<str>, until: Time, fate: Fate) {
        let seq = NUMBERS + self.remembered;
        self.remembered += 1;
        self.ids.insert(Arc::clone(id), seq, u32::MAX, until);
        let settled = self.ids.ended(Time::ZERO, id, seq, fate);
        if let Some(settled) = settled {
            self.ids.settle(settled);
        }
    }
}

impl Queue {
    /// The queue that these changes make, at `now`, with the wall clock at `wall_origin` when
    /// [`Time::ZERO`] was; the rest is as for [`Queue::new`]. It
    /// records its own changes from the start, and what ended meanwhile ends when time is
    /// next looked at: ask for [`Queue::demand`] once.
    ///
    /// Payloads that were out wait to be sent again, with their `n` and text. Only under
    /// [`OnUnknown::Drop`], those that may have been taken become dead letters.
    #[must_use]
    pub fn rebuild(
        policy: Arc<ChannelPolicy>,
        payload_max: usize,
        next_n: u64,
        interval: Span,
        now: Time,
        wall_origin: Wall,
        rebuild: Rebuild,
    ) -> Self {
        let next_n = next_n.max(rebuild.next_n).min(NUMBERS);
        let mut queue = Self::new(policy, payload_max, next_n, interval);
        let window = rebuild.window.recovered(now).map(Box::new);
        queue.keeping = rebuild.state.map(|state| Keeping::new(state, window));
        queue.keep_changes();
        queue.take_changes();
        queue.now = now;
        queue.follow_keyframes();
        queue.wall_origin = wall_origin;
        queue.next_seq = rebuild.next_seq;
        queue.ids = Lazy::new(rebuild.ids);
        queue.ids.clamp(now + queue.policy.dedup_window);
        queue.ids.tidy(now);
        queue.ledger.recovered = rebuild.events.len() as u64;
        let mut events: Vec<Held> = rebuild.events.into_values().collect();
        events.sort_unstable_by_key(|held| held.kept.place());
        let mut packed: HashMap<u64, u32> = HashMap::new();
        let mut latest = Time::ZERO;
        for Held { mut kept, payload } in events {
            // What has no `at` was accepted in this order. The moments of changes that were written
            // apart are some microseconds off against each other.
            if kept.scheduled.is_none() {
                latest = latest.max(kept.due);
                kept.due = latest;
            }
            let seq = kept.seq;
            let index = queue.put_back(kept);
            if payload.is_some() {
                queue.order.pack(index, &queue.policy);
                packed.insert(seq, index);
            }
        }
        for (n, payload) in rebuild.payloads {
            let index = |seq: u64| packed.get(&seq).copied();
            let items = payload.seqs.into_iter().filter_map(index).collect();
            let id = queue.take_payload_id();
            let plain_bytes = plain_bytes(&payload.text);
            let text = payload.text;
            let mut out = InFlightPayload::new(id, n, text, plain_bytes, items, &queue.order);
            if let Some(slices) = payload.slices {
                // All of them go again.
                let since = slices.since.min(now);
                let slices = Slices { since, ..slices };
                let mut slicing = Slicing::new(Arc::clone(&out.text), plain_bytes, n, slices);
                slicing.was_out = !payload.returned;
                out = out.in_slices(slicing);
            }
            out.again = true;
            out.returned = payload.returned;
            out.maybe = !payload.returned;
            if queue.keeping.is_some() {
                out.carried = Carried::read(&out.text);
            }
            queue.outs.push(out);
        }
        if queue.policy.on_unknown == OnUnknown::Drop {
            while let Some(position) = queue.outs.iter().position(|out| !out.returned) {
                queue.bury(position, DeadLetterReason::Unknown);
            }
        }
        queue
    }

    /// An event as it was, at its place.
    fn put_back(&mut self, kept: QueuedEvent) -> u32 {
        let mut item = kept.into_item(self.now, self.wall_origin);
        item.measure(&self.policy);
        let size = item.size_alone(&self.policy);
        if size > self.payload_max() && self.policy.sliced_max().is_some() {
            // One that is too large by now is found out when it is its turn.
            item.slices = self.slices_of(&item.content, size).unwrap_or(0);
        }
        self.bytes += item.content.bytes();
        let (id, seq) = (item.content.id.clone(), item.id_seq);
        let index = self.order.insert(item, None, &self.policy);
        if let Some(id) = id {
            self.ids.moved(&id, seq, index);
        }
        index
    }
}

/// Bytes of the plain form of a payload. A text that stands for none is one.
fn plain_bytes(text: &str) -> usize {
    form::decode(text).map_or(text.len(), |plain| plain.len())
}

impl QueuedEvent {
    const fn place(&self) -> (u64, u64) {
        (self.place_seq, self.seq)
    }

    /// The item at `now`. How much time has passed is not always known: what was due is due,
    /// and nothing lives longer than its TTL from here on.
    fn into_item(self, now: Time, wall_origin: Wall) -> Item {
        let scheduled = self.scheduled.map(|scheduled| Scheduled {
            accepted: scheduled.accepted.min(now),
            latest_accepted: scheduled.latest_accepted.min(now),
            ..scheduled
        });
        let due = if scheduled.is_some() && !self.sent {
            self.due
        } else {
            self.due.min(now)
        };
        let ttl_ms = self.ttl_ms.min(TTL_MAX_MS);
        let life = Span::from_millis(u64::from(ttl_ms));
        let mut item = Item {
            level: self.level.max(self.content.priority),
            content: self.content,
            place: Place {
                due,
                seq: self.place_seq,
            },
            scheduled: scheduled.map(Box::new),
            id_seq: self.seq,
            deadline: self.deadline,
            ttl_ms,
            rises: self.rises,
            timer: Time::NEVER,
            waiter: 0,
            producer: None,
            stage: if due > now {
                Stage::Scheduled
            } else {
                Stage::Waiting
            },
            sent: self.sent,
            size: 0,
            slices: 0,
            prev: None,
            next: None,
            kind_prev: None,
            kind_next: None,
            own_prev: None,
            own_next: None,
        };
        item.place_anew(now, wall_origin);
        item.deadline = item.deadline.min(item.place.due.max(now) + life);
        item.reschedule_rise(now);
        item
    }
}
