//! `POST /v1/eventbridge`: what `EventBridge` says of streams, as an API destination posts it or
//! a Lambda forwards it: one event or an array.
//!
//! The secret is required: whoever can post here can make channels probe. A notice of anything
//! else than a stream's state, or of a channel that is not known, is ignored and answered like
//! any other, because `EventBridge` would only send it again.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use super::json::{json, json_of};
use super::openapi;
use super::openapi::answers::{Answers, BODY, CALLER, answers};
use super::openapi::schemas::{self, reference};
use crate::arn::ChannelArn;
use crate::config::Secret;
use crate::dispatch::{Asked, Notice};
use crate::ingest::context::ApiContext;
use crate::ingest::parse::body;
use crate::ingest::parse::content_type;
use crate::refusal::{Code, Refusal};

/// Where another node takes them.
pub(super) const NOTICES: &str = "/cluster/notices";

/// A number.
const ANSWER_MAX: usize = 1000;

/// The header that holds the secret.
pub const SECRET: &str = "x-cuegate-secret";

/// Members it does not know are ignored. That they are named here makes it an object: serde would
/// take an array of the members' values as well. `EventBridge` sends no null, but whoever forwards
/// its events may.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    id: Option<String>,
    #[serde(rename = "detail-type", default)]
    detail_type: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    resources: Option<Vec<String>>,
    #[serde(default)]
    detail: Option<Detail>,
    #[serde(flatten)]
    _others: IgnoredAny,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    event_name: Option<String>,
    #[serde(flatten)]
    _others: IgnoredAny,
}

/// The events of a body: one or an array. In an array, one that cannot be read is `None` and harms
/// no other; none at all is no array of events.
fn events(body: &[u8]) -> Option<Vec<Option<Event>>> {
    if !body.trim_ascii_start().starts_with(b"[") {
        return Some(vec![Some(serde_json::from_slice(body).ok()?)]);
    }
    let texts: Vec<&RawValue> = serde_json::from_slice(body).ok()?;
    let read = |text: &RawValue| serde_json::from_str(text.get()).ok();
    let events: Vec<Option<Event>> = texts.into_iter().map(read).collect();
    let is_any = events.is_empty() || events.iter().any(Option::is_some);
    is_any.then_some(events)
}

/// Receives stream state changes from Amazon `EventBridge`.
///
/// For an API destination. Without `eventbridge.secret` in the configuration there is nothing at
/// this path.
#[utoipa::path(
    post, path = "/v1/eventbridge", tag = openapi::AWS, operation_id = "noticeStreams",
    request_body = schemas::StreamNotices, responses(NoticeAnswers), security(("eventbridge_secret" = []))
)]
pub(super) async fn post(State(context): State<Arc<ApiContext>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    match take(&context, &head.headers, body).await {
        Ok(answer) => answer,
        Err(refusal) => refusal.into_response(),
    }
}

async fn take(context: &ApiContext, headers: &HeaderMap, body: Body) -> Result<Response, Refusal> {
    let settings = context.settings();
    let secret = settings.eventbridge.secret.as_ref().map(Secret::expose);
    let coding = match check_secret(secret, headers).and_then(|()| content_type::coding(headers)) {
        Ok(coding) => coding,
        Err(refusal) => {
            body::discard(headers, body).await;
            return Err(refusal);
        }
    };
    let bytes = body::read(
        headers,
        body,
        coding,
        settings.server.max_body_bytes,
        &context.bodies,
        None,
    )
    .await?;
    let events = events(&bytes).ok_or_else(|| {
        Refusal::malformed("neither an event of EventBridge nor an array of such events")
    })?;
    let applied = apply(context, &events) + applied_by_others(context, bytes).await?;
    let ignored = events.len().saturating_sub(applied);
    let text = format!(r#"{{"applied":{applied},"ignored":{ignored}}}"#);
    Ok(json(StatusCode::OK, text))
}

/// How many of them said something new of channels that are here.
fn apply(context: &ApiContext, events: &[Option<Event>]) -> usize {
    let notices = events.iter().flatten().filter_map(notice);
    notices
        .filter(|(arn, notice)| context.gateway.notice(arn, notice))
        .count()
}

/// The answer of another node.
#[derive(Default, Serialize, Deserialize)]
struct Applied {
    applied: usize,
}

/// The same of channels that other nodes have.
async fn applied_by_others(context: &ApiContext, body: Bytes) -> Result<usize, Refusal> {
    let Some(others) = context.others() else {
        return Ok(0);
    };
    let asked = Asked {
        method: Method::POST,
        body,
        ..Asked::get("EventBridge", NOTICES.to_owned())
    };
    let until = Instant::now() + context.settings().cluster.hold;
    let mut all = 0;
    for answer in others.each(&asked, until).await? {
        let text = answer.whole(ANSWER_MAX).await.unwrap_or_default();
        let applied: Applied = serde_json::from_slice(&text).unwrap_or_default();
        all += applied.applied;
    }
    Ok(all)
}

/// Notices that came to another node, which has looked at the secret.
pub(super) async fn from_peer(
    State(context): State<Arc<ApiContext>>,
    request: Request,
) -> Response {
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    let events = body.ok().and_then(|body| events(&body)).unwrap_or_default();
    json_of(&Applied {
        applied: apply(&context, &events),
    })
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

/// What an event says of which channel.
fn notice(event: &Event) -> Option<(ChannelArn, Notice)> {
    let is = |text: &Option<String>, word: &str| text.as_deref() == Some(word);
    if !is(&event.source, "aws.ivs") || !is(&event.detail_type, "IVS Stream State Change") {
        return None;
    }
    let name = event.detail.as_ref()?.event_name.as_deref()?;
    let is_live = match name {
        "Stream Start" => true,
        "Stream End" | "Stream Failure" => false,
        _ => return None,
    };
    let arn = event.resources.as_ref()?.first()?.parse().ok()?;
    let time = event.time.as_deref()?;
    let at = OffsetDateTime::parse(time, &Rfc3339).ok()?;
    let id = event.id.as_deref().unwrap_or_default();
    let notice = Notice {
        at_s: at.unix_timestamp(),
        identity: [id, time, name].join("\n"),
        is_live,
    };
    Some((arn, notice))
}

answers! {
    /// To notices of streams.
    NoticeAnswers: Answers::new()
        .json(200, "The notices were processed.", reference::<schemas::Noticed>())
        .refused(&BODY)
        .refused(&CALLER)
        .refused(&[Code::Malformed, Code::NotFound, Code::Overloaded]);
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
        let check = |event: Event, expected: Option<bool>| {
            let got = notice(&event);
            assert_eq!(got.as_ref().map(|(_, notice)| notice.is_live), expected);
            if let Some((arn, notice)) = got {
                assert_eq!((arn.as_str(), notice.at_s), (ARN, 1_795_362_849));
            }
        };
        let as_is = |_: &mut serde_json::Value| {};
        check(event("Stream Start", as_is), Some(true));
        check(event("Stream End", as_is), Some(false));
        check(event("Stream Failure", as_is), Some(false));
        check(event("Session Created", as_is), None);
        for (member, value) in [
            ("source", serde_json::json!("aws.ec2")),
            ("source", serde_json::json!(null)),
            ("time", serde_json::json!("now")),
            ("time", serde_json::json!(null)),
            ("resources", serde_json::json!([])),
            ("resources", serde_json::json!(null)),
            ("detail", serde_json::json!(null)),
            ("detail", serde_json::json!({"event_name": null})),
            ("detail-type", serde_json::json!("IVS Other")),
        ] {
            check(event("Stream Start", |e| e[member] = value.clone()), None);
        }
    }

    /// How many of a body's events can be read, of how many.
    fn read(text: &str) -> Option<(usize, usize)> {
        let events = events(text.as_bytes())?;
        Some((events.iter().flatten().count(), events.len()))
    }

    #[test]
    fn an_odd_one_harms_no_other() {
        for (text, expected) in [
            ("{}", Some((1, 1))),
            (r#"[{},{"detail":{"x":1},"y":[]}]"#, Some((2, 2))),
            (" []", Some((0, 0))),
            (
                r#"[{"detail":null},{"detail":5},["aws.ivs"],7,{}]"#,
                Some((2, 5)),
            ),
            (r#"{"detail":null}"#, Some((1, 1))),
            (r#"{"detail":["Stream Start"]}"#, None),
            (r"[", None),
            (r#"[["aws.ivs"],5]"#, None),
            ("null", None),
            ("5", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
