//! The other resources as the API shows them: stream keys, key pairs, recording
//! configurations, sessions.
//!
//! Plain data, shared rather than copied, and saved in this form.

use super::settings::Settings;
use crate::limits::RECORDING_CONFIGURATION_CREATION_US;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) type Tags = BTreeMap<String, String>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StreamKey {
    pub(crate) arn: Arc<str>,
    /// What an encoder connects with.
    pub(crate) value: Arc<str>,
    pub(crate) channel_arn: Arc<str>,
    pub(crate) tags: Tags,
}

/// The public part of a key pair, of which only the fingerprint is ever shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyPair {
    pub(crate) arn: Arc<str>,
    pub(crate) name: String,
    pub(crate) fingerprint: String,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Recording {
    pub(crate) arn: Arc<str>,
    pub(crate) created_us: u64,
    #[serde(flatten)]
    pub(crate) input: RecordingInput,
}

/// What a recording configuration is made of, with the defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordingInput {
    pub(crate) name: String,
    pub(crate) destination_configuration: Destination,
    pub(crate) tags: Tags,
    pub(crate) thumbnail_configuration: Thumbnails,
    pub(crate) recording_reconnect_window_seconds: u32,
    pub(crate) rendition_configuration: Renditions,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Destination {
    /// Left out by a caller, it is left out again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) s3: Option<Bucket>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bucket {
    pub(crate) bucket_name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Thumbnails {
    pub(crate) recording_mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target_interval_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resolution: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) storage: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Renditions {
    pub(crate) rendition_selection: String,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) renditions: Vec<String>,
}

impl Recording {
    /// `CREATING`, and a moment later `ACTIVE`.
    pub(crate) fn state(&self, now_us: u64) -> &'static str {
        if now_us.saturating_sub(self.created_us) < RECORDING_CONFIGURATION_CREATION_US {
            "CREATING"
        } else {
            "ACTIVE"
        }
    }
}

/// A stream, live or over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// Counts the channel's sessions from 1.
    pub(crate) number: u64,
    pub(crate) stream_id: Arc<str>,
    pub(crate) start_us: u64,
    /// `None` while it is live.
    pub(crate) end_us: Option<u64>,
    /// It ended by a failure.
    pub(crate) failed: bool,
    pub(crate) health: Health,
    /// As it was when the stream began.
    pub(crate) channel: Arc<Settings>,
    pub(crate) recording: Option<Arc<Recording>>,
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

impl Health {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "HEALTHY" => Some(Self::Healthy),
            "STARVING" => Some(Self::Starving),
            "UNKNOWN" => Some(Self::Unknown),
            _ => None,
        }
    }
}
