//! Dead letters, as operators deal with them: list, replay, purge.

use engine::Refusal;

use super::gateway::{Gateway, Refused};
use super::letters::{Letter, LetterFilter};
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
    Channel(Refused),
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
    /// # Errors
    /// As [`Gateway::durable`]: none of them is forgotten then.
    pub async fn replay(&self, filter: &LetterFilter) -> Result<Replayed, Refused> {
        let mut replayed = Replayed::default();
        let mut ids = Vec::new();
        let mut last = Ticket::NONE;
        for letter in self.dead_letters(filter, None, usize::MAX) {
            let answer = self.channel(&letter.channel).and_then(|channel| {
                self.check_room()?;
                let now = self.now();
                Ok(channel.change(&self.shared, |state| {
                    state.queue.accept_again(now, letter.event.event())
                }))
            });
            match answer {
                Ok((Ok(_), ticket)) => {
                    ids.push(letter.id);
                    last = last.max(ticket);
                }
                Ok((Err(refusal), _)) => {
                    let why = NotReplayed::Queue(refusal);
                    replayed.refused.push((letter.id, why));
                }
                Err(refused) => {
                    let why = NotReplayed::Channel(refused);
                    replayed.refused.push((letter.id, why));
                }
            }
        }
        self.durable(last).await?;
        replayed.accepted = self.forget_letters(ids).await?;
        Ok(replayed)
    }

    /// Forgets dead letters; the answer is how many there were.
    ///
    /// # Errors
    /// As [`Gateway::durable`].
    pub async fn purge_dead_letters(&self, filter: &LetterFilter) -> Result<usize, Refused> {
        let letters = self.dead_letters(filter, None, usize::MAX);
        self.forget_letters(letters.into_iter().map(|letter| letter.id))
            .await
    }

    async fn forget_letters(&self, ids: impl IntoIterator<Item = u64>) -> Result<usize, Refused> {
        let forgotten = self.shared.letters.remove(ids);
        self.durable(self.shared.journal.mark_shelf()).await?;
        Ok(forgotten)
    }
}
