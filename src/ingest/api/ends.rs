//! `GET …/ends`: the end of every event with an id as a server-sent event, for those who want receipts.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use engine::{End, Receipt};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;

use super::events::rfc3339;
use super::follow::{Follower, Sent, Source, lagged, last_event_id};
use super::openapi::answers::{Answers, CHANNEL, answers};
use super::openapi::{self, params};
use crate::config::Scope;
use crate::dispatch::{EndsFollower, Gap, NumberedReceipt};
use crate::ingest::context::named;
use crate::ingest::context::{ApiContext, Authenticated};
use crate::ingest::session::Session;
use crate::refusal::{Code, Refusal};

/// Follows the ends of a channel's events.
///
/// Every event that has an id ends once: `delivered`, `merged`, `expired`, `cancelled`, `evicted` or
/// `dead_lettered`. An event that another replaces is `cancelled`. Ends are collected from the first request on
/// until nobody has followed them for a minute; the last 1,000 of a channel are kept for a reader that comes back,
/// at most 4 MiB over all channels.
#[utoipa::path(
    get, path = "/v1/channels/{channel}/ends", tag = openapi::EVENTS, operation_id = "followEnds",
    params(params::Channel, params::ResumingEnds), responses(EndsAnswers)
)]
pub(super) async fn ends(
    State(context): State<Arc<ApiContext>>,
    Authenticated(caller): Authenticated,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let channel = context.channel(&caller, Scope::Read, &named(path)?)?;
    let session = Session::new(&context, caller, Scope::Read, Some(Arc::clone(&channel)))?;
    let last = last_event_id(&headers);
    let (follower, missed, gap) = context.gateway.ends(&channel, last);
    let gap = match gap {
        Gap::None => None,
        Gap::Of(missed) => Some(lagged(Some(missed))),
        Gap::Unknown => Some(lagged(None)),
    };
    Ok(Follower::new(context, session, follower, gap, &missed).response())
}

impl Source<NumberedReceipt> for EndsFollower {
    fn received(&mut self) -> &mut Receiver<Arc<NumberedReceipt>> {
        &mut self.received
    }
}

impl Sent for NumberedReceipt {
    fn number(&self) -> u64 {
        self.number
    }

    fn event(&self) -> Bytes {
        // There is nothing in it that JSON does not have.
        let text = serde_json::to_string(&Shown::of(&self.receipt)).unwrap_or_default();
        format!("id: {}\ndata: {text}\n\n", self.number).into()
    }
}

/// The end of an event.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = EventEnd)]
pub struct Shown<'r> {
    /// The event's id.
    id: &'r str,
    /// `delivered`, `merged`, `expired`, `cancelled`, `evicted` or `dead_lettered`.
    end: &'static str,
    /// Why it is a dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The `n` of the payload that it was in.
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    /// Of a merged event: the id of the event that it was merged into, if that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    into: Option<&'r str>,
    /// When it ended. RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

impl<'r> Shown<'r> {
    fn of(receipt: &'r Receipt) -> Self {
        Self {
            id: &receipt.id,
            end: receipt.end.name(),
            reason: receipt.end.reason(),
            n: receipt.n,
            into: receipt.into.as_deref(),
            at: rfc3339(receipt.at),
        }
    }
}

answers! {
    /// To one who follows ends.
    EndsAnswers: Answers::new()
        .content(
            200,
            "Server-sent events without end: `data` is an `EventEnd` as JSON, `id` the number of the end within the channel. An event `lagged` says how many ends a reader missed: one that is too slow, or that comes back when they are no longer kept; `null`: nobody knows how many.",
            "text/event-stream",
            sent_event(),
        )
        .refused(&CHANNEL)
        .refused(&[Code::RateLimited]);
}

/// One server-sent event.
fn sent_event() -> Value {
    let text = json!({"type": "string"});
    let receipt = Receipt {
        id: "a-17".into(),
        end: End::Delivered,
        n: Some(1_790_000_000_001),
        at: engine::Wall::from_micros(1_790_000_000_123_000),
        into: None,
    };
    let end = Shown::of(&receipt);
    json!({
        "type": "object",
        "properties": {"id": text, "event": {"enum": ["message", "lagged"]}, "data": text},
        "required": ["data"],
        "examples": [{"id": "1790000000000001", "data": serde_json::to_string(&end).unwrap_or_default()}],
    })
}
