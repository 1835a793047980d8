//! One queued event: what it says, and where it stands.

use std::num::NonZeroU32;

use crate::event::{Content, Priority};
use crate::policy::ChannelPolicy;
use crate::queue::scheduled::Scheduled;
use crate::time::{Time, Wall};

/// Order within a priority: when the event is due, then who came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// `max(accepted, at)`.
    pub due: Time,
    /// Unique within the queue, in order of acceptance.
    pub seq: u64,
}

/// The place of an event that is replaced, with its neighbours of the same key: each by where it
/// is in memory and its number, as it may be evicted meanwhile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    pub place: Place,
    pub prev: Option<(u32, u64)>,
    pub next: Option<(u32, u64)>,
}

/// Where an item is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its `at` is still to come.
    Scheduled,
    /// It is due, but an event of its key before it is not.
    Blocked,
    /// It can be packed, after those of its key before it.
    Waiting,
    /// It is in a payload.
    Packed,
}

/// How large an item is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    /// Exact bytes in a payload.
    pub bytes: usize,
    /// As [`Item::slices`].
    pub slices: u8,
}

#[derive(Clone, Debug)]
pub(super) struct Item {
    pub content: Content,
    /// Its priority as it is now: it rises with age.
    pub level: Priority,
    pub place: Place,
    /// Its place is at an `at`, or was when the clock was last set.
    pub scheduled: Option<Box<Scheduled>>,
    /// The acceptance that gave it its id: a merge changes it.
    pub id_seq: u64,
    /// The item leaves before this moment or has expired.
    pub deadline: Time,
    /// Time to live of the latest event in it.
    pub ttl_ms: u32,
    /// When it next rises a priority; [`Time::NEVER`] if it does not.
    pub rises: Time,
    /// The earliest moment anything happens to it: the one of its timers that counts.
    pub timer: Time,
    pub waiter: u64,
    /// Whose share of the queue it takes.
    pub producer: Option<NonZeroU32>,
    pub stage: Stage,
    /// A payload with it in it was sent before.
    pub sent: bool,
    /// Exact bytes in a payload.
    pub size: u32,
    /// How many slices it leaves in, about; 0: it fits a payload.
    pub slices: u8,
    /// Neighbours among the items of its key.
    pub prev: Option<u32>,
    pub next: Option<u32>,
    /// Neighbours among the items of its type.
    pub kind_prev: Option<u32>,
    pub kind_next: Option<u32>,
    /// Neighbours among the items of its producer that are in no payload.
    pub own_prev: Option<u32>,
    pub own_next: Option<u32>,
}

impl Item {
    pub(super) fn measure(&mut self, policy: &ChannelPolicy) {
        let size = policy
            .envelope
            .item_size(policy.item_fields(), &self.content);
        self.size = u32::try_from(size).unwrap_or(u32::MAX);
    }

    pub(super) fn set_measure(&mut self, measure: Measure) {
        self.size = u32::try_from(measure.bytes).unwrap_or(u32::MAX);
        self.slices = measure.slices;
    }

    /// Whether it takes a payload for itself.
    pub(super) fn is_alone(&self, policy: &ChannelPolicy) -> bool {
        policy.envelope.is_alone(&self.content.data)
    }

    /// Bytes of a payload with nothing else in it.
    pub(super) fn size_alone(&self, policy: &ChannelPolicy) -> usize {
        policy
            .envelope
            .size_alone(&self.content, self.size as usize)
    }

    /// Places an item anew whose `at` is another moment now; whether it moved. What was sent
    /// once stays as it is.
    pub(super) fn place_anew(&mut self, now: Time, wall_origin: Wall) -> bool {
        let Some(scheduled) = self.scheduled.as_deref().filter(|_| !self.sent) else {
            return false;
        };
        let moved = scheduled.moved(self.place.due, self.ttl_ms, now, wall_origin);
        let Some((due, deadline)) = moved else {
            return false;
        };
        self.deadline = deadline;
        self.place.due = due;
        self.level = self.content.priority;
        self.rises = self.first_rise(Time::ZERO);
        self.stage = if due > now {
            Stage::Scheduled
        } else {
            Stage::Blocked
        };
        true
    }

    /// What happens to it next, and when.
    pub(super) fn next_timer(&self) -> Time {
        match self.stage {
            // A clock that was set back may move `at` behind the end of a merged event's time.
            Stage::Scheduled => self.place.due.min(self.deadline),
            Stage::Blocked | Stage::Waiting => self.rises.min(self.deadline),
            Stage::Packed => Time::NEVER,
        }
    }

    /// An event that rises at half its TTL rises again at half of what then remains, so that
    /// a low one reaches the top before its deadline and never starves.
    /// One that was accepted at `now` for another has its place, but a life of its own.
    pub(super) fn first_rise(&self, now: Time) -> Time {
        if self.level == Priority::High {
            Time::NEVER
        } else {
            self.halfway(self.place.due.max(now))
        }
    }

    pub(super) fn rise(&mut self) {
        let next = self.halfway(self.rises);
        self.level = self.level.raised();
        self.rises = if self.level == Priority::High {
            Time::NEVER
        } else {
            next
        };
    }

    /// After a merge: the item rises with whichever event of it would rise first, and does
    /// so before a deadline that came nearer.
    pub(super) fn reschedule_rise(&mut self, now: Time) {
        if self.level != Priority::High {
            self.rises = self.rises.min(self.halfway(self.place.due.max(now)));
        }
    }

    fn halfway(&self, from: Time) -> Time {
        from + self.deadline.since(from).scaled(0.5)
    }
}
