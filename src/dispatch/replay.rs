//! Dead letters, as operators deal with them: list, replay, purge.

use std::sync::PoisonError;

use engine::Refusal;

use super::gateway::Gateway;
use super::letters::{Letter, LetterFilter};
use super::unavailable::Unavailable;
use crate::journal::Ticket;

/// What became of dead letters that were replayed.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Accepted again.
    pub accepted: usize,
    /// Ids of those that were not, and why.
    pub refused: Vec<(u64, NotReplayed)>,
}

/// Why a dead letter was not accepted again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReplayed {
    /// Its channel takes no events.
    Channel(Unavailable),
    /// Its queue did not take it.
    Queue(Refusal),
}

impl Gateway {
    /// Up to `limit` dead letters after the one of that id, oldest first.
    #[must_use]
    pub fn dead_letters(
        &self,
        filter: &LetterFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Vec<Letter> {
        self.shared.letters.list(filter, after, limit)
    }

    /// How many dead letters there are.
    #[must_use]
    pub fn dead_letter_count(&self) -> usize {
        self.shared.letters.len()
    }

    /// Accepts the events of dead letters once more, under their ids but with fresh TTLs. Those
    /// that are refused stay.
    ///
    /// A letter is forgotten when its event is accepted, before anything is waited for: a replay
    /// that is broken off, or a second one, does not send it twice.
    ///
    /// # Errors
    /// As [`Gateway::durable`]: what was accepted is queued all the same.
    pub async fn replay(&self, filter: &LetterFilter) -> Result<Replayed, Unavailable> {
        let (replayed, ticket) = self.replay_now(filter);
        self.durable(ticket).await?;
        Ok(replayed)
    }

    fn replay_now(&self, filter: &LetterFilter) -> (Replayed, Ticket) {
        // One at a time, from the look at the letters until they are forgotten.
        let _one = self
            .replaying
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut replayed = Replayed::default();
        let mut last = Ticket::NONE;
        for letter in self.dead_letters(filter, None, usize::MAX) {
            let answer = self.channel(&letter.channel).and_then(|channel| {
                self.check_room()?;
                let now = self.now();
                Ok(channel.change(&self.shared, |state| {
                    state.queue.accept_again(now, letter.event.content().into())
                }))
            });
            let why = match answer {
                Ok((Ok(_), ticket)) => {
                    last = last.max(ticket);
                    replayed.accepted += self.shared.letters.remove([letter.id]);
                    continue;
                }
                Ok((Err(refusal), _)) => NotReplayed::Queue(refusal),
                Err(refused) => NotReplayed::Channel(refused),
            };
            replayed.refused.push((letter.id, why));
        }
        (replayed, last.max(self.shared.journal.mark_shelf()))
    }

    /// Forgets dead letters; the answer is how many there were.
    ///
    /// # Errors
    /// As [`Gateway::durable`].
    pub async fn purge_dead_letters(&self, filter: &LetterFilter) -> Result<usize, Unavailable> {
        let letters = self.dead_letters(filter, None, usize::MAX);
        self.forget_letters(letters.into_iter().map(|letter| letter.id))
            .await
    }

    async fn forget_letters(
        &self,
        ids: impl IntoIterator<Item = u64>,
    ) -> Result<usize, Unavailable> {
        let forgotten = self.shared.letters.remove(ids);
        self.durable(self.shared.journal.mark_shelf()).await?;
        Ok(forgotten)
    }
}
