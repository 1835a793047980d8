//! Stream keys and sessions as the API shows them.
//!
//! Plain data, shared rather than copied, and saved in this form.

use super::document::Document;
use super::settings::{Settings, Tags};
use crate::playback::Facts;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StreamKey {
    pub(crate) arn: Arc<str>,
    /// What an encoder connects with.
    pub(crate) value: Arc<str>,
    pub(crate) channel_arn: Arc<str>,
    pub(crate) tags: Tags,
}

/// A stream, live or over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// Counts the channel's sessions from 1.
    pub(crate) number: u64,
    pub(crate) stream_id: Arc<str>,
    /// When it went live; while it is starting, when its encoder connected.
    pub(crate) start_us: u64,
    /// Its encoder is connected, and it is not live yet.
    pub(crate) starting: bool,
    /// `None` while it is live.
    pub(crate) end_us: Option<u64>,
    /// It ended by a failure.
    pub(crate) failed: bool,
    pub(crate) health: Health,
    /// As it was when the stream began.
    pub(crate) channel: Arc<Settings>,
    pub(crate) recording: Option<Arc<Document>>,
    pub(crate) slate: Option<Arc<Document>>,
    /// What happened to it, the latest last.
    pub(crate) events: Vec<SessionEvent>,
    /// Of the encoder that streams; 0 if it gave none.
    pub(crate) priority: u32,
    pub(crate) takeovers: u32,
    /// What its encoder sends, if it is a real one and that is known by now.
    pub(crate) facts: Option<Facts>,
}

/// Something that happened to a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionEvent {
    pub(crate) time_us: u64,
    /// The type of the event.
    pub(crate) kind: String,
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
}

/// What the service thinks of the incoming video.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Health {
    #[default]
    Healthy,
    Starving,
    Unknown,
}
