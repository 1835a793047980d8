//! One dead letter: as it is written, as operators see it, and which are meant by a filter.

use std::sync::Arc;

use engine::{Content, Data, DeadLetter, Merge, Priority};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::clock::{BootId, Moment};
use crate::dispatch::last_error::LastError;
use crate::timestamp::rfc3339;

/// One dead letter, as operators see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownLetter {
    /// Greater than those of all letters that died before.
    pub id: u64,
    channel: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
    reason: String,
    at: String,
    at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<LastError>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    event: LetterEvent,
}

/// One dead letter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Letter {
    /// Greater than those of all letters before it that are kept.
    pub id: u64,
    /// The channel's ARN.
    pub channel: String,
    /// As in `cuegate_events_dead_lettered_total`.
    pub reason: String,
    /// When it died, in ms since 1970, by the wall clock as it is known now.
    pub at_ms: u64,
    /// The same on the clock of that boot, which nobody sets. Kept, and not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    died: Option<Died>,
    /// What the API last said about the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<LastError>,
    /// The payload it was sent in, if it was in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// The event.
    pub event: LetterEvent,
}

/// A moment of a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Died {
    boot: BootId,
    /// µs since it.
    micros: u64,
}

/// A wall clock that is set by less says nothing about moments in the past: it drifts, and it is
/// read a little later than the others.
const DRIFT_MS: u64 = 1000;

impl Letter {
    /// Of an event that died now. None: its data is no JSON, which no accepted event's is.
    pub(super) fn of(
        id: u64,
        channel: &str,
        dead: &DeadLetter,
        error: Option<&LastError>,
        now: &Moment,
    ) -> Option<Self> {
        Some(Self {
            id,
            channel: channel.to_owned(),
            reason: dead.reason.name().to_owned(),
            at_ms: u64::try_from(now.wall.micros() / 1000).unwrap_or(0),
            died: now.boot.map(|(boot, micros)| Died { boot, micros }),
            error: error.cloned(),
            n: dead.n,
            event: LetterEvent::of(&dead.content)?,
        })
    }

    /// Without what is kept and not told.
    pub(super) fn told(&self) -> Self {
        Self {
            died: None,
            ..self.clone()
        }
    }

    /// As operators see it, under the alias that its channel has now.
    #[must_use]
    pub fn shown(self, alias: Option<&str>) -> ShownLetter {
        ShownLetter {
            id: self.id,
            channel: self.channel,
            alias: alias.map(str::to_owned),
            reason: self.reason,
            at: rfc3339(i64::try_from(self.at_ms).unwrap_or(i64::MAX)),
            at_ms: self.at_ms,
            error: self.error,
            n: self.n,
            event: self.event,
        }
    }

    /// Corrects when it died, if that was in this boot and the wall clock was set since; whether
    /// it did.
    pub(super) fn correct(&mut self, now: &Moment) -> bool {
        let Some((died, (boot, micros))) = self.died.zip(now.boot) else {
            return false;
        };
        if died.boot != boot {
            return false;
        }
        let ago = i64::try_from(micros.saturating_sub(died.micros)).unwrap_or(i64::MAX);
        let at_ms = now.wall.micros().saturating_sub(ago) / 1000;
        let at_ms = u64::try_from(at_ms).unwrap_or(0);
        let moved = at_ms.abs_diff(self.at_ms) > DRIFT_MS;
        if moved {
            self.at_ms = at_ms;
        }
        moved
    }
}

/// The event of a letter, as its producer wrote it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LetterEvent {
    data: Box<RawValue>,
    /// The data is a string that leaves byte for byte: it came in as an AWS client's call.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    verbatim: bool,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    merge: Option<String>,
    priority: String,
}

impl LetterEvent {
    fn of(content: &Content) -> Option<Self> {
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        let data = match &content.data {
            Data::Json(text) => RawValue::from_string(text.to_string()),
            Data::Verbatim(text) => serde_json::value::to_raw_value(&**text),
        };
        Some(Self {
            data: data.ok()?,
            verbatim: matches!(content.data, Data::Verbatim(_)),
            kind: text(&content.kind),
            id: text(&content.id),
            key: text(&content.key),
            merge: content.merge.map(|merge| merge.name().to_owned()),
            priority: content.priority.name().to_owned(),
        })
    }

    /// What the event said.
    pub(in crate::dispatch) fn content(&self) -> Content {
        let text = |text: &Option<String>| text.as_deref().map(Into::into);
        let data = if self.verbatim {
            let string: String = serde_json::from_str(self.data.get()).unwrap_or_default();
            Data::Verbatim(string.into())
        } else {
            Data::Json(self.data.get().into())
        };
        Content {
            kind: text(&self.kind),
            id: text(&self.id),
            key: text(&self.key),
            merge: self.merge.as_deref().and_then(Merge::from_name),
            priority: Priority::from_name(&self.priority).unwrap_or_default(),
            ..Content::new(data)
        }
    }
}

/// Which letters are meant; what is not given does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// One letter.
    pub id: Option<u64>,
    /// A channel's ARN.
    pub channel: Option<String>,
    /// A reason.
    pub reason: Option<String>,
}

impl LetterFilter {
    pub(super) fn fits(&self, letter: &Letter) -> bool {
        self.id.is_none_or(|id| id == letter.id)
            && self
                .channel
                .as_ref()
                .is_none_or(|arn| *arn == letter.channel)
            && self
                .reason
                .as_ref()
                .is_none_or(|reason| *reason == letter.reason)
    }
}
