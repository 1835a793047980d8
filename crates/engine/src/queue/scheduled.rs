//! Events with an `at`: moments of the wall clock, and what becomes of them when it is set.
//!
//! An event is due at `max(accepted, at)`, and its TTL runs from then on the monotonic clock. So
//! what is due already only changes if the clock is set back before its `at`: it waits again.

use super::Queue;
use crate::time::{Span, Time, Wall};

/// What is needed to place an item anew that has its place from an event with an `at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// The `at` of the event that gave the item its place.
    pub at: Wall,
    /// When that event was accepted.
    pub accepted: Time,
    /// The `at` of the latest event in the item, from which its TTL runs.
    pub latest_at: Option<Wall>,
    /// When that event was accepted.
    pub latest_accepted: Time,
}

impl Scheduled {
    pub(super) const fn new(at: Wall, accepted: Time) -> Self {
        Self {
            at,
            accepted,
            latest_at: Some(at),
            latest_accepted: accepted,
        }
    }

    /// When what was due at `due` is due by this wall clock, and its deadline; none if it stays
    /// as it is.
    pub(super) fn moved(
        &self,
        due: Time,
        ttl_ms: u32,
        now: Time,
        wall_origin: Wall,
    ) -> Option<(Time, Time)> {
        let moved = self.at.time(wall_origin).max(self.accepted);
        if moved == due || moved.max(due) <= now {
            return None;
        }
        let latest_at = self.latest_at.map(|at| at.time(wall_origin));
        let begins = latest_at.unwrap_or(Time::ZERO).max(self.latest_accepted);
        Some((moved, begins + Span::from_millis(u64::from(ttl_ms))))
    }
}

impl Queue {
    /// The wall clock at [`Time::ZERO`], as it was last told.
    #[must_use]
    pub const fn wall_origin(&self) -> Wall {
        self.wall_origin
    }

    /// The wall clock was `wall_origin` at [`Time::ZERO`], as is known by now: events with an
    /// `at` are placed anew. The answer is whether any was; then a journal needs a
    /// [`Queue::snapshot`], and whoever drives the queue asks for [`Queue::demand`].
    pub fn set_wall_origin(&mut self, now: Time, wall_origin: Wall) -> bool {
        if wall_origin == self.wall_origin {
            return false;
        }
        self.wall_origin = wall_origin;
        self.advance(now);
        let now = self.now;
        let policy = &self.policy;
        let order = self.order.get_mut();
        let moved = order.is_some_and(|order| order.place_anew(now, wall_origin, policy));
        if moved {
            self.stuck = false;
        }
        moved
    }
}
