//! The ends of events with an id, for those who want receipts. Nothing is collected where nobody does.

use std::sync::Arc;

use super::Queue;
use super::ledger::End;
use crate::time::Wall;

/// The end of an event that has an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The event's id.
    pub id: Arc<str>,
    /// How it ended.
    pub end: End,
    /// The `n` of the payload it was in at the end, if it was in one; below 2^53.
    pub n: Option<u64>,
    /// When it ended.
    pub at: Wall,
    /// Of a merged event: the id of the one that took it in, if that has one. It ends as well, with a
    /// receipt of its own.
    pub into: Option<Arc<str>>,
}

impl Queue {
    /// Collects receipts from now on, or no longer. Whoever asks for them takes them after every call:
    /// nothing else bounds how many there are.
    pub fn give_receipts(&mut self, gives: bool) {
        self.gives_receipts = gives;
        if !gives {
            self.take_receipts();
        }
    }

    /// The receipts since this was last asked, in the order in which the events ended.
    pub fn take_receipts(&mut self) -> Vec<Receipt> {
        self.tell(|news| std::mem::take(&mut news.receipts))
    }

    /// An event of that id ended.
    pub(super) fn note_receipt(
        &mut self,
        id: &Arc<str>,
        end: End,
        n: Option<u64>,
        into: Option<&Arc<str>>,
    ) {
        if self.gives_receipts {
            self.news.receipts.push(Receipt {
                id: Arc::clone(id),
                end,
                n,
                at: self.now.wall(self.wall_origin),
                into: into.cloned(),
            });
        }
    }
}
