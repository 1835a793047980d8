//! Room in the memory that all queues may take together. Before an event is refused for want of
//! it, ids of events that have ended are forgotten, the oldest first.
//!
//! What that costs is paid by what it frees: channels are lined up by their oldest ids once, and
//! lined up again only after enough was freed or some time has passed, so that no event ever pays
//! for a look at all channels. Never called with a channel locked.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};

use engine::{Span, Time};

use super::channel::Channel;
use super::gateway::Gateway;

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

impl Gateway {
    /// Whether the queues may take more memory; ids are forgotten where they may not.
    #[must_use]
    pub fn has_queue_room(&self) -> bool {
        let limit = self.queue_limit();
        let total = || self.shared.queued_bytes.load(Ordering::Relaxed);
        if total() < limit {
            return true;
        }
        let remembered = self.remembered.lock();
        let mut remembered = remembered.unwrap_or_else(PoisonError::into_inner);
        for _ in 0..ROUNDS_MAX {
            let over = (total() + 1).saturating_sub(limit);
            if over == 0 || !self.forget_some(&mut remembered, over + SPARE_BYTES) {
                break;
            }
        }
        total() < limit
    }

    /// Forgets ids of the channel that has the oldest; whether there was any.
    fn forget_some(&self, remembered: &mut Remembered, bytes: usize) -> bool {
        let now = self.now();
        if remembered.line.is_empty() {
            self.line_up(remembered, now);
        }
        while let Some(Reverse((_, at))) = remembered.line.pop() {
            let Some(channel) = remembered.channels[at].upgrade() else {
                continue;
            };
            let (freed, oldest) = channel.with(&self.shared, |state| {
                let freed = state.queue.forget_ids(now, bytes);
                (freed, state.queue.oldest_id())
            });
            remembered.freed += freed;
            let again = oldest.map(|oldest| Reverse((oldest, at)));
            remembered.line.extend(again);
            if freed > 0 {
                return true;
            }
        }
        false
    }

    /// Looks at all channels, unless that was done and has not paid for itself yet.
    fn line_up(&self, remembered: &mut Remembered, now: Time) {
        let has_paid = remembered.freed > 0 && remembered.freed >= remembered.known * BYTES_A_LOOK;
        let is_due = |looked| now.since(looked) >= LOOK_EVERY;
        if !has_paid && !remembered.looked.is_none_or(is_due) {
            return;
        }
        let channels = self.registry.channels();
        let oldest = |channel: &Arc<Channel>| {
            let oldest = channel.with(&self.shared, |state| state.queue.oldest_id());
            Some((oldest?, Arc::downgrade(channel)))
        };
        let found: Vec<_> = channels.iter().filter_map(oldest).collect();
        let line = found.iter().enumerate();
        *remembered = Remembered {
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
