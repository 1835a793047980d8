//! Payloads out, and how they end.
//!
//! A payload that was sent keeps its text and its `n` until the API took it, refused it for
//! good, or its events' time is over; only a refusal for its size dissolves it, and where a state is
//! kept, that the stream is offline.

mod sliced;

use std::sync::Arc;

use crate::call::{Outcome, Rejection};
use crate::policy::{Offline, OnUnknown};
use crate::queue::carried::Carried;
use crate::queue::changes::Change;
use crate::queue::fill::Filled;
use crate::queue::item::Stage;
use crate::queue::ledger::{DeadLetterReason, End};
use crate::queue::order::Order;
use crate::queue::slices::Slicing;
use crate::queue::{Queue, small};
use crate::time::{Span, Time};

/// The size some accounts of the API may hold to: "1 KB" is 1000 or 1024 bytes, no document
/// says which.
pub(crate) const KILOBYTE: usize = 1000;

/// One payload of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadId(u64);

/// A payload on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// For [`Queue::settle`].
    pub id: PayloadId,
    /// Its number; the same when it is sent again. In a payload in slices is the last one's.
    pub n: u64,
    /// The metadata.
    pub text: Arc<str>,
    /// How many events are in it.
    pub events: usize,
    /// Bytes of its plain form, which `text` is or stands for. Of slices the last one has those of all.
    pub plain_bytes: usize,
}

/// What a settled payload was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The payload, if it was delivered: its number and text.
    pub delivered: Option<(u64, Arc<str>)>,
    /// For each event delivered, the time since `max(accepted, at)`.
    pub latencies: Vec<Span>,
    /// The API refused a payload of 1001-1024 bytes for its size: the limit is now this for
    /// the whole account.
    pub payload_max: Option<usize>,
}

#[derive(Clone, Debug)]
pub(super) struct InFlightPayload {
    pub id: PayloadId,
    pub n: u64,
    pub text: Arc<str>,
    /// Bytes of its plain form.
    pub plain_bytes: usize,
    pub items: Vec<u32>,
    /// `max(accepted, at)` of its oldest event.
    pub oldest: Time,
    /// When the last of its events has lived.
    pub deadline: Time,
    /// Not in flight: it was refused for now and goes again, unchanged.
    pub again: bool,
    /// It was certainly not taken, and is recorded so.
    pub returned: bool,
    /// An attempt of it ended and nobody knows whether it was taken.
    pub maybe: bool,
    /// What it tells of the state.
    pub carried: Option<Box<Carried>>,
    /// It leaves in slices: `id`, `n`, `text` are of the one whose turn it is.
    pub slicing: Option<Box<Slicing>>,
}

impl InFlightPayload {
    /// A payload in flight with these items, which are in it already.
    pub(super) fn new(
        id: PayloadId,
        n: u64,
        text: Arc<str>,
        plain_bytes: usize,
        items: Vec<u32>,
        order: &Order,
    ) -> Self {
        let (mut oldest, mut deadline) = (Time::NEVER, Time::ZERO);
        for item in items.iter().filter_map(|&index| order.item(index)) {
            oldest = oldest.min(item.place.due);
            deadline = deadline.max(item.deadline);
        }
        Self {
            id,
            n,
            text,
            plain_bytes,
            items,
            oldest,
            deadline,
            again: false,
            returned: false,
            maybe: false,
            carried: None,
            slicing: None,
        }
    }

    /// What is sent of it now.
    fn payload(&self) -> Payload {
        Payload {
            id: self.id,
            n: self.n,
            text: Arc::clone(&self.text),
            events: self.items.len(),
            plain_bytes: self.plain_bytes,
        }
    }

    /// It as a change.
    pub(super) fn packed(&self, order: &Order) -> Change {
        let items = self.items.iter().filter_map(|&index| order.item(index));
        let slicing = self.slicing.as_deref();
        Change::Packed {
            n: self.first_n(),
            text: Arc::clone(self.whole()),
            seqs: items.map(|item| item.id_seq).collect(),
            slices: slicing.map(|slicing| slicing.slices),
        }
    }
}

impl Queue {
    /// The next payload, or `None` if there is nothing to send now.
    pub fn take(&mut self, now: Time) -> Option<Payload> {
        self.advance(now);
        let again = self.outs.iter().enumerate().filter(|(_, out)| out.again);
        let again = again
            .min_by_key(|(_, out)| out.n)
            .map(|(position, _)| position);
        let is_free = again.is_none_or(|position| self.outs[position].is_next_slice());
        if is_free && let Some(payload) = self.take_new() {
            return Some(payload);
        }
        again.map(|position| self.take_again(position))
    }

    /// The payload that waits to be sent again, or whose next slice has its turn.
    fn take_again(&mut self, position: usize) -> Payload {
        let out = &mut self.outs[position];
        out.leaves();
        self.next_n = self.next_n.max(out.n + 1);
        let payload = out.payload();
        if std::mem::take(&mut out.returned) {
            let sent = out.packed(&self.order);
            self.record(sent);
        }
        payload
    }

    /// A payload of what is queued.
    fn take_new(&mut self) -> Option<Payload> {
        let levels = self.open_levels();
        let queued = self.len();
        let filled = if levels == 0 {
            None
        } else if self.policy.compresses() {
            self.fill(levels)
        } else {
            self.fill_plain(levels)
        };
        if filled.is_none() {
            // What was counted out may have been before something that can go.
            self.stuck = !self.outs.is_empty() && self.len() == queued;
        }
        filled.map(|filled| {
            let (filled, carried) = self.carry(filled);
            self.send(filled, carried)
        })
    }

    /// Picks the items of the next payload, and writes it plain.
    fn fill_plain(&mut self, levels: usize) -> Option<Filled> {
        let items = self.pick(levels);
        if items.is_empty() {
            return None;
        }
        let text = self.write(&items);
        Some(Filled {
            items,
            plain_bytes: text.len(),
            text,
            slices: 0,
        })
    }

    /// Packs the items of the next payload.
    fn pick(&mut self, levels: usize) -> Vec<u32> {
        let mut picked: Vec<u32> = Vec::new();
        let mut passed: Vec<u32> = Vec::new();
        let mut too_big = 0;
        let mut bytes = 0;
        while let Some(index) = self.order.get_mut().and_then(|order| order.pop(levels)) {
            let item = &self.order.items[index];
            // Rules that changed since it was accepted may leave it without a payload.
            let reason = match item.size_alone(&self.policy) {
                0 => Some(DeadLetterReason::Validation),
                size if size > self.payload_max() => Some(DeadLetterReason::TooLarge),
                _ => None,
            };
            if let Some(reason) = reason {
                self.end_held(index, End::DeadLettered(reason));
                continue;
            }
            let alone = item.is_alone(&self.policy);
            let size = self
                .policy
                .envelope
                .payload_size(bytes + item.size as usize, picked.len() + 1);
            let fits = picked.is_empty() || (!alone && size <= self.payload_max());
            let in_flight = !self.outs.is_empty() && self.order.is_key_packed(index, &picked);
            if !fits || in_flight {
                passed.push(index);
                // Events of keys in flight are passed over freely: they may not go now.
                too_big += usize::from(!in_flight);
                if too_big > self.policy.lookahead {
                    break;
                }
                continue;
            }
            bytes += item.size as usize;
            self.leave_line(index);
            self.order.pack(index, &self.policy);
            picked.push(index);
            if alone {
                break;
            }
        }
        for index in passed {
            self.order.put_back(index);
        }
        picked
    }

    pub(super) fn write(&self, items: &[u32]) -> String {
        let (envelope, fields) = (self.policy.envelope, self.policy.item_fields());
        let mut text = String::with_capacity(self.payload_max());
        let verbatim = items.iter().any(|&index| {
            matches!(
                self.order.items[index].content.data,
                crate::event::Data::Verbatim(_)
            )
        });
        if !verbatim {
            envelope.open(self.next_n, &mut text);
        }
        for (position, &index) in items.iter().enumerate() {
            let item = &self.order.items[index];
            if position > 0 {
                text.push(',');
            }
            envelope.write_item(fields, &item.content, &mut text);
        }
        if !verbatim {
            envelope.close(&mut text);
        }
        text
    }

    /// A payload that is written is on its way.
    fn send(&mut self, filled: Filled, carried: Option<Box<Carried>>) -> Payload {
        let id = self.take_payload_id();
        let mut out = match filled.slices {
            0 => {
                let (n, text) = (self.next_n, filled.text.into());
                InFlightPayload::new(id, n, text, filled.plain_bytes, filled.items, &self.order)
            }
            count => self.begin_slices(filled, id, count),
        };
        debug_assert!(
            out.text.len() <= self.payload_max(),
            "a payload of {} bytes",
            out.text.len()
        );
        self.next_n += 1;
        out.carried = carried;
        if self.is_recording() {
            let packed = out.packed(&self.order);
            self.record(packed);
        }
        let payload = out.payload();
        self.outs.push(out);
        payload
    }

    pub(super) const fn take_payload_id(&mut self) -> PayloadId {
        let id = PayloadId(self.next_payload);
        self.next_payload += 1;
        id
    }

    /// A payload's call ended. Of a call that was given up, only a late `Delivered` counts:
    /// the payload then ends, even while it is in flight again.
    pub fn settle(&mut self, now: Time, payload: PayloadId, outcome: Outcome) -> Settled {
        self.now = self.now.max(now);
        self.stuck = false;
        let Some(position) = self.outs.iter().position(|out| out.id == payload) else {
            return self.settle_own(payload, outcome);
        };
        if outcome == Outcome::Unknown {
            self.outs[position].maybe = true;
        }
        let settled = match outcome {
            Outcome::Delivered => self.deliver(now, position),
            Outcome::Throttled(_) | Outcome::Failed | Outcome::Refused => self.send_back(position),
            Outcome::Unknown if self.policy.on_unknown == OnUnknown::Retry => {
                self.outs[position].again = true;
                Settled::default()
            }
            Outcome::Unknown => self.bury(position, DeadLetterReason::Unknown),
            Outcome::Offline => self.go_offline(position),
            Outcome::TooLarge => self.shrink(position),
            Outcome::Rejected(rejection) => self.bury(
                position,
                match rejection {
                    Rejection::AccessDenied => DeadLetterReason::AccessDenied,
                    Rejection::NoSuchChannel => DeadLetterReason::NoSuchChannel,
                    Rejection::Validation => DeadLetterReason::Validation,
                },
            ),
        };
        self.advance(now);
        settled
    }

    /// Whether the payload waits to be sent again (rather than being in flight or gone).
    #[must_use]
    pub fn goes_again(&self, payload: PayloadId) -> bool {
        self.outs.iter().any(|out| out.id == payload && out.again)
    }

    fn deliver(&mut self, now: Time, position: usize) -> Settled {
        if let Some(settled) = self.go_on(position) {
            return settled;
        }
        let out = self.outs.remove(position);
        let due = |index: &u32| self.order.items[*index].place.due;
        let latencies = out
            .items
            .iter()
            .map(|index| now.since(due(index)))
            .collect();
        self.ledger.plain_bytes += out.plain_bytes as u64;
        self.end_packed(&out, End::Delivered);
        Settled {
            delivered: Some((out.n, out.text)),
            latencies,
            payload_max: None,
        }
    }

    /// It was not taken: it goes again. After a crash that matters only where an unknown
    /// outcome would end it, so only there it costs a record, and another before the next send.
    fn send_back(&mut self, position: usize) -> Settled {
        let out = &mut self.outs[position];
        out.again = true;
        // Whether it may have been taken decides what it ends as after a crash, or whether it
        // changed the state.
        let counts = self.policy.on_unknown == OnUnknown::Drop || self.keeping.is_some();
        if counts && !out.maybe {
            out.returned = true;
            let n = out.first_n();
            self.record(Change::Returned { n });
        }
        Settled::default()
    }

    pub(super) fn bury(&mut self, position: usize, reason: DeadLetterReason) -> Settled {
        let out = self.outs.remove(position);
        self.end_packed(&out, End::DeadLettered(reason));
        Settled::default()
    }

    fn end_packed(&mut self, out: &InFlightPayload, end: End) {
        if end == End::Delivered || out.may_be_seen() {
            self.state_takes(out);
        } else {
            self.state_lost(out);
        }
        for &index in &out.items {
            let item = self.order.remove_packed(index);
            self.end_item(&item, end, Some(out.own_n()));
        }
    }

    /// The stream is not live: by the policy, what is due waits or is counted out. What is
    /// scheduled stays: the stream may be back by then.
    fn go_offline(&mut self, position: usize) -> Settled {
        if self.policy.offline == Offline::Hold {
            // What surely did not reach the stream is packed anew when it is back, because the state
            // may be another by then. Of slices the next stream needs all.
            let out = &self.outs[position];
            if out.slicing.is_some() || (self.keeping.is_some() && !out.maybe) {
                self.dissolve(position);
                return Settled::default();
            }
            return self.send_back(position);
        }
        self.bury(position, DeadLetterReason::Offline);
        self.end_where(End::DeadLettered(DeadLetterReason::Offline), |item| {
            item.stage != Stage::Scheduled
        });
        Settled::default()
    }

    /// The API found it too large: between 1001 and 1024 bytes it is packed anew, smaller.
    fn shrink(&mut self, position: usize) -> Settled {
        if self.outs[position].text.len() <= KILOBYTE {
            return self.bury(position, DeadLetterReason::TooLarge);
        }
        self.dissolve(position);
        self.payload_max = small(self.payload_max().min(KILOBYTE));
        Settled {
            payload_max: Some(self.payload_max()),
            ..Settled::default()
        }
    }

    /// The payload will not be sent again: its events are queued as they were.
    pub(super) fn dissolve(&mut self, position: usize) {
        let out = self.outs.remove(position);
        self.state_lost(&out);
        self.order.restore(&out.items, &self.policy);
        if let Some(shares) = self.shares.get_mut() {
            for &index in &out.items {
                shares.come_back(index, &mut self.order.items);
            }
        }
        self.record(Change::Dissolved { n: out.first_n() });
    }

    /// Payloads that were sent in vain for as long as their events live, and slices that are of no use any more.
    pub(super) fn expire_outs(&mut self, now: Time) {
        let limit = self.payload_max();
        while let Some(position) = self
            .outs
            .iter()
            .position(|out| out.again && (out.deadline <= now || out.is_late(now, limit)))
        {
            if self.outs[position].deadline <= now {
                self.bury(position, DeadLetterReason::Expired);
            } else {
                self.dissolve(position);
            }
        }
    }
}
