//! Events offered, replaced and taken back, and when that lasts.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use engine::{Admission, Cancelled, Event, Refusal, Replaced, Time};

use super::channel::{Channel, State};
use super::commits::Commits;
use super::gateway::Gateway;
use super::standing::Standing;
use super::unavailable::Unavailable;
use crate::telemetry::spans::Origin;

/// What became of events that are accepted all or none: the admissions in order, or the index
/// of the first that was refused, and why.
pub type AllOrNone = Result<(Vec<Admission>, Standing, Commits), (usize, Refusal)>;

impl Gateway {
    /// Offers events to a channel in order, under one lock; one result an event, and they are gone from
    /// `events`. Nothing of it is promised
    /// before the commits are done ([`Gateway::durable`]).
    ///
    /// # Errors
    /// [`Unavailable`]: no event was looked at, and all are left.
    pub fn offer(
        &self,
        channel: &Arc<Channel>,
        events: &mut Vec<Event>,
        results: &mut Vec<Result<Admission, Refusal>>,
    ) -> Result<(Standing, Commits), Unavailable> {
        self.check_room(channel)?;
        let now = self.now();
        let origin = Origin::current();
        channel.change(&self.shared, |state| {
            let first = state.queue.next_sequence();
            results.extend(events.drain(..).map(|event| state.queue.accept(now, event)));
            state.note(origin, first);
            standing(state, now)
        })
    }

    /// Offers events to any channels, all or none.
    ///
    /// # Errors
    /// [`Unavailable`]: no event was looked at.
    pub fn offer_all(&self, events: Vec<(Arc<Channel>, Event)>) -> Result<AllOrNone, Unavailable> {
        let mut channels: Vec<&Arc<Channel>> = events.iter().map(|(channel, _)| channel).collect();
        // Always locked in the order of their ids: no two requests wait for each other.
        channels.sort_by_key(|channel| channel.id);
        channels.dedup_by_key(|channel| channel.id);
        let channels: Vec<Arc<Channel>> = channels.into_iter().cloned().collect();
        for channel in &channels {
            self.check_room(channel)?;
        }
        let mut locked = channels
            .iter()
            .map(|channel| channel.lock_here(&self.shared))
            .collect::<Result<Vec<_>, _>>()?;
        let now = self.now();
        let origin = Origin::current();
        let firsts: Vec<u64> = locked
            .iter_mut()
            .map(|state| {
                state.queue.begin(now);
                state.queue.next_sequence()
            })
            .collect();
        let mut admissions = Vec::with_capacity(events.len());
        for (index, (channel, event)) in events.into_iter().enumerate() {
            let Ok(at) = channels.binary_search_by_key(&channel.id, |channel| channel.id) else {
                continue;
            };
            match locked[at].queue.accept(now, event) {
                Ok(admission) => admissions.push(admission),
                Err(refusal) => {
                    for state in &mut locked {
                        state.queue.roll_back();
                    }
                    return Ok(Err((index, refusal)));
                }
            }
        }
        let (mut standings, mut commits) = (Standing::default(), Commits::default());
        for (state, first) in locked.iter_mut().zip(firsts) {
            state.queue.commit();
            state.note(origin, first);
            commits = commits.and(state.commits());
            standings = standings.and(standing(state, now));
        }
        Ok(Ok((admissions, standings, commits)))
    }

    /// Returns when what was offered or taken back will outlive the process, as far as the
    /// journal's mode promises.
    ///
    /// # Errors
    /// [`Unavailable::JournalFails`]: nothing is promised. Events may still be delivered.
    pub async fn durable(&self, commits: Commits) -> Result<(), Unavailable> {
        commits.done().await
    }

    /// Offers an event in the place of the queued one of its id.
    ///
    /// # Errors
    /// [`Unavailable`]: the event was not looked at.
    pub fn replace(
        &self,
        channel: &Arc<Channel>,
        event: Event,
    ) -> Result<Result<(Replaced, Standing, Commits), Refusal>, Unavailable> {
        self.check_room(channel)?;
        let now = self.now();
        let origin = Origin::current();
        let (replaced, commits) = channel.change(&self.shared, |state| {
            let first = state.queue.next_sequence();
            let replaced = state.queue.replace(now, event)?;
            state.note(origin, first);
            Ok((replaced, standing(state, now)))
        })?;
        Ok(replaced.map(|(replaced, standing)| (replaced, standing, commits)))
    }

    /// Takes an event back by its id.
    ///
    /// # Errors
    /// As [`Gateway::durable`].
    pub async fn cancel(&self, channel: &Arc<Channel>, id: &str) -> Result<Cancelled, Unavailable> {
        let now = self.now();
        let cancel = channel.change(&self.shared, |state| state.queue.cancel(now, id))?;
        self.durable(cancel.1).await.map(|()| cancel.0)
    }

    /// Takes back every queued event of that type and key (none: any).
    ///
    /// # Errors
    /// As [`Gateway::durable`].
    pub async fn purge(
        &self,
        channel: &Arc<Channel>,
        kind: Option<&str>,
        key: Option<&str>,
    ) -> Result<usize, Unavailable> {
        let now = self.now();
        let purge = channel.change(&self.shared, |state| state.queue.purge(now, kind, key))?;
        self.durable(purge.1).await.map(|()| purge.0)
    }

    /// Whether the queues may take more memory; ids are forgotten where they may not.
    #[must_use]
    pub fn has_queue_room(&self) -> bool {
        let limit = {
            let settings = self.settings.read();
            let settings = settings.unwrap_or_else(PoisonError::into_inner);
            settings.limits.queue_total_bytes
        };
        if self.shared.queued_bytes.load(Ordering::Relaxed) < limit {
            return true;
        }
        let remembered = self.remembered.lock();
        let mut remembered = remembered.unwrap_or_else(PoisonError::into_inner);
        remembered.make_room(&self.shared, &self.registry, limit)
    }

    pub(super) fn check_room(&self, channel: &Channel) -> Result<(), Unavailable> {
        channel.account.home()?.check_room()?;
        if self.has_queue_room() {
            Ok(())
        } else {
            Err(Unavailable::Overloaded("limits.queue_total_bytes"))
        }
    }
}

fn standing(state: &mut State, now: Time) -> Standing {
    let depth = state.queue.depth(now);
    let leaves_ms = depth.leaves_in.millis_ceil();
    Standing::told(depth.events, leaves_ms, state.is_held())
}
