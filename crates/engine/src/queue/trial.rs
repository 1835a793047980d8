//! All or none: events are taken in one after another, and taken back if one is refused.
//!
//! What a trial costs depends on the events in it and on what they evict or merge with, and not
//! on how much is queued: each change notes what takes it back. Time does not pass meanwhile.

use std::sync::Arc;

use super::Queue;
use super::gate::Gate;
use super::ids::{Entry, Settled};
use super::item::Item;
use super::ledger::Ledger;
use crate::time::Time;

/// What takes the changes since [`Queue::begin`] back.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    ledger: Ledger,
    bytes: usize,
    stuck: bool,
    /// At the beginning no event was let through to an offline stream.
    pub(super) is_shut: bool,
    /// Ends, dead letters, receipts and changes that nobody had taken at the beginning.
    ended: usize,
    dead: usize,
    receipts: usize,
    changes: usize,
    steps: Vec<Step>,
    /// Ids whose events ended meanwhile.
    settled: Vec<Settled>,
}

/// One change, with what was there before.
#[derive(Clone, Debug)]
enum Step {
    Inserted(u32),
    Removed {
        index: u32,
        item: Box<Item>,
        /// How many of its key could be packed because of that.
        unblocked: u32,
    },
    Changed {
        index: u32,
        before: Box<Item>,
    },
    Id {
        id: Arc<str>,
        before: Option<Entry>,
    },
}

impl Queue {
    /// Begins a trial: everything that [`Queue::accept`] does from now on can be taken back.
    /// It must end with [`Queue::commit`] or [`Queue::roll_back`] before anything else is done
    /// with the queue.
    pub fn begin(&mut self, now: Time) {
        self.advance(now);
        let is_shut = match self.gate() {
            Gate::Open => false,
            Gate::Shut => true,
            Gate::Probe => self.order.is_anything_waiting(),
        };
        self.trial = Some(Box::new(Trial {
            ledger: self.ledger.clone(),
            bytes: self.bytes,
            stuck: self.stuck,
            is_shut,
            ended: self.news.ended.len(),
            dead: self.news.dead.len(),
            receipts: self.news.receipts.len(),
            changes: self.changes.as_ref().map_or(0, Vec::len),
            steps: Vec::new(),
            settled: Vec::new(),
        }));
    }

    /// What was accepted since [`Queue::begin`] stays.
    pub fn commit(&mut self) {
        if let Some(trial) = self.trial.take() {
            for settled in trial.settled {
                self.ids.settle(settled);
            }
            self.release_if_empty();
        }
    }

    /// The queue is as it was at [`Queue::begin`], but for numbers of events that are not given
    /// again.
    pub fn roll_back(&mut self) {
        let Some(trial) = self.trial.take() else {
            return;
        };
        for step in trial.steps.into_iter().rev() {
            self.take_back(step);
        }
        self.ledger = trial.ledger;
        self.bytes = trial.bytes;
        self.stuck = trial.stuck;
        self.tell(|news| {
            news.ended.truncate(trial.ended);
            news.dead.truncate(trial.dead);
            news.receipts.truncate(trial.receipts);
        });
        if let Some(changes) = &mut self.changes {
            changes.truncate(trial.changes);
        }
        self.release_if_empty();
    }

    fn take_back(&mut self, step: Step) {
        match step {
            Step::Inserted(index) => {
                self.leave_line(index);
                let (item, _) = self.order.remove(index, &self.policy);
                self.give_back(item.producer, item.content.bytes());
            }
            Step::Removed {
                index,
                item,
                unblocked,
            } => {
                self.order.reinsert(index, *item, unblocked, &self.policy);
                self.take_share_back(index);
            }
            Step::Changed { index, before } => {
                self.leave_line(index);
                let item = &self.order.items[index];
                let (producer, bytes) = (item.producer, item.content.bytes());
                self.give_back(producer, bytes);
                self.order.change_back(index, *before, &self.policy);
                self.take_share_back(index);
            }
            Step::Id { id, before } => self.ids.put_back(id, before),
        }
    }

    fn take_share_back(&mut self, index: u32) {
        if self.order.items[index].producer.is_some() {
            self.shares.add_back(index, &mut self.order.items);
        }
    }

    pub(super) fn note_inserted(&mut self, index: u32) {
        if let Some(trial) = &mut self.trial {
            trial.steps.push(Step::Inserted(index));
        }
    }

    pub(super) fn note_removed(&mut self, index: u32, item: &Item, unblocked: u32) {
        if let Some(trial) = &mut self.trial {
            trial.steps.push(Step::Removed {
                index,
                item: Box::new(item.clone()),
                unblocked,
            });
        }
    }

    /// The item is about to be changed by a merge.
    pub(super) fn note_change(&mut self, index: u32) {
        if let Some(trial) = &mut self.trial {
            let before = Box::new(self.order.items[index].clone());
            trial.steps.push(Step::Changed { index, before });
        }
    }

    /// What is known of the id is about to change.
    pub(super) fn note_id(&mut self, id: &Arc<str>) {
        if let Some(trial) = &mut self.trial {
            let before = self.ids.entry(id).cloned();
            let id = Arc::clone(id);
            trial.steps.push(Step::Id { id, before });
        }
    }

    /// The event of an id ended: it is remembered from now on, or from the commit on.
    pub(super) fn settle_id(&mut self, settled: Settled) {
        match &mut self.trial {
            Some(trial) => trial.settled.push(settled),
            None => self.ids.settle(settled),
        }
    }
}
