//! `GET …/payloads`: every delivered payload as a server-sent event.
//!
//! `id` is the payload's number. A reader that comes back with `Last-Event-ID` gets what was
//! delivered since first, as far as it is kept.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::json::json_of;
use super::openapi::answers::{Answers, CHANNEL, answers};
use super::openapi::{self, params};
use crate::config::Scope;
use crate::dispatch::Delivered;
use crate::ingest::context::named;
use crate::ingest::context::{ApiContext, Authenticated, Life};
use crate::ingest::limits::SSE_KEEP_ALIVE;
use crate::ingest::session::Session;
use crate::refusal::{Code, Refusal};

/// What a reader of server-sent events says when it comes back.
const LAST_EVENT_ID: &str = "last-event-id";

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
    let missed = missed(&headers, context.gateway.recent_payloads(&channel));
    let mut follower = Follower {
        context,
        received,
        session,
        shown: missed.iter().map(|payload| payload.n).collect(),
        first: missed.iter().map(|payload| event(payload)).collect(),
    };
    // A first comment takes the headers through proxies that wait for a body.
    follower.first.push_front(Bytes::from_static(b":\n\n"));
    let events = stream::unfold(follower, |mut follower| async {
        let bytes = follower.next().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), follower))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
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

/// The payloads of late that a reader has not had: those after the one it names.
fn missed(headers: &HeaderMap, recent: Vec<Arc<Delivered>>) -> Vec<Arc<Delivered>> {
    let last = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    match last.and_then(|id| id.trim().parse::<u64>().ok()) {
        Some(last) => {
            let after = recent.into_iter();
            after.filter(|payload| payload.n > last).collect()
        }
        // A reader that is new, or brings an id that is none of ours.
        None => Vec::new(),
    }
}

/// One who follows a channel's payloads.
struct Follower {
    context: Arc<ApiContext>,
    received: Receiver<Arc<Delivered>>,
    session: Session,
    /// What is written before anything that comes.
    first: VecDeque<Bytes>,
    /// The numbers of payloads among that.
    shown: Vec<u64>,
}

impl Follower {
    /// What is written next; none at the end of the process, or when the reader may read no more.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(bytes) = self.first.pop_front() {
            return Some(bytes);
        }
        loop {
            return tokio::select! {
                biased;
                _ = self.session.until_denied() => None,
                delivered = self.received.recv() => match delivered {
                    Ok(delivered) if self.shown.contains(&delivered.n) => continue,
                    Ok(delivered) => Some(event(&delivered)),
                    Err(RecvError::Lagged(missed)) => {
                        Some(format!("event: lagged\ndata: {{\"missed\":{missed}}}\n\n").into())
                    }
                    Err(RecvError::Closed) => None,
                },
                () = tokio::time::sleep(SSE_KEEP_ALIVE) => Some(Bytes::from_static(b":\n\n")),
                () = self.context.reaches(Life::Stopping) => None,
            };
        }
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
