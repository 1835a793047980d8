//! The steps of a stream's life, and how long they take.

use super::resources::Health;
use crate::arn::ChannelArn;
use serde::{Deserialize, Serialize};

/// How long a stream takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Life {
    /// From `Session Created` to `Stream Start`, when the channel is live.
    pub(crate) stream_start_ms: u64,
    /// From the first to the second of `Stream End` and `Session Ended`.
    pub(crate) end_ms: u64,
    /// `Session Ended` comes before `Stream End`, as it may.
    pub(crate) session_ended_first: bool,
}

/// What happens to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    SessionCreated,
    StreamStart,
    StreamFailure,
    StreamEnd,
    SessionEnded,
    Health(Health),
    Takeover,
    TakeoverFailure(&'static str),
}

/// A step that waits for its time.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) channel: ChannelArn,
    /// The session's number.
    pub(super) session: u64,
    pub(super) step: Step,
}
