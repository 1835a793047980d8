//! The state of a channel's keys, for whoever asks, and taken back.

use std::sync::Arc;

use engine::{PublicState, StateEntry};

use super::channel::Channel;
use super::gateway::Gateway;
use super::unavailable::Unavailable;

/// The state of a channel at one moment.
#[derive(Debug)]
pub struct KeptState {
    /// No payload from this number on is in it.
    pub n: u64,
    /// Every key, in the order of their names.
    pub entries: Vec<StateEntry>,
}

impl Gateway {
    /// The newest state; none: the channel keeps none.
    #[must_use]
    pub fn state(&self, channel: &Arc<Channel>) -> Option<KeptState> {
        channel.with(&self.shared, |state| {
            let entries = state.queue.state()?;
            let n = state.queue.state_n();
            Some(KeptState { n, entries })
        })
    }

    /// What viewers are told of the state over HTTP. Where another node has the account, this one does not
    /// know what was sent.
    #[must_use]
    pub fn public_state(&self, channel: &Arc<Channel>) -> PublicState {
        let now = self.now();
        let is_here = channel.account.home().is_ok();
        match channel.with(&self.shared, |state| state.queue.public_state(now)) {
            PublicState::Told(_) if !is_here => PublicState::NotYet,
            told => told,
        }
    }

    /// Deletes a key of the state, or, without one, all of it. False: the channel keeps no state.
    ///
    /// # Errors
    /// As [`Gateway::durable`].
    pub async fn delete_state(
        &self,
        channel: &Arc<Channel>,
        key: Option<&str>,
    ) -> Result<bool, Unavailable> {
        let now = self.now();
        let (keeps, commits) = channel.change(&self.shared, |state| match key {
            Some(key) => state.queue.delete_state(now, key),
            None => state.queue.clear_state(now),
        })?;
        self.durable(commits).await.map(|()| keeps)
    }
}
