//! An event of a journal as `POST /v1/events` takes it, byte for byte: what one door took, this
//! writes so that another takes it again.
//!
//! Most are events of the house's own form. A string of `POST /PutMetadata` says that it leaves as
//! it is. An identity that only a `CloudEvent` can have is written as one.

use engine::{Data, Merge, QueuedEvent};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::clock::Clock;
use crate::ingest::limits::ID_MAX;
use crate::timestamp::rfc3339;

/// An event as producers write it.
#[derive(Serialize)]
struct Line<'a> {
    channel: &'a str,
    data: &'a RawValue,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merge: Option<&'a str>,
    priority: &'a str,
    /// What is left of it, or all of it for an event whose time is still to come.
    ttl_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<&'a str>,
}

/// The same as a `CloudEvent`.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'a str,
    cuechannel: &'a str,
    source: &'a str,
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    data: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    cuekey: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cuemerge: Option<&'a str>,
    cuepriority: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cueat: Option<String>,
    expirytime: String,
}

/// The line of an event; none: it has expired by now, and would be refused.
pub(super) fn line(channel: &str, kept: &QueuedEvent, clock: &Clock) -> Option<String> {
    let (now, origin) = (clock.now(), clock.wall_origin());
    let (due, deadline) = kept.placed(now, origin);
    let ttl_ms = deadline.since(due.max(now)).micros() / 1000;
    let ttl_ms = Some(ttl_ms).filter(|ms| *ms > 0)?;
    let at = kept.scheduled.filter(|_| due > now);
    let at = at.map(|scheduled| scheduled.at.micros() / 1000);
    let data = match &kept.content.data {
        Data::Json(text) => RawValue::from_string(text.to_string()),
        Data::Verbatim(text) => serde_json::value::to_raw_value(&**text),
    };
    let line = Line {
        channel,
        data: &data.ok()?,
        kind: kept.content.kind.as_deref(),
        id: kept.content.id.as_deref(),
        key: kept.content.key.as_deref(),
        merge: kept.content.merge.map(Merge::name),
        priority: kept.content.priority.name(),
        ttl_ms,
        at,
        envelope: matches!(kept.content.data, Data::Verbatim(_)).then_some("raw"),
    };
    match line.id {
        Some(id) if id.len() > ID_MAX => {
            let begins_ms = at.unwrap_or_else(|| signed(clock.epoch_ms()));
            serde_json::to_string(&line.cloud_event(id, begins_ms)?).ok()
        }
        _ => serde_json::to_string(&line).ok(),
    }
}

impl<'a> Line<'a> {
    /// The identity of a `CloudEvent` is its source, which has no white space, a space, and its id.
    fn cloud_event(&self, identity: &'a str, begins_ms: i64) -> Option<CloudEvent<'a>> {
        let (source, id) = identity.split_once(' ')?;
        Some(CloudEvent {
            specversion: "1.0",
            cuechannel: self.channel,
            source,
            id,
            kind: self.kind?,
            data: self.data,
            cuekey: self.key,
            cuemerge: self.merge,
            cuepriority: self.priority,
            cueat: self.at.map(rfc3339),
            expirytime: rfc3339(begins_ms.saturating_add(signed(self.ttl_ms))),
        })
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
