//! What comes in: duplicates, merges, bounds, and the room that overflow makes.
//!
//! An event is accepted whole or refused whole: every check comes before the first change.

use std::sync::Arc;

use crate::call::{Entry, Health};
use crate::event::{Content, Data, Event, Priority};
use crate::form;
use crate::merge;
use crate::policy::{Offline, Overflow};
use crate::queue::Queue;
use crate::queue::changes::Change;
use crate::queue::ends::Ending;
use crate::queue::gate::Gate;
use crate::queue::item::Seat;
use crate::queue::item::{Item, Measure, Place, Stage};
use crate::queue::lazy::Lazy;
use crate::queue::ledger::{DeadLetterReason, End, Fate};
use crate::queue::order::Order;
use crate::queue::scheduled::Scheduled;
use crate::queue::totals::Packable;
use crate::time::{Span, Time};

/// Why a text may not leave as it is where players read more forms than JSON.
const TAKEN_FOR_OURS: &str = "players would take this text for a payload of the gateway: on this channel it must not begin with ~ or be one";

/// What became of an event that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is in the books and will have an end.
    Accepted,
    /// Its id was seen within the window: nothing changed.
    Duplicate,
}

/// Why an event was not taken. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot fit one payload, and may not leave in slices.
    #[error(
        "the event makes a payload of {size} bytes, the limit is {limit}; a channel with event_max_bytes takes larger events"
    )]
    TooLarge {
        /// Bytes of a payload with this event alone, in the shortest form that is sent.
        size: usize,
        /// Most bytes of a payload.
        limit: usize,
    },
    /// It is larger than what may leave in slices.
    #[error("the event makes a payload of {size} bytes, the channel's event_max_bytes is {limit}")]
    TooLargeForChannel {
        /// Bytes of a plain payload with this event alone.
        size: usize,
        /// Most bytes of one.
        limit: usize,
    },
    /// It takes more slices than a payload may have.
    #[error(
        "the event makes {size} bytes once it is compressed, all slices of a payload together have {limit}"
    )]
    TooManySlices {
        /// Bytes of its compressed form.
        size: usize,
        /// Most bytes of one.
        limit: usize,
    },
    /// Its data is nothing its merge or its envelope can work on.
    #[error("{0}")]
    InvalidData(&'static str),
    /// The queue has no room, and nothing to evict for this event.
    #[error("the channel's queue is full")]
    QueueFull {
        /// When there may be room.
        retry_after: Span,
    },
    /// Its producer holds its whole share of the queue.
    #[error("this producer holds its share of the channel's queue, {percent} % of it")]
    ShareFull {
        /// The share.
        percent: u8,
        /// When there may be room.
        retry_after: Span,
    },
    /// It would not leave before its TTL is over.
    #[error("what is ahead takes {} ms, longer than the event lives", wait.millis_ceil())]
    WouldExpire {
        /// How long what is ahead takes.
        wait: Span,
        /// When the wait is short enough, if nothing more comes.
        retry_after: Span,
    },
    /// The stream is not live, and the policy is to refuse.
    #[error("the channel's stream is not live")]
    Offline,
}

impl Queue {
    /// Takes an event in, or says why not.
    ///
    /// # Errors
    /// [`Refusal`]: nothing has changed then.
    pub fn accept(&mut self, now: Time, event: Event) -> Result<Admission, Refusal> {
        self.advance(now);
        let id = event.content.id.as_deref();
        if id.is_some_and(|id| self.ids.is_duplicate(self.now, id)) {
            // What is wrong with it is told nevertheless.
            self.check(&event)?;
            self.ledger.duplicates += 1;
            return Ok(Admission::Duplicate);
        }
        self.admit(now, event, None)?;
        Ok(Admission::Accepted)
    }

    /// Refuses what no queue could take.
    fn check(&self, event: &Event) -> Result<Measure, Refusal> {
        let size = self.check_size(&event.content)?;
        if self.policy.reads_forms()
            && let Data::Verbatim(text) = &event.content.data
            && form::is_ours(text)
        {
            return Err(Refusal::InvalidData(TAKEN_FOR_OURS));
        }
        if let (Some(kind), Data::Json(data)) = (event.content.merge, &event.content.data) {
            merge::validate(kind, data).map_err(Refusal::InvalidData)?;
        }
        Ok(size)
    }

    /// Takes an event in, whatever is known of its id: at the seat of the one it replaces, where
    /// there is one.
    pub(super) fn admit(
        &mut self,
        now: Time,
        event: Event,
        seat: Option<Seat>,
    ) -> Result<(), Refusal> {
        let measure = self.check(&event)?;
        let due = self.due(&event, now);
        // One whose `at` is still to come is held: the stream may be back by then.
        if due <= now && self.turns_away(&event) {
            if self.policy.offline == Offline::Reject {
                return Err(Refusal::Offline);
            }
            self.drop_offline(&event);
            return Ok(());
        }
        let ttl_ms = event.ttl_ms.unwrap_or(self.policy.ttl_ms);
        let ttl = Span::from_millis(u64::from(ttl_ms));
        let arriving = Arriving {
            due,
            deadline: due + ttl,
            ttl,
            ttl_ms,
            measure,
            now,
        };
        if seat.is_some() {
            self.make_room(&event)?;
            self.insert(event, arriving, seat);
        } else if !self.merge_in(&event, arriving) {
            self.check_wait(&event, arriving)?;
            self.make_room(&event)?;
            self.insert(event, arriving, None);
        }
        self.ledger.accepted += 1;
        self.stuck = false;
        Ok(())
    }

    /// Takes an event in that has ended before, whatever is remembered of its id: a dead letter
    /// that is sent once more.
    ///
    /// # Errors
    /// [`Refusal`]: nothing has changed then, but that its id may be accepted again.
    pub fn accept_again(&mut self, now: Time, event: Event) -> Result<Admission, Refusal> {
        if let Some(id) = &event.content.id {
            self.ids.forget_ended(id);
        }
        self.accept(now, event)
    }

    fn check_size(&self, content: &Content) -> Result<Measure, Refusal> {
        let bytes = self
            .policy
            .envelope
            .item_size(self.policy.item_fields(), content);
        let size = self.policy.envelope.size_alone(content, bytes);
        if size == 0 {
            return Err(Refusal::InvalidData("a payload has at least one character"));
        }
        let slices = if size > self.payload_max() {
            self.slices_of(content, size)?
        } else {
            0
        };
        Ok(Measure { bytes, slices })
    }

    /// Accepted and counted out at once: the policy `drop` while offline.
    fn drop_offline(&mut self, event: &Event) {
        let now = self.now;
        self.ledger.accepted += 1;
        let seq = self.take_seq();
        // It is no item at any time; its id ends before anybody could look for one.
        let until = self.remember(event.content.id.as_ref(), seq, u32::MAX, now);
        let due = self.due(event, now);
        self.keep_dead_on_arrival(event, due, DeadLetterReason::Offline);
        let end = End::DeadLettered(DeadLetterReason::Offline);
        self.record_end(&Ending {
            id: event.content.id.as_ref(),
            seq,
            waiter: event.waiter,
            end,
            n: None,
            into: None,
        });
        if let Some(id) = &event.content.id {
            let at = Some(self.now.wall(self.wall_origin));
            self.record(Change::Remembered {
                id: Arc::clone(id),
                until,
                fate: Fate { end, n: None, at },
            });
        }
    }

    /// What is let through of what is due, by the policy and what is known of the stream.
    pub(super) fn gate(&self) -> Gate {
        if self.link.health != Health::Offline || self.policy.offline == Offline::Hold {
            return Gate::Open;
        }
        match self.link.entry {
            Entry::Open => Gate::Open,
            Entry::ProbeFrom(from) if self.now >= from && self.outs.is_empty() => Gate::Probe,
            Entry::ProbeFrom(_) => Gate::Shut,
        }
    }

    /// Whether an event that is due is not let through. As a probe it must be able to go at once,
    /// and is alone: but that a batch which is taken whole or not at all is one probe.
    fn turns_away(&self, event: &Event) -> bool {
        if let Some(trial) = &self.trial {
            return trial.is_shut;
        }
        match self.gate() {
            Gate::Open => false,
            Gate::Shut => true,
            Gate::Probe => {
                let key = event.content.key.as_deref();
                self.order.is_anything_waiting()
                    || key.is_some_and(|key| self.order.last_of_key(key).is_some())
            }
        }
    }

    /// `max(accepted, at)`.
    fn due(&self, event: &Event, now: Time) -> Time {
        let at = event.at.map(|at| at.time(self.wall_origin));
        at.map_or(now, |at| at.max(now))
    }

    const fn take_seq(&mut self) -> u64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        seq
    }

    /// Merges into the last queued item of the event's key, if the rules allow it.
    fn merge_in(&mut self, event: &Event, arriving: Arriving) -> bool {
        let Some((index, data, measure)) = self.merged_data(event, arriving) else {
            return false;
        };
        let seq = self.take_seq();
        self.note_change(index);
        let item = &self.order.items[index];
        let earlier = (
            item.content.id.clone(),
            item.id_seq,
            item.waiter,
            item.content.bytes(),
        );
        let policy = Arc::clone(&self.policy);
        self.order.change(index, &policy, |item| {
            item.content.data = data;
            item.content.id.clone_from(&event.content.id);
            item.id_seq = seq;
            item.waiter = event.waiter;
            item.deadline = arriving.deadline;
            item.ttl_ms = arriving.ttl_ms;
            if let Some(scheduled) = &mut item.scheduled {
                scheduled.latest_at = event.at;
                scheduled.latest_accepted = arriving.now;
            }
            item.reschedule_rise(arriving.now);
            item.set_measure(measure);
        });
        self.bytes = self.bytes - earlier.3 + self.order.items[index].content.bytes();
        self.hand_over(index, event, earlier.3);
        self.record_end(&Ending {
            id: earlier.0.as_ref(),
            seq: earlier.1,
            waiter: earlier.2,
            end: End::Merged,
            n: None,
            into: event.content.id.as_ref(),
        });
        let until = self.remember(event.content.id.as_ref(), seq, index, arriving.now);
        self.record_queued(index, Some(until));
        true
    }

    /// What was merged into is its latest producer's.
    fn hand_over(&mut self, index: u32, event: &Event, before: usize) {
        let item = &self.order.items[index];
        let after = item.content.bytes();
        let latest = event.producer.map(|producer| producer.id);
        let earlier = item.producer;
        if earlier == latest {
            if let Some(producer) = latest {
                self.shares.resize(producer, before, after);
            }
            return;
        }
        self.leave_line(index);
        self.order.items[index].producer = latest;
        if let Some(producer) = latest {
            let items = &mut self.order.items;
            self.shares.add(producer, after, index, items);
        }
        self.give_back(earlier, before);
    }

    /// The item to merge into, its new data, and how large it is then.
    fn merged_data(&self, event: &Event, arriving: Arriving) -> Option<(u32, Data, Measure)> {
        let kind = event.content.merge?;
        let index = self.order.last_of_key(event.content.key.as_deref()?)?;
        let item = self.order.item(index)?;
        let alike = item.content.merge == Some(kind)
            && item.content.kind == event.content.kind
            && item.content.priority == event.content.priority;
        // The item keeps its place: not before the event's `at`, not after its deadline.
        let in_time =
            arriving.due <= item.place.due.max(arriving.now) && item.place.due < arriving.deadline;
        if !alike || !in_time {
            return None;
        }
        let data = match (&item.content.data, &event.content.data) {
            (Data::Json(earlier), Data::Json(later)) if kind != crate::merge::Merge::Replace => {
                Data::Json(merge::merge(kind, earlier, later)?.into())
            }
            (Data::Json(_), Data::Json(later)) => Data::Json(Arc::clone(later)),
            _ => return None,
        };
        let content = Content {
            data,
            ..event.content.clone()
        };
        // What is composed of several events stays within one payload.
        let measure = self.check_size(&content).ok()?;
        let fits = kind == crate::merge::Merge::Replace || measure.slices == 0;
        let merged = content.bytes();
        let bytes = self.bytes - item.content.bytes() + merged;
        let has_room = bytes <= self.policy.queue_max_bytes.max(self.bytes);
        let in_share = event.producer.is_none_or(|producer| {
            let before = (item.producer == Some(producer.id)).then(|| item.content.bytes());
            self.shares.has_room(producer, merged, before, &self.policy)
        });
        (fits && has_room && in_share).then_some((index, content.data, measure))
    }

    /// Refuses what would expire behind what is ahead of it.
    fn check_wait(&self, event: &Event, arriving: Arriving) -> Result<(), Refusal> {
        let exempt = self.link.health == Health::Offline
            || arriving.due > arriving.now
            || self.policy.overflow == Overflow::DropOldest;
        if exempt {
            return Ok(());
        }
        let ahead = Packable::sum(&self.order.waiting[event.content.priority.index()..]);
        let in_flight = self.outs.iter().filter(|out| !out.again).count();
        let payloads = self.payloads(&ahead) + self.calls_left() - in_flight;
        let wait = self.link.interval.times(payloads as u64);
        if wait > arriving.ttl {
            return Err(Refusal::WouldExpire {
                wait,
                retry_after: wait - arriving.ttl,
            });
        }
        Ok(())
    }

    /// Makes room by the overflow policy, or refuses with nothing evicted.
    fn make_room(&mut self, event: &Event) -> Result<(), Refusal> {
        let own = self.own_victims(event)?;
        let levels = self.evictable_levels(event)?;
        for index in own {
            self.end_held(index, End::Evicted);
        }
        while self.excess(event) != (0, 0) {
            let Some(index) = self.victim(levels) else {
                return Err(self.full());
            };
            self.end_held(index, End::Evicted);
        }
        Ok(())
    }

    const fn full(&self) -> Refusal {
        Refusal::QueueFull {
            retry_after: self.link.interval,
        }
    }

    /// What must go for the event to stay within its producer's share: under `drop_oldest` the
    /// oldest of its own, else nothing may.
    fn own_victims(&mut self, event: &Event) -> Result<Vec<u32>, Refusal> {
        let Some((producer, shares)) = event.producer.zip(self.shares.get_mut()) else {
            return Ok(Vec::new());
        };
        let excess = shares.excess(producer, event.content.bytes(), &self.policy);
        if excess == (0, 0) {
            return Ok(Vec::new());
        }
        let victims = (self.policy.overflow == Overflow::DropOldest)
            .then(|| shares.oldest(producer.id, excess, &self.order.items));
        victims.flatten().ok_or(Refusal::ShareFull {
            percent: producer.percent,
            retry_after: self.link.interval,
        })
    }

    /// How many of the levels, from the lowest, may be evicted for this event; 0 where nothing
    /// has to.
    fn evictable_levels(&self, event: &Event) -> Result<usize, Refusal> {
        let excess = self.excess(event);
        if excess == (0, 0) {
            return Ok(0);
        }
        let levels = match self.policy.overflow {
            Overflow::Reject => return Err(self.full()),
            Overflow::DropLowestPriority => event.content.priority.index(),
            Overflow::DropOldest => Priority::High.index() + 1,
        };
        let evictable = &self.order.held[..levels];
        let count: usize = evictable.iter().map(|totals| totals.count).sum();
        let bytes: usize = evictable.iter().map(|totals| totals.bytes).sum();
        if count < excess.0 || bytes < excess.1 {
            return Err(self.full());
        }
        Ok(levels)
    }

    /// Events and bytes the queue would hold beyond its bounds with this event in it.
    fn excess(&self, event: &Event) -> (usize, usize) {
        let events = (self.order.items.len() + 1).saturating_sub(self.policy.queue_max_events);
        let bytes =
            (self.bytes + event.content.bytes()).saturating_sub(self.policy.queue_max_bytes);
        (events, bytes)
    }

    /// What goes first to make room among the lowest `levels`: under `drop_oldest` the oldest
    /// of all, else the oldest of the lowest level.
    fn victim(&mut self, levels: usize) -> Option<u32> {
        if levels > Priority::High.index() {
            let candidate = self.order.oldest().map(|(_, index)| index);
            let other = |order: &mut Lazy<Order>| Some(order.get_mut()?.first_other()?.1);
            return candidate.or_else(|| other(&mut self.order));
        }
        let level = [Priority::Low, Priority::Normal]
            .into_iter()
            .take(levels)
            .find(|level| self.order.held[level.index()].count > 0)?;
        let candidate = self.order.oldest_of(level).map(|(_, index)| index);
        candidate.or_else(|| Some(self.order.get_mut()?.first_other_of(level)?.1))
    }

    fn insert(&mut self, event: Event, arriving: Arriving, seat: Option<Seat>) {
        let seq = self.take_seq();
        let own = Place {
            due: arriving.due,
            seq,
        };
        let stage = if arriving.due > arriving.now {
            Stage::Scheduled
        } else {
            Stage::Waiting
        };
        let mut item = Item {
            level: event.content.priority,
            content: event.content,
            place: seat.map_or(own, |seat| seat.place),
            scheduled: event
                .at
                .map(|at| Box::new(Scheduled::new(at, arriving.now))),
            id_seq: seq,
            deadline: arriving.deadline,
            ttl_ms: arriving.ttl_ms,
            rises: Time::NEVER,
            timer: Time::NEVER,
            waiter: event.waiter,
            producer: event.producer.map(|producer| producer.id),
            stage,
            sent: false,
            size: 0,
            slices: 0,
            prev: None,
            next: None,
            kind_prev: None,
            kind_next: None,
            own_prev: None,
            own_next: None,
        };
        item.set_measure(arriving.measure);
        item.rises = item.first_rise(arriving.now);
        let (producer, bytes) = (item.producer, item.content.bytes());
        self.bytes += bytes;
        let id = item.content.id.clone();
        let index = self.order.insert(item, seat, &self.policy);
        if let Some(producer) = producer {
            let items = &mut self.order.items;
            self.shares.add(producer, bytes, index, items);
        }
        self.note_inserted(index);
        let until = self.remember(id.as_ref(), seq, index, arriving.now);
        self.record_queued(index, Some(until));
    }

    /// Knows the id from now on; the answer is the end of its dedup window.
    fn remember(&mut self, id: Option<&Arc<str>>, seq: u64, index: u32, now: Time) -> Time {
        let until = now + self.policy.dedup_window;
        if let Some(id) = id {
            self.note_id(id);
            self.ids.insert(Arc::clone(id), seq, index, until);
        }
        until
    }
}

/// The moments and the size of an event that is coming in.
#[derive(Clone, Copy)]
struct Arriving {
    now: Time,
    /// `max(accepted, at)`.
    due: Time,
    deadline: Time,
    ttl: Span,
    ttl_ms: u32,
    measure: Measure,
}
