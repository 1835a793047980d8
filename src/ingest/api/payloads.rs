//! `GET …/payloads`: every delivered payload as a server-sent event.
//!
//! `id` is the payload's number. A reader that comes back with `Last-Event-ID` gets what was
//! delivered since first, as far as it is kept.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::follow::{Follower, Sent, last_event_id};
use super::json::json_of;
use super::openapi::answers::{Answers, CHANNEL, answers};
use super::openapi::{self, params};
use crate::config::Scope;
use crate::dispatch::Delivered;
use crate::ingest::context::named;
use crate::ingest::context::{ApiContext, Authenticated};
use crate::ingest::session::Session;
use crate::refusal::{Code, Refusal};

/// Follows the payloads of a channel as they are delivered.
#[utoipa::path(
    get, path = "/v1/channels/{channel}/payloads", tag = openapi::CHANNELS, operation_id = "followPayloads",
    params(params::Channel, params::Resuming), responses(PayloadsAnswers)
)]
pub(super) async fn payloads(
    State(context): State<Arc<ApiContext>>,
    Authenticated(caller): Authenticated,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let channel = context.channel(&caller, Scope::Read, &named(path)?)?;
    let session = Session::new(&context, caller, Scope::Read, Some(Arc::clone(&channel)))?;
    // Subscribed before the answer: whatever is delivered after the client has it is shown.
    let received = context.gateway.payloads(&channel);
    // Looked up after that: what is delivered between the two comes twice, and is shown once.
    let mut missed = context.gateway.recent_payloads(&channel);
    let last = last_event_id(&headers).unwrap_or(u64::MAX);
    missed.retain(|payload| payload.n > last);
    Ok(Follower::new(context, session, received, None, &missed).response())
}

/// `GET /admin/channels/{channel}/payloads/recent`: the last that were delivered, oldest first.
///
/// # Errors
/// `unknown_channel`.
pub async fn recent(
    State(context): State<Arc<ApiContext>>,
    Authenticated(caller): Authenticated,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let channel = context.channel(&caller, Scope::Read, &named(path)?)?;
    let recent = context.gateway.recent_payloads(&channel);
    let payloads = recent.iter().map(|payload| Shown {
        n: payload.n,
        at_ms: payload.at_ms,
        text: &payload.text,
    });
    Ok(json_of(&Recent {
        payloads: payloads.collect(),
    }))
}

#[derive(Serialize)]
struct Recent<'a> {
    payloads: Vec<Shown<'a>>,
}

#[derive(Serialize)]
struct Shown<'a> {
    n: u64,
    at_ms: u64,
    text: &'a str,
}

impl Sent for Delivered {
    fn number(&self) -> u64 {
        self.n
    }

    fn event(&self) -> Bytes {
        event(self)
    }
}

/// One payload. The format ends lines at CR, LF and CR LF alike, so that a payload with a CR
/// (only `raw` ones can have one) shows it as LF.
fn event(delivered: &Delivered) -> Bytes {
    let mut text = format!("id: {}\n", delivered.n);
    for line in delivered.text.replace("\r\n", "\n").split(['\n', '\r']) {
        text.push_str("data: ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    text.into()
}

answers! {
    /// To one who follows payloads.
    PayloadsAnswers: Answers::new()
        .content(
            200,
            "Server-sent events without end: `id` is the payload's `n`, `data` the payload. An event `lagged` says how many a slow reader missed. After `Last-Event-ID` what was missed comes first, as far as it is kept.",
            "text/event-stream",
            sent_event(),
        )
        .refused(&CHANNEL)
        .refused(&[Code::RateLimited]);
}

/// One server-sent event.
fn sent_event() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "properties": {"id": text, "event": {"enum": ["message", "lagged"]}, "data": text},
        "required": ["data"],
        "examples": [{"id": "1790000000001", "data": "{\"v\":1,\"n\":1790000000001,\"e\":[{\"d\":1}]}"}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_as_events() {
        for (text, expected) in [
            (r#"{"v":1}"#, "id: 7\ndata: {\"v\":1}\n\n"),
            ("", "id: 7\ndata: \n\n"),
            ("a\nb", "id: 7\ndata: a\ndata: b\n\n"),
            (
                "a\r\nb\rc\n",
                "id: 7\ndata: a\ndata: b\ndata: c\ndata: \n\n",
            ),
            (
                "id: 9\n\ndata: x",
                "id: 7\ndata: id: 9\ndata: \ndata: data: x\n\n",
            ),
        ] {
            assert_eq!(
                event(&Delivered {
                    n: 7,
                    at_ms: 0,
                    text: text.into()
                }),
                expected,
                "{text:?}"
            );
        }
    }
}
