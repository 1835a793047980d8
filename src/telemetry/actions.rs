//! What operators did, as lines of the log at INFO: what, to which channel, by whose key and which
//! request. Whoever is on call reads here why a channel stands still.

use super::RequestId;

/// Who asked for something.
#[derive(Clone, Copy, Debug)]
pub struct Actor<'a> {
    /// The name of its key, or `anyone` where nobody needs one.
    pub key: &'a str,
    /// The id of its request.
    pub request: Option<&'a RequestId>,
}

/// What an operator did to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Stopped its calls.
    Paused,
    /// Let its calls go on.
    Resumed,
    /// Cancelled what was queued and matched: so many events.
    Purged(usize),
    /// Cancelled one event.
    Cancelled,
    /// Deleted a key of its state.
    DeletedKey,
    /// Deleted its state.
    ClearedState,
    /// Made it by API.
    Made,
    /// Changed it by API.
    Changed,
    /// Removed it by API.
    Removed,
}

impl Actor<'_> {
    /// Logs an action.
    pub fn did(self, action: Action, channel: &str) {
        let (key, request_id) = (self.key, self.request_id());
        match action {
            Action::Paused => tracing::info!(channel, key, request_id, "channel paused"),
            Action::Resumed => tracing::info!(channel, key, request_id, "channel resumed"),
            Action::Purged(events) => {
                tracing::info!(channel, events, key, request_id, "queued events purged");
            }
            Action::Cancelled => {
                tracing::info!(channel, key, request_id, "an event was cancelled");
            }
            Action::DeletedKey => {
                tracing::info!(channel, key, request_id, "a key of the state was deleted");
            }
            Action::ClearedState => tracing::info!(channel, key, request_id, "state deleted"),
            Action::Made => tracing::info!(channel, key, request_id, "channel made by API"),
            Action::Changed => tracing::info!(channel, key, request_id, "channel changed by API"),
            Action::Removed => tracing::info!(channel, key, request_id, "channel removed by API"),
        }
    }

    /// Logs that dead letters were replayed: so many accepted again, so many refused.
    pub fn replayed(self, accepted: usize, refused: usize) {
        let (key, request_id) = (self.key, self.request_id());
        tracing::info!(accepted, refused, key, request_id, "dead letters replayed");
    }

    /// Logs that dead letters were purged.
    pub fn purged_dead_letters(self, letters: usize) {
        let (key, request_id) = (self.key, self.request_id());
        tracing::info!(letters, key, request_id, "dead letters purged");
    }

    /// Logs that it asked for the configuration to be read again; what came of it is a line of its
    /// own.
    pub fn reloads(self) {
        let (key, request_id) = (self.key, self.request_id());
        tracing::info!(key, request_id, "configuration reload requested");
    }

    fn request_id(&self) -> &str {
        self.request.map_or("", RequestId::as_str)
    }
}
