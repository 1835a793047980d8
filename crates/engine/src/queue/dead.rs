//! Dead letters with all they said: for whoever keeps them.

use super::Queue;
use super::item::Item;
use super::ledger::DeadLetterReason;
use crate::event::{Content, Event};
use crate::time::Time;

/// An event that can never be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// What it said.
    pub content: Content,
    /// `max(accepted, at)`.
    pub due: Time,
    /// Why.
    pub reason: DeadLetterReason,
    /// The number of the payload it died in, if it was in one.
    pub n: Option<u64>,
}

impl Queue {
    /// Whether any event became a dead letter since they were last taken.
    #[must_use]
    pub fn has_dead(&self) -> bool {
        self.news.get().is_some_and(|news| !news.dead.is_empty())
    }

    /// The events that became dead letters since this was last asked. Nothing else bounds
    /// them: whoever drives the queue takes them every time.
    pub fn take_dead(&mut self) -> Vec<DeadLetter> {
        self.tell(|news| std::mem::take(&mut news.dead))
    }

    pub(super) fn keep_dead(&mut self, item: &Item, reason: DeadLetterReason, n: Option<u64>) {
        self.news.dead.push(DeadLetter {
            content: item.content.clone(),
            due: item.place.due,
            reason,
            n,
        });
    }

    /// One that was never queued.
    pub(super) fn keep_dead_on_arrival(
        &mut self,
        event: &Event,
        due: Time,
        reason: DeadLetterReason,
    ) {
        self.news.dead.push(DeadLetter {
            content: event.content.clone(),
            due,
            reason,
            n: None,
        });
    }
}
