//! Dead letters, as operators deal with them: list, replay, purge.

use std::sync::{Arc, PoisonError};

use engine::Refusal;

use super::commits::Commits;
use super::gateway::Gateway;
use super::letters::{Letter, LetterFilter};
use super::unavailable::Unavailable;
use crate::arn::ChannelArn;
use crate::telemetry::Transport;

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
        let homes = self.shared.homes.all();
        let lists = homes
            .iter()
            .map(|home| home.letters.list(filter, after, limit));
        let mut letters: Vec<Letter> = lists.flatten().collect();
        letters.sort_by_key(|letter| letter.id);
        letters.truncate(limit);
        letters
    }

    /// How many dead letters there are.
    #[must_use]
    pub fn dead_letter_count(&self) -> usize {
        let homes = self.shared.homes.all();
        homes.iter().map(|home| home.letters.len()).sum()
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
        let (replayed, commits) = self.replay_now(filter);
        self.durable(commits).await?;
        Ok(replayed)
    }

    fn replay_now(&self, filter: &LetterFilter) -> (Replayed, Commits) {
        // One at a time, from the look at the letters until they are forgotten.
        let _one = self
            .replaying
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut replayed = Replayed::default();
        let mut commits = Commits::default();
        for letter in self.dead_letters(filter, None, usize::MAX) {
            let answer = self.channel(&letter.channel).and_then(|channel| {
                self.check_room(&channel)?;
                let now = self.now();
                channel.change(&self.shared, |state| {
                    state.queue.accept_again(now, letter.event.content().into())
                })
            });
            let why = match answer {
                Ok((Ok(_), accepted)) => {
                    // The queue counts it again, as accepted or as a duplicate.
                    self.shared.meters.received(Transport::Http, 1);
                    let (forgotten, removed) = self.forget(std::slice::from_ref(&letter));
                    replayed.accepted += forgotten;
                    commits = commits.and(accepted).and(removed);
                    continue;
                }
                Ok((Err(refusal), _)) => NotReplayed::Queue(refusal),
                Err(refused) => NotReplayed::Channel(refused),
            };
            replayed.refused.push((letter.id, why));
        }
        (replayed, commits)
    }

    /// Forgets dead letters; the answer is how many there were.
    ///
    /// # Errors
    /// As [`Gateway::durable`].
    pub async fn purge_dead_letters(&self, filter: &LetterFilter) -> Result<usize, Unavailable> {
        let letters = self.dead_letters(filter, None, usize::MAX);
        let (forgotten, commits) = self.forget(&letters);
        self.durable(commits).await?;
        Ok(forgotten)
    }

    /// Forgets these letters; how many there still were, and what makes that last.
    fn forget(&self, letters: &[Letter]) -> (usize, Commits) {
        let (mut forgotten, mut commits) = (0, Commits::default());
        for home in self.shared.homes.all() {
            let its = letters.iter().filter(|letter| {
                let arn = letter.channel.parse::<ChannelArn>();
                let at = arn.map(|arn| self.shared.homes.of(arn.account(), arn.region()));
                matches!(at, Ok(Some(at)) if Arc::ptr_eq(&at, &home))
            });
            let removed = home.letters.remove(its.map(|letter| letter.id));
            if removed > 0 {
                forgotten += removed;
                commits = commits.and(home.mark_letters());
            }
        }
        (forgotten, commits)
    }
}
