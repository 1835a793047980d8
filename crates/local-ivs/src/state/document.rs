//! Resources that are little more than what their maker said of them.
//!
//! What a kind has of its own is a [`Kind`]; the API's families have theirs.

use super::settings::{Settings, Tags};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A resource: its members are the API's, but for those that all kinds have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    pub(crate) arn: Arc<str>,
    #[serde(default)]
    pub(super) created_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) updated_us: Option<u64>,
    /// It could not be made, because `/_local/` said so.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) failed: bool,
    #[serde(default)]
    pub(crate) tags: Tags,
    #[serde(flatten)]
    pub(crate) members: Map<String, Value>,
}

/// By ARN.
pub(crate) type Documents = BTreeMap<Arc<str>, Arc<Document>>;

/// What is a kind's own.
pub(crate) struct Kind {
    /// In its ARNs: `ad-configuration`.
    pub(crate) arn: &'static str,
    /// In messages: `ad configurations`.
    pub(crate) words: &'static str,
    /// The most of an account in a region.
    pub(crate) quota: usize,
    /// A member that no two have alike, and the words for an attempt.
    pub(crate) unique: Option<(&'static str, &'static str)>,
    /// The ARN by which a channel refers to one.
    pub(crate) used: Option<fn(&Settings) -> &str>,
    pub(crate) states: Option<States>,
}

/// The states that a resource goes through by itself.
pub(crate) struct States {
    pub(crate) creating: &'static str,
    pub(crate) ready: &'static str,
    /// For a kind that can be updated.
    pub(crate) updating: Option<&'static str>,
    pub(crate) failed: &'static str,
    /// How long it is creating or updating, in microseconds.
    pub(crate) takes_us: u64,
}

impl Kind {
    /// The state of a document at a time, for a kind that has states.
    pub(crate) fn state(&self, document: &Document, now_us: u64) -> Option<&'static str> {
        let states = self.states.as_ref()?;
        let is_recent = |since: u64| now_us.saturating_sub(since) < states.takes_us;
        Some(match (document.updated_us, states.updating) {
            _ if document.failed => states.failed,
            _ if is_recent(document.created_us) => states.creating,
            (Some(updated_us), Some(updating)) if is_recent(updated_us) => updating,
            _ => states.ready,
        })
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}
