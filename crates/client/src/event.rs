//! Events, as the gateway takes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::Error;

/// One event: its data, and what the gateway should know of it.
///
/// The gateway checks the values, and answers with what is wrong; the bounds are here so that a
/// caller need not look them up.
///
/// ```
/// # use cuegate_client::{Event, Merge, Priority};
/// # use std::time::Duration;
/// let event = Event::new(serde_json::json!({"home": 1}))?
///     .kind("score")
///     .key("score:home")
///     .merge(Merge::Sum)
///     .priority(Priority::High)
///     .ttl(Duration::from_secs(5));
/// # Ok::<(), cuegate_client::Error>(())
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    data: Box<RawValue>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merge: Option<Merge>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<Priority>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
}

/// How an event goes into the last queued event of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Merge {
    /// The latest data stays.
    Replace,
    /// Numbers add up: a number, or an object of numbers, field by field.
    Sum,
    /// The larger number stays, field by field.
    Max,
    /// The smaller number stays, field by field.
    Min,
    /// A merge patch (RFC 7396).
    Patch,
}

/// Which events leave first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Priority {
    /// Before the others.
    High,
    /// Without a wish.
    Normal,
    /// After the others.
    Low,
}

impl Event {
    /// An event with this data.
    ///
    /// # Errors
    /// [`Error::Usage`]: the data cannot be written as JSON, as a map whose keys are no strings.
    pub fn new(data: impl Serialize) -> Result<Self, Error> {
        serde_json::value::to_raw_value(&data)
            .map(Self::of)
            .map_err(|error| Error::Usage(format!("the data is not JSON: {error}")))
    }

    /// An event with this JSON text as its data. It stays as it is: digits, order and all.
    ///
    /// # Errors
    /// [`Error::Usage`]: the text is not JSON.
    pub fn from_json(data: impl Into<String>) -> Result<Self, Error> {
        RawValue::from_string(data.into())
            .map(Self::of)
            .map_err(|error| Error::Usage(format!("the data is not JSON: {error}")))
    }

    const fn of(data: Box<RawValue>) -> Self {
        Self {
            data,
            kind: None,
            id: None,
            key: None,
            merge: None,
            priority: None,
            ttl_ms: None,
            at: None,
            envelope: None,
            channel: None,
        }
    }

    /// Its type, 1 to 64 bytes.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Its id, 1 to 128 bytes: the same id again within the channel's `dedup_window_ms` is a
    /// duplicate.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Its key, 1 to 128 bytes: order and merging are per key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// How it merges; it needs a key.
    #[must_use]
    pub const fn merge(mut self, merge: Merge) -> Self {
        self.merge = Some(merge);
        self
    }

    /// Its priority.
    #[must_use]
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Its time to live, in whole milliseconds: 1 ms to 24 h.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl_ms = Some(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// Not before this moment of the wall clock, in whole milliseconds.
    #[must_use]
    pub fn at(mut self, at: SystemTime) -> Self {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.at = Some(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// Its data, which is a string then, leaves byte for byte, alone in its payload. Not with a
    /// key or a merge.
    #[must_use]
    pub const fn raw(mut self) -> Self {
        self.envelope = Some("raw");
        self
    }

    /// Its channel, by alias or ARN: where the request or the session is for no single channel.
    #[must_use]
    pub fn channel(mut self, channel: impl Into<String>) -> Self {
        self.channel = Some(channel.into());
        self
    }

    /// Its JSON text.
    pub(crate) fn text(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|error| Error::Usage(error.to_string()))
    }
}

impl From<serde_json::Value> for Event {
    fn from(data: serde_json::Value) -> Self {
        // A `Value` is always JSON, so that the second way is never gone.
        serde_json::value::to_raw_value(&data)
            .map_or_else(|_| Self::of(RawValue::NULL.to_owned()), Self::of)
    }
}

/// The body of a request: one event or many.
#[derive(Clone, Debug)]
pub struct Body {
    pub(crate) content_type: &'static str,
    pub(crate) bytes: Result<bytes::Bytes, Error>,
}

impl Body {
    /// An event, or an array of them, as JSON text that the caller wrote.
    pub fn json(text: impl Into<bytes::Bytes>) -> Self {
        Self {
            content_type: "application/json",
            bytes: Ok(text.into()),
        }
    }

    /// Events as JSON text that the caller wrote, one a line.
    pub fn ndjson(lines: impl Into<bytes::Bytes>) -> Self {
        Self {
            content_type: "application/x-ndjson",
            bytes: Ok(lines.into()),
        }
    }
}

impl From<&Event> for Body {
    fn from(event: &Event) -> Self {
        Self {
            content_type: "application/json",
            bytes: event.text().map(Into::into),
        }
    }
}

impl From<&[Event]> for Body {
    fn from(events: &[Event]) -> Self {
        // A line that is wrong refuses itself alone.
        let lines = events.iter().try_fold(String::new(), |mut lines, event| {
            lines.push_str(&event.text()?);
            lines.push('\n');
            Ok(lines)
        });
        Self {
            content_type: "application/x-ndjson",
            bytes: lines.map(Into::into),
        }
    }
}

impl From<Event> for Body {
    fn from(event: Event) -> Self {
        Self::from(&event)
    }
}

impl From<Vec<Event>> for Body {
    fn from(events: Vec<Event>) -> Self {
        Self::from(events.as_slice())
    }
}

impl From<&Vec<Event>> for Body {
    fn from(events: &Vec<Event>) -> Self {
        Self::from(events.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_those_of_the_surface() {
        let all = Event::from_json(r#"{"b":1.50,"a":1e400}"#)
            .expect("JSON")
            .kind("t")
            .id("i")
            .key("k")
            .merge(Merge::Patch)
            .priority(Priority::Low)
            .ttl(Duration::from_micros(5999))
            .at(UNIX_EPOCH + Duration::from_secs(1_795_000_000))
            .channel("quiz");
        for (event, text) in [
            (
                all,
                r#"{"data":{"b":1.50,"a":1e400},"type":"t","id":"i","key":"k","merge":"patch","priority":"low","ttl_ms":5,"at":1795000000000,"channel":"quiz"}"#,
            ),
            (
                Event::new("a\"b").expect("JSON").raw(),
                r#"{"data":"a\"b","envelope":"raw"}"#,
            ),
            (
                Event::from(serde_json::json!([1, null])),
                r#"{"data":[1,null]}"#,
            ),
        ] {
            assert_eq!(event.text().expect("text"), text);
        }
        let events = vec![Event::new(1).expect("JSON"), Event::new(2).expect("JSON")];
        let body = Body::from(events);
        assert_eq!(body.content_type, "application/x-ndjson");
        assert_eq!(body.bytes.expect("bytes"), "{\"data\":1}\n{\"data\":2}\n");
    }

    #[test]
    fn what_is_not_json_is_the_callers_mistake() {
        assert!(matches!(Event::from_json("no json"), Err(Error::Usage(_))));
        let map = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert!(matches!(Event::new(map), Err(Error::Usage(_))));
    }
}
