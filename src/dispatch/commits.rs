//! What must be committed before anything is promised.

use std::sync::Arc;

use super::unavailable::Unavailable;
use crate::journal::{Failing, Journal, Ticket};

/// The commits that make a request last: one of each journal that it touched.
#[derive(Clone, Default)]
pub struct Commits {
    /// Nearly always the only one.
    first: Option<(Arc<Journal>, Ticket)>,
    more: Vec<(Arc<Journal>, Ticket)>,
}

impl Commits {
    pub(super) fn of(journal: &Arc<Journal>, ticket: Ticket) -> Self {
        Self {
            first: Some((Arc::clone(journal), ticket)),
            more: Vec::new(),
        }
    }

    /// Both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (journal, ticket) in other.first.into_iter().chain(other.more) {
            self.add(journal, ticket);
        }
        self
    }

    fn add(&mut self, journal: Arc<Journal>, ticket: Ticket) {
        let mut known = self.first.iter_mut().chain(&mut self.more);
        if let Some((_, last)) = known.find(|(known, _)| Arc::ptr_eq(known, &journal)) {
            *last = ticket.max(*last);
        } else if self.first.is_none() {
            self.first = Some((journal, ticket));
        } else {
            self.more.push((journal, ticket));
        }
    }

    /// Returns when a call that it is about may leave.
    pub(super) async fn recorded(&self) {
        for (journal, ticket) in self.first.iter().chain(&self.more) {
            journal.recorded(*ticket).await;
        }
    }

    /// Returns when all of it will outlive the process, as far as the journals promise.
    ///
    /// # Errors
    /// [`Unavailable::JournalFails`]: nothing is promised.
    pub(super) async fn done(self) -> Result<(), Unavailable> {
        for (journal, ticket) in self.first.iter().chain(&self.more) {
            let committed = journal.committed(*ticket).await;
            committed.map_err(|Failing| Unavailable::JournalFails)?;
        }
        Ok(())
    }
}
