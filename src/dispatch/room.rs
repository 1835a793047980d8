//! Room in the memory that all queues may take together. Before an event is refused for want of
//! it, ids of events that have ended are forgotten, the oldest first.
//!
//! What that costs is paid by what it frees: channels are lined up by their oldest ids once, and
//! lined up again only after enough was freed or some time has passed, so that no event ever pays
//! for a look at all channels. Never called with a channel locked.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use engine::{Span, Time};

use super::channel::Channel;
use super::registry::Registry;
use super::shared::Shared;

/// Freed beyond what is needed, so that not every event has to make room: 100 events or so.
const SPARE_BYTES: usize = 64 << 10;

/// Channels that one request takes ids from: 10 ms at most, for a body of a mebibyte before it.
const ROUNDS_MAX: usize = 64;

/// Bytes that must be freed for each channel before they are all looked at again: a look takes
/// about as long as forgetting one id does.
const BYTES_A_LOOK: usize = 128;

/// They are looked at again after this time in any case, so that bounds heal by themselves.
const LOOK_EVERY: Span = Span::from_millis(500);

/// Channels that remember ids of events that have ended.
#[derive(Default)]
pub(super) struct Remembered {
    /// By the end of the window of the oldest id, as it was when it was looked at.
    line: BinaryHeap<Reverse<(Time, usize)>>,
    channels: Vec<Weak<Channel>>,
    looked: Option<Time>,
    /// Bytes freed since then.
    freed: usize,
    /// How many channels were looked at.
    known: usize,
}

impl Remembered {
    /// Forgets ids until the queues take less than `limit` bytes; whether they do.
    pub(super) fn make_room(&mut self, shared: &Shared, registry: &Registry, limit: usize) -> bool {
        let total = || shared.queued_bytes.load(Ordering::Relaxed);
        for _ in 0..ROUNDS_MAX {
            let over = (total() + 1).saturating_sub(limit);
            if over == 0 || !self.forget_some(shared, registry, over + SPARE_BYTES) {
                break;
            }
        }
        total() < limit
    }

    /// Forgets ids of the channel that has the oldest; whether there was any.
    fn forget_some(&mut self, shared: &Shared, registry: &Registry, bytes: usize) -> bool {
        let now = shared.clock.now();
        if self.line.is_empty() {
            self.line_up(shared, registry, now);
        }
        while let Some(Reverse((_, at))) = self.line.pop() {
            let Some(channel) = self.channels[at].upgrade() else {
                continue;
            };
            let (freed, oldest) = channel.with(shared, |state| {
                let freed = state.queue.forget_ids(now, bytes);
                (freed, state.queue.oldest_id())
            });
            self.freed += freed;
            let again = oldest.map(|oldest| Reverse((oldest, at)));
            self.line.extend(again);
            if freed > 0 {
                return true;
            }
        }
        false
    }

    /// Looks at all channels, unless that was done and has not paid for itself yet.
    fn line_up(&mut self, shared: &Shared, registry: &Registry, now: Time) {
        let has_paid = self.freed > 0 && self.freed >= self.known * BYTES_A_LOOK;
        let is_due = |looked| now.since(looked) >= LOOK_EVERY;
        if !has_paid && !self.looked.is_none_or(is_due) {
            return;
        }
        let channels = registry.channels();
        let oldest = |channel: &Arc<Channel>| {
            let oldest = channel.with(shared, |state| state.queue.oldest_id());
            Some((oldest?, Arc::downgrade(channel)))
        };
        let found: Vec<_> = channels.iter().filter_map(oldest).collect();
        let line = found.iter().enumerate();
        *self = Self {
            line: line
                .map(|(at, (oldest, _))| Reverse((*oldest, at)))
                .collect(),
            channels: found.into_iter().map(|(_, channel)| channel).collect(),
            looked: Some(now),
            freed: 0,
            known: channels.len(),
        };
    }
}
