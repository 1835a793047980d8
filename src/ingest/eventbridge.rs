//! `POST /v1/eventbridge`: what `EventBridge` says of streams, as an API destination posts it or
//! a Lambda forwards it: one event or an array.
//!
//! The secret is required: whoever can post here can make channels probe. A notice of anything
//! else than a stream's state, or of a channel that is not known, is ignored and answered like
//! any other, because `EventBridge` would only send it again.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::IgnoredAny;
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::body;
use super::door::Door;
use super::http::json;
use super::openapi::{self, answers, schemas};
use super::refusal::{Code, Refusal};
use crate::arn::ChannelArn;
use crate::config::Secret;
use crate::dispatch::Notice;

/// The header that holds the secret.
pub const SECRET: &str = "x-cuegate-secret";

#[derive(Deserialize)]
#[serde(untagged)]
enum Posted {
    One(Box<Event>),
    Many(Vec<Event>),
}

/// Members it does not know are ignored. That they are named here makes it an object: serde would
/// take an array of the members' values as well.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "detail-type", default)]
    detail_type: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    time: String,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    detail: Detail,
    #[serde(flatten)]
    _others: IgnoredAny,
}

#[derive(Default, Deserialize)]
struct Detail {
    #[serde(default)]
    event_name: String,
    #[serde(flatten)]
    _others: IgnoredAny,
}

/// Takes notices of streams from Amazon `EventBridge`.
///
/// For an API destination. Without `eventbridge.secret` in the configuration there is nothing at
/// this path.
#[utoipa::path(
    post, path = "/v1/eventbridge", tag = openapi::AWS, operation_id = "noticeStreams",
    request_body = schemas::StreamNotices, responses(answers::Noticed), security(("eventbridge_secret" = []))
)]
pub(super) async fn post(State(door): State<Arc<Door>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    match take(&door, &head.headers, body).await {
        Ok(answer) => answer,
        Err(refusal) => refusal.into_response(),
    }
}

async fn take(door: &Door, headers: &HeaderMap, body: Body) -> Result<Response, Refusal> {
    let settings = door.settings();
    if let Err(refusal) = check_secret(
        settings.eventbridge_secret.as_ref().map(Secret::expose),
        headers,
    ) {
        body::discard(headers, body).await;
        return Err(refusal);
    }
    let bytes = body::read(
        headers,
        body,
        settings.server.max_body_bytes,
        &door.bodies,
        None,
    )
    .await?;
    let posted: Posted = serde_json::from_slice(&bytes).map_err(|_| {
        Refusal::malformed("neither an event of EventBridge nor an array of such events")
    })?;
    let events = match posted {
        Posted::One(event) => vec![*event],
        Posted::Many(events) => events,
    };
    let applied = events
        .iter()
        .filter_map(notice)
        .filter(|(arn, at_ms, notice)| door.gateway.notice(arn, *at_ms, *notice))
        .count();
    let ignored = events.len() - applied;
    let text = format!(r#"{{"applied":{applied},"ignored":{ignored}}}"#);
    Ok(json(StatusCode::OK, text))
}

fn check_secret(secret: Option<&str>, headers: &HeaderMap) -> Result<(), Refusal> {
    // Without a secret there is no door.
    let secret = secret.ok_or_else(Refusal::not_found)?;
    let given = headers
        .get(SECRET)
        .map_or(&b""[..], |value| value.as_bytes());
    if given.ct_eq(secret.as_bytes()).into() {
        Ok(())
    } else {
        let detail = "the header X-Cuegate-Secret is missing or wrong";
        Err(Refusal::new(Code::Unauthenticated, detail))
    }
}

/// What an event says of which channel, and of which moment in ms since 1970.
fn notice(event: &Event) -> Option<(ChannelArn, i64, Notice)> {
    if event.source != "aws.ivs" || event.detail_type != "IVS Stream State Change" {
        return None;
    }
    let notice = match event.detail.event_name.as_str() {
        "Stream Start" => Notice::Live,
        "Stream End" | "Stream Failure" => Notice::Over,
        _ => return None,
    };
    let arn = event.resources.first()?.parse().ok()?;
    let at = OffsetDateTime::parse(&event.time, &Rfc3339).ok()?;
    let at_ms = i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()?;
    Some((arn, at_ms, notice))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:ivs:us-west-2:123456789012:channel/AbCdEfGhIjKl";

    fn event(name: &str, change: impl Fn(&mut serde_json::Value)) -> Event {
        let mut event = serde_json::json!({
            "version": "0", "id": "98a31fbd-0000-0000-0000-000000000000",
            "detail-type": "IVS Stream State Change", "source": "aws.ivs",
            "account": "123456789012", "time": "2026-11-22T15:54:09Z", "region": "us-west-2",
            "resources": [ARN],
            "detail": {"event_name": name, "channel_name": "quiz", "stream_id": "st-1"},
        });
        change(&mut event);
        serde_json::from_value(event).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn notices() {
        let check = |event: Event, expected: Option<Notice>| {
            let got = notice(&event);
            assert_eq!(got.as_ref().map(|(_, _, notice)| *notice), expected);
            if let Some((arn, at_ms, _)) = got {
                assert_eq!((arn.as_str(), at_ms), (ARN, 1_795_362_849_000));
            }
        };
        let as_is = |_: &mut serde_json::Value| {};
        check(event("Stream Start", as_is), Some(Notice::Live));
        check(event("Stream End", as_is), Some(Notice::Over));
        check(event("Stream Failure", as_is), Some(Notice::Over));
        check(event("Session Created", as_is), None);
        check(
            event("Stream Start", |e| e["source"] = "aws.ec2".into()),
            None,
        );
        check(event("Stream Start", |e| e["time"] = "now".into()), None);
        check(
            event("Stream Start", |e| e["resources"] = serde_json::json!([])),
            None,
        );
        check(
            event("Stream Start", |e| e["detail-type"] = "IVS Other".into()),
            None,
        );
    }

    #[test]
    fn only_objects_are_events() {
        for (text, expected) in [
            ("{}", true),
            (r#"[{},{"detail":{"x":1},"y":[]}]"#, true),
            ("[]", true),
            (r#"["aws.ivs"]"#, false),
            (r#"[["aws.ivs"]]"#, false),
            (r#"{"detail":["Stream Start"]}"#, false),
            ("null", false),
        ] {
            let posted = serde_json::from_str::<Posted>(text);
            assert_eq!(posted.is_ok(), expected, "{text}");
        }
    }
}
