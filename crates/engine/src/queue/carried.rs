//! What a payload told of the state, for when it ends.

use std::sync::Arc;

use serde_json::Value;

use crate::form;
use crate::state::Tail;

/// What a payload that is out told of the state.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried {
    /// Keys that it tells to be deleted.
    pub deletions: Vec<Arc<str>>,
    /// How many entries it has.
    pub entries: u64,
}

impl Carried {
    pub(super) fn of(tail: Tail) -> Self {
        Self {
            entries: tail.entries(),
            deletions: tail.deletions,
        }
    }

    /// What a payload told that was written down before a restart.
    pub(super) fn read(text: &str) -> Option<Box<Self>> {
        let decoded = form::decode(text);
        let plain = decoded.as_deref().unwrap_or(text);
        if !plain.contains(r#""s":["#) && !plain.contains(r#""c":["#) {
            return None;
        }
        let payload: Value = serde_json::from_str(plain).ok()?;
        let entries = payload.get("s").and_then(Value::as_array);
        let entries = entries.map_or(&[][..], Vec::as_slice);
        let deleted = entries.iter().filter(|entry| entry.get("x").is_some());
        let key = |entry: &Value| Some(entry.get("k")?.as_str()?.into());
        Some(Box::new(Self {
            entries: entries.len() as u64,
            deletions: deleted.filter_map(key).collect(),
        }))
    }
}
