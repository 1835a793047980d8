//! `GET …/payloads`: every delivered payload as a server-sent event.
//!
//! Nothing is replayed: `id` is there so that a reader knows what it missed.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::control::json_of;
use super::door::{Door, Known, Life};
use super::http::named;
use super::limits::SSE_KEEP_ALIVE;
use super::openapi::{self, answers, params};
use super::refusal::Refusal;
use super::visitor::Visitor;
use crate::config::Scope;
use crate::dispatch::Delivered;

/// Follows the payloads of a channel as they are delivered.
#[utoipa::path(
    get, path = "/v1/channels/{channel}/payloads", tag = openapi::CHANNELS, operation_id = "followPayloads",
    params(params::Channel), responses(answers::Payloads)
)]
pub(super) async fn payloads(
    State(door): State<Arc<Door>>,
    Known(caller): Known,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let channel = door.channel(&caller, Scope::Read, &named(path)?)?;
    let visitor = Visitor::new(&door, caller, Scope::Read, Some(Arc::clone(&channel)))?;
    // Subscribed before the answer: whatever is delivered after the client has it is shown.
    let received = door.gateway.payloads(&channel);
    // A first comment takes the headers through proxies that wait for a body.
    let first = Some(Bytes::from_static(b":\n\n"));
    let events = stream::unfold(
        (door, received, visitor, first),
        |(door, mut received, mut visitor, first)| async {
            let bytes = match first {
                Some(bytes) => Some(bytes),
                None => next(&door, &mut received, &mut visitor).await,
            };
            bytes.map(|bytes| {
                (
                    Ok::<_, std::convert::Infallible>(bytes),
                    (door, received, visitor, None),
                )
            })
        },
    );
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
    State(door): State<Arc<Door>>,
    Known(caller): Known,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let channel = door.channel(&caller, Scope::Read, &named(path)?)?;
    let recent = door.gateway.recent_payloads(&channel);
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

/// What is written next; none at the end of the process, or when the reader may read no more.
async fn next(
    door: &Door,
    received: &mut Receiver<Arc<Delivered>>,
    visitor: &mut Visitor,
) -> Option<Bytes> {
    tokio::select! {
        biased;
        _ = visitor.until_denied() => None,
        delivered = received.recv() => match delivered {
            Ok(delivered) => Some(event(&delivered)),
            Err(RecvError::Lagged(missed)) => {
                Some(format!("event: lagged\ndata: {{\"missed\":{missed}}}\n\n").into())
            }
            Err(RecvError::Closed) => None,
        },
        () = tokio::time::sleep(SSE_KEEP_ALIVE) => Some(Bytes::from_static(b":\n\n")),
        () = door.reaches(Life::Stopping) => None,
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
