//! An event as `EventBridge` writes it: version 0 of the envelope.
//!
//! Source: the IVS user guide, "Using Amazon `EventBridge` with IVS".

use super::{ACCOUNT_LIMITS, Event};
use crate::ids::uuid;
use crate::timestamp::iso8601;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

#[derive(Serialize)]
struct Envelope<'a> {
    version: &'static str,
    id: String,
    #[serde(rename = "detail-type")]
    detail_type: &'static str,
    source: &'static str,
    account: &'a str,
    time: String,
    region: &'a str,
    resources: Vec<&'a str>,
    detail: &'a Map<String, Value>,
}

/// The `number`th event of this server. An id is the same for the same number and time, so
/// that runs can be compared, and another after a restart, because receivers drop an id
/// they have seen.
pub(super) fn render(event: &Event, number: u64) -> Bytes {
    // arn:aws:ivs:REGION:ACCOUNT:channel/ID
    let mut parts = event.channel_arn.split(':').skip(3);
    let is_accounts = ACCOUNT_LIMITS.contains(&event.name());
    let resources = (!is_accounts).then_some(&*event.channel_arn);
    let resources = resources.into_iter().collect();
    let envelope = Envelope {
        version: "0",
        region: parts.next().unwrap_or_default(),
        account: parts.next().unwrap_or_default(),
        id: uuid(event.time_us ^ number.rotate_right(16)),
        detail_type: event.kind,
        source: "aws.ivs",
        time: iso8601(event.time_us),
        resources,
        detail: &event.detail,
    };
    // Serialising our own plain structures to memory cannot fail; an empty body if it does.
    serde_json::to_vec(&envelope).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::events::{Event, LIMIT, STATE};
    use serde_json::{Value, json};

    fn event(kind: &'static str, detail: &Value) -> Event {
        Event {
            time_us: 1_795_362_849_123_456,
            channel_arn: "arn:aws:ivs:us-west-2:123456789012:channel/AbCdEfGhIjKl".into(),
            kind,
            detail: detail.as_object().expect("an object").clone(),
        }
    }

    #[test]
    fn the_body_is_eventbridges() {
        let detail = json!({
            "event_name": "Stream Start", "channel_name": "quiz",
            "stream_id": "st-1DDZOtkxNK5Lbm1NuNnY5wM",
        });
        let start = event(STATE, &detail);
        let body = |event, number| -> Value {
            serde_json::from_slice(&render(event, number)).expect("JSON")
        };
        let first = body(&start, 0);
        let expected = json!({
            "version": "0", "id": first["id"], "detail-type": "IVS Stream State Change",
            "source": "aws.ivs", "account": "123456789012", "time": "2026-11-22T15:54:09Z",
            "region": "us-west-2",
            "resources": ["arn:aws:ivs:us-west-2:123456789012:channel/AbCdEfGhIjKl"],
            "detail": detail,
        });
        assert_eq!(first, expected);
        assert_eq!(first, body(&start, 0));
        assert_ne!(first, body(&start, 1));
        let limit = event(LIMIT, &json!({ "limit_name": "Concurrent Viewers" }));
        assert_eq!(body(&limit, 0)["resources"], json!([]));
    }
}
