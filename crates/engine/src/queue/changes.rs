//! What changed, for a journal: enough to build the queue again after a crash.
//!
//! Recorded under the channel's lock as values that share the event's own text, and taken
//! by whoever writes them down; how they are encoded, and when they are durable, is none of
//! the queue's business. What they make together is `rebuild`'s.

use std::sync::Arc;

use super::Queue;
use super::ledger::Fate;
use super::queued_event::QueuedEvent;
use super::slices::Slices;
use crate::state::StateChange;
use crate::time::Time;

/// What must be kept so that a queue can be built again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An event was accepted and is queued. A merge ends the earlier event ([`End::Merged`](super::End::Merged))
    /// and queues what the two make under the later one's number, at the earlier one's place.
    Queued(QueuedEvent),
    /// The event of that number ended. (One dropped while offline was never queued.)
    Ended {
        /// [`QueuedEvent::seq`].
        seq: u64,
        /// How it ended.
        fate: Fate,
    },
    /// A payload is about to be sent. Recorded again before a later send only if
    /// [`Change::Returned`] was.
    Packed {
        /// Its number, which it keeps: of slices the first one's.
        n: u64,
        /// The metadata, whole.
        text: Arc<str>,
        /// The events in it: their [`QueuedEvent::seq`], as they stand in the payload.
        seqs: Vec<u64>,
        /// How it leaves in slices, if it does.
        slices: Option<Slices>,
    },
    /// The payload was certainly not taken and waits to be sent again. Recorded only where an
    /// unknown outcome ends its events ([`crate::OnUnknown::Drop`]): without it, a payload
    /// that was out at the crash may have been taken.
    Returned {
        /// The payload's number.
        n: u64,
    },
    /// The payload will not be sent again: its events are queued as they were before it.
    Dissolved {
        /// The payload's number, which no other will have.
        n: u64,
    },
    /// An id whose event is not queued and that is still a duplicate: in a snapshot, and
    /// where an event was never queued.
    Remembered {
        /// The id.
        id: Arc<str>,
        /// The end of its dedup window.
        until: Time,
        /// How its event ended.
        fate: Fate,
    },
    /// The state of the channel's keys changed.
    State(StateChange),
}

impl Queue {
    /// Records every [`Change`] from now on, until it is taken. Off in a new queue.
    pub fn keep_changes(&mut self) {
        if self.changes.is_none() {
            let keeping = self.keeping.as_ref();
            let changes = keeping.map(|keeping| keeping.snapshot());
            let changes = changes.unwrap_or_default();
            self.changes = Some(changes.into_iter().map(Change::State).collect());
        }
    }

    /// Whether anything changed since changes were last taken.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.changes
            .as_ref()
            .is_some_and(|changes| !changes.is_empty())
    }

    /// What changed since this was last asked, in its order.
    pub fn take_changes(&mut self) -> Vec<Change> {
        self.changes
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Everything alive, as the changes that would make it: events, payloads out, and ids
    /// that are remembered, in the order they will be forgotten in.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Change> {
        let mut events: Vec<QueuedEvent> = self
            .order
            .items
            .iter()
            .map(|(_, item)| {
                let id = item.content.id.as_deref();
                let until = id.and_then(|id| self.ids.until(id, item.id_seq));
                QueuedEvent::of(item, until)
            })
            .collect();
        // As they were accepted: the later event of an id has it.
        events.sort_unstable_by_key(|kept| kept.seq);
        let mut changes: Vec<Change> = events.into_iter().map(Change::Queued).collect();
        for out in &self.outs {
            changes.push(out.packed(&self.order));
            if out.returned {
                changes.push(Change::Returned { n: out.first_n() });
            }
        }
        let remembered = self.ids.remembered(self.now);
        // There may be many, and nothing else says how many: a list that doubles takes three times as much.
        changes.reserve_exact(remembered.size_hint().1.unwrap_or(0));
        changes.extend(remembered.map(|(id, until, fate)| Change::Remembered {
            id: Arc::clone(id),
            until,
            fate,
        }));
        let state = self.keeping.as_ref().map(|keeping| keeping.snapshot());
        changes.extend(state.into_iter().flatten().map(Change::State));
        changes
    }

    pub(super) const fn is_recording(&self) -> bool {
        self.changes.is_some()
    }

    pub(super) fn record(&mut self, change: Change) {
        if let Some(changes) = &mut self.changes {
            changes.push(change);
        }
    }

    /// Records that the item of that place in memory is queued.
    pub(super) fn record_queued(&mut self, index: u32, dedup_until: Option<Time>) {
        if !self.is_recording() {
            return;
        }
        if let Some(item) = self.order.item(index) {
            let kept = QueuedEvent::of(item, dedup_until.filter(|_| item.content.id.is_some()));
            self.record(Change::Queued(kept));
        }
    }
}
