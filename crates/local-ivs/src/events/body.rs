//! A change as `EventBridge` writes it: "IVS Stream State Change", version 0 of the envelope.
//!
//! Source: the IVS user guide, "Using Amazon `EventBridge` with IVS".

use super::StateChange;
use crate::ids::uuid;
use crate::timestamp::iso8601;
use bytes::Bytes;
use serde::Serialize;

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
    resources: [&'a str; 1],
    detail: Detail<'a>,
}

#[derive(Serialize)]
struct Detail<'a> {
    event_name: &'static str,
    channel_name: &'a str,
    stream_id: &'a str,
}

/// The `number`th event of this server. An id is the same for the same number and time, so
/// that runs can be compared, and another after a restart, because receivers drop an id
/// they have seen.
pub(super) fn render(change: &StateChange, number: u64) -> Bytes {
    // arn:aws:ivs:REGION:ACCOUNT:channel/ID
    let mut parts = change.channel_arn.split(':').skip(3);
    let envelope = Envelope {
        version: "0",
        region: parts.next().unwrap_or_default(),
        account: parts.next().unwrap_or_default(),
        id: uuid(change.time_us ^ number.rotate_right(16)),
        detail_type: "IVS Stream State Change",
        source: "aws.ivs",
        time: iso8601(change.time_us),
        resources: [&change.channel_arn],
        detail: Detail {
            event_name: change.kind.name(),
            channel_name: &change.channel_name,
            stream_id: &change.stream_id,
        },
    };
    // Serialising our own plain structures to memory cannot fail; an empty body if it does.
    serde_json::to_vec(&envelope).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::events::{StateChange, StreamEvent};

    #[test]
    fn the_body_is_eventbridges() {
        let change = StateChange {
            time_us: 1_795_362_849_123_456,
            channel_arn: "arn:aws:ivs:us-west-2:123456789012:channel/AbCdEfGhIjKl".into(),
            channel_name: "quiz".to_owned(),
            stream_id: "st-1DDZOtkxNK5Lbm1NuNnY5wM".to_owned(),
            kind: StreamEvent::StreamStart,
        };
        let body = |number| String::from_utf8(render(&change, number).to_vec()).expect("UTF-8");
        let first = body(0);
        let id = &first[r#"{"version":"0","id":""#.len()..][..36];
        let expected = format!(
            r#"{{"version":"0","id":"{id}","detail-type":"IVS Stream State Change","source":"aws.ivs","account":"123456789012","time":"2026-11-22T15:54:09Z","region":"us-west-2","resources":["arn:aws:ivs:us-west-2:123456789012:channel/AbCdEfGhIjKl"],"detail":{{"event_name":"Stream Start","channel_name":"quiz","stream_id":"st-1DDZOtkxNK5Lbm1NuNnY5wM"}}}}"#
        );
        assert_eq!(first, expected);
        assert_eq!(first, body(0));
        assert_ne!(first, body(1));
    }
}
