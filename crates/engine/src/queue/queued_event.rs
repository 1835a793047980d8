//! A queued event, as a journal keeps it.

use super::item::Item;
use super::scheduled::Scheduled;
use crate::event::{Content, Priority};
use crate::time::{Time, Wall};

/// A queued event, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedEvent {
    /// Its number: each acceptance has its own, later ones have greater ones; below 2^53.
    pub seq: u64,
    /// The number that gives it its place: its own, or that of the first event merged in it.
    pub place_seq: u64,
    /// `max(accepted, at)` of the event that gave it its place.
    pub due: Time,
    /// Set if that event had an `at`: `due` moves when the wall clock is set.
    pub scheduled: Option<Scheduled>,
    /// It leaves before this moment or has expired.
    pub deadline: Time,
    /// Time to live of the latest event in it, in ms.
    pub ttl_ms: u32,
    /// What it says.
    pub content: Content,
    /// Its priority as it is now: it rises with age.
    pub level: Priority,
    /// When it next rises; [`Time::NEVER`] if it does not.
    pub rises: Time,
    /// The end of its id's dedup window. `None`: it has no id, or its id belongs to a later
    /// event by now.
    pub dedup_until: Option<Time>,
    /// A payload with it in it was sent before.
    pub sent: bool,
}

impl QueuedEvent {
    pub(super) fn of(item: &Item, dedup_until: Option<Time>) -> Self {
        Self {
            seq: item.id_seq,
            place_seq: item.place.seq,
            due: item.place.due,
            scheduled: item.scheduled.as_deref().copied(),
            deadline: item.deadline,
            ttl_ms: item.ttl_ms,
            content: item.content.clone(),
            level: item.level,
            rises: item.rises,
            dedup_until,
            sent: item.sent,
        }
    }

    /// When it is due and when it has lived, at `now` and by this wall clock.
    #[must_use]
    pub fn placed(&self, now: Time, wall_origin: Wall) -> (Time, Time) {
        let scheduled = self.scheduled.filter(|_| !self.sent);
        scheduled
            .and_then(|scheduled| scheduled.moved(self.due, self.ttl_ms, now, wall_origin))
            .unwrap_or((self.due, self.deadline))
    }
}
