//! What is queued, and one event by its id: what became of it, and another in its place. (Its cancellation is
//! [`super::channels`]'s.)

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use engine::{Data, Envelope, EventState, Fate, Listed, Merge, Rank, Wall};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::json::json_of;
use super::openapi::answers::{Answers, BODY, CHANNEL, answers};
use super::openapi::schemas::{self, reference};
use super::openapi::{self, params};
use super::publish::accepted;
use crate::access::Caller;
use crate::config::Scope;
use crate::dispatch::{Channel, Wanted};
use crate::ingest::admission;
use crate::ingest::context::{ApiContext, Authenticated, named, with_reader};
use crate::ingest::limits::CLOUDEVENT_ID_MAX;
use crate::ingest::parse::batch;
use crate::ingest::parse::body;
use crate::ingest::parse::content_type::{self, Coding, Media};
use crate::ingest::parse::event::Addressing;
use crate::ingest::parse::query::Query;
use crate::ingest::parse::validate::sized;
use crate::refusal::{Code, Refusal};
use crate::telemetry::Transport;

/// A channel and an event's id in the path.
type EventPath = Result<Path<(String, String)>, PathRejection>;

fn event_named(path: EventPath) -> Result<(String, String), Refusal> {
    path.map(|Path(names)| names)
        .map_err(|_| Refusal::new(Code::UnknownEvent, "the path is not UTF-8"))
}

/// What became of an event.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = EventReport)]
pub struct Report {
    /// Its id.
    id: String,
    /// `scheduled`, `waiting`, `in_flight`, or its end: `delivered`, `merged`, `expired`,
    /// `cancelled`, `evicted`, `dead_lettered`.
    state: &'static str,
    /// Why it is a dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The `n` of the payload that it is or was in.
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    /// When it is due, if it is scheduled; when it ended, if it has. RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

impl Report {
    fn of(id: String, state: EventState, wall_of: impl Fn(engine::Time) -> Wall) -> Self {
        let mut report = Self {
            id,
            state: "waiting",
            reason: None,
            n: None,
            at: None,
        };
        match state {
            EventState::Scheduled { due } => {
                report.state = "scheduled";
                report.at = rfc3339(wall_of(due));
            }
            EventState::Waiting => {}
            EventState::InFlight { n } => {
                report.state = "in_flight";
                report.n = Some(n);
            }
            EventState::Ended(Fate { end, n, at }) => {
                report.state = end.name();
                report.reason = end.reason();
                report.n = n;
                report.at = at.and_then(rfc3339);
            }
        }
        report
    }
}

/// A moment as RFC 3339 has it, in milliseconds; none: it is beyond the year 9999.
pub(super) fn rfc3339(wall: Wall) -> Option<String> {
    let nanos = i128::from(wall.micros().div_euclid(1000)) * 1_000_000;
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
    moment.format(&Rfc3339).ok()
}

/// Returns what became of an event.
///
/// For as long as its id is remembered: while it is queued, and for the channel's
/// `dedup_window_ms` after it was accepted.
#[utoipa::path(
    get, path = "/v1/channels/{channel}/events/{id}", tag = openapi::EVENTS, operation_id = "getEvent",
    params(params::Channel, params::EventId), responses(StateAnswers)
)]
pub(super) async fn state(
    State(context): State<Arc<ApiContext>>,
    Authenticated(caller): Authenticated,
    path: EventPath,
) -> Result<Response, Refusal> {
    let (name, id) = event_named(path)?;
    let channel = context.channel(&caller, Scope::Read, &name)?;
    let state = context
        .gateway
        .event_state(&channel, &id)
        .ok_or_else(|| Refusal::new(Code::UnknownEvent, "no event with this id is remembered"))?;
    let origin = context.gateway.clock().wall_origin();
    Ok(json_of(&Report::of(id, state, |time| time.wall(origin))))
}

/// A page of what is queued.
#[derive(Serialize, utoipa::ToSchema)]
pub struct QueuePage {
    /// In the order they would leave: what is in a payload first, what is scheduled last.
    events: Vec<Queued>,
    /// The value of `after` for the next page; null on the last page.
    #[schema(required = true)]
    next: Option<String>,
}

/// A queued event.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = QueuedEvent)]
struct Queued {
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    id: Option<Arc<str>>,
    /// Its type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    kind: Option<Arc<str>>,
    /// Its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    key: Option<Arc<str>>,
    /// How it merges: `replace`, `sum`, `max`, `min` or `patch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    merge: Option<&'static str>,
    /// `raw`, if it leaves byte for byte and alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<&'static str>,
    /// Its time to live; of a merged event, the latest one's.
    ttl_ms: u32,
    /// As it is now: it rises with age.
    priority: &'static str,
    /// `in_flight`, `waiting` or `scheduled`.
    state: &'static str,
    /// The `n` of the payload that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    /// When it is due, if it is scheduled. RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// How long it takes until it leaves, in ms: at the present pace, or until it is due. Null while the
    /// channel is paused or offline.
    #[schema(required = true)]
    eta_ms: Option<u64>,
    /// What players get.
    #[schema(value_type = serde_json::Value)]
    data: Box<RawValue>,
}

impl Queued {
    fn of(listed: Listed, eta_ms: Option<u64>, wall_of: impl Fn(engine::Time) -> Wall) -> Self {
        let Report { state, n, at, .. } = Report::of(String::new(), listed.state, wall_of);
        let (envelope, data) = match &listed.data {
            Data::Json(text) => (None, RawValue::from_string(text.to_string())),
            Data::Verbatim(text) => (Some(Envelope::Raw.name()), to_raw_value(&**text)),
        };
        Self {
            id: listed.id,
            kind: listed.kind,
            key: listed.key,
            merge: listed.merge.map(Merge::name),
            envelope,
            ttl_ms: listed.ttl_ms,
            priority: listed.priority.name(),
            state,
            n,
            at,
            eta_ms,
            // It was checked when it came.
            data: data.unwrap_or_default(),
        }
    }
}

/// Returns what is queued, in the order it would leave, a page at a time.
///
/// The order is that of the moment: between two pages events come and leave. One that stays in its place
/// is on one of them.
#[utoipa::path(
    get, path = "/v1/channels/{channel}/events", tag = openapi::EVENTS, operation_id = "listEvents",
    params(params::Channel, params::Listing), responses(ListAnswers)
)]
pub(super) async fn list(
    State(context): State<Arc<ApiContext>>,
    Authenticated(caller): Authenticated,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let channel = context.channel(&caller, Scope::Read, &named(path)?)?;
    let mut query = Query::of(query.as_deref(), &["type", "key", "limit", "after"])?;
    let after = query.take("after");
    let after = after.map(|text| text.parse::<Rank>()).transpose();
    let wanted = Wanted {
        kind: query.filter("type")?,
        key: query.filter("key")?,
        limit: query.limit()?,
        after: after.map_err(|_| Refusal::malformed("after is not the next of a page"))?,
    };
    let page = context.gateway.list(&channel, wanted).await;
    let page =
        page.ok_or_else(|| Refusal::new(Code::Overloaded, "the list failed; see the log"))?;
    let origin = context.gateway.clock().wall_origin();
    let events = page.events.into_iter();
    let events =
        events.map(|(listed, eta_ms)| Queued::of(listed, eta_ms, |time| time.wall(origin)));
    Ok(json_of(&QueuePage {
        events: events.collect(),
        next: page.next.map(|rank| rank.to_string()),
    }))
}

/// Replaces a queued event, or publishes it where none is queued.
///
/// The event is replaced whole: the old one is cancelled and the new one accepted, or nothing
/// changes. Without an `at` of its own it keeps the old moment, and without another `key` also its
/// place. Where no event of this id is queued and none was delivered, it is accepted as any (202).
/// Needs the scopes `publish` and `control`.
#[utoipa::path(
    put, path = "/v1/channels/{channel}/events/{id}", tag = openapi::EVENTS, operation_id = "replace",
    params(params::Channel, params::EventId),
    request_body(content((schemas::Event = "application/json"))),
    responses(ReplaceAnswers)
)]
pub(super) async fn replace(
    State(context): State<Arc<ApiContext>>,
    path: EventPath,
    request: axum::extract::Request,
) -> Response {
    let (head, body) = request.into_parts();
    let replacement = match Replacement::of(&context, path, &head) {
        Ok(replacement) => replacement,
        Err(refusal) => {
            body::discard(&head.headers, body).await;
            admission::count_refusal(&context, Transport::Http, None, &refusal);
            return refusal.into_response();
        }
    };
    let answer = replacement.make(&context, &head, body).await;
    answer.unwrap_or_else(IntoResponse::into_response)
}

/// What is known of a replacement before its body is read.
struct Replacement {
    caller: Arc<Caller>,
    channel: Arc<Channel>,
    id: String,
    coding: Coding,
}

impl Replacement {
    fn of(context: &ApiContext, path: EventPath, head: &Parts) -> Result<Self, Refusal> {
        let caller = context.caller(&head.headers, &head.extensions)?;
        context.may(&caller, Scope::Control)?;
        context.may(&caller, Scope::Publish)?;
        context.check_open()?;
        let (name, id) = event_named(path)?;
        let channel = context.addressee(&caller, &name)?;
        Query::of(head.uri.query(), &[])?;
        let coding = content_type::coding(&head.headers)?;
        if content_type::of(&head.headers)? != Media::Json {
            let what = "an event is replaced by JSON: Content-Type: application/json";
            return Err(Refusal::new(Code::UnsupportedMediaType, what));
        }
        Ok(Self {
            caller,
            channel,
            id,
            coding,
        })
    }

    async fn make(
        &self,
        context: &ApiContext,
        head: &Parts,
        body: Body,
    ) -> Result<Response, Refusal> {
        let event = self.read(context, head, body).await;
        let mut tally = admission::replace(context, &self.caller, &self.channel, event)?;
        admission::finish(context, Transport::Http, None, &mut tally).await?;
        if let Some((_, refusal)) = tally.refused.pop() {
            return Err(refusal);
        }
        let mut response = accepted(&tally);
        *response.status_mut() = if tally.replaced {
            StatusCode::OK
        } else {
            StatusCode::ACCEPTED
        };
        Ok(response)
    }

    /// The event in the body, under the id of the path.
    async fn read(
        &self,
        context: &ApiContext,
        head: &Parts,
        body: Body,
    ) -> Result<engine::Event, Refusal> {
        let settings = context.settings();
        let own = self.caller.limits().map(|limits| &limits.bodies);
        let max = settings.server.max_body_bytes;
        let bytes = body::read(&head.headers, body, self.coding, max, &context.bodies, own).await?;
        if let Some(limits) = self.caller.limits() {
            limits.take_bytes(bytes.len())?;
        }
        if bytes.trim_ascii_start().first() == Some(&b'[') {
            return Err(Refusal::malformed("one event is expected, not an array"));
        }
        let mut batch = with_reader(context.gateway.clock(), &settings, |reader| {
            batch::json(&bytes, Addressing::Path, reader)
        });
        if let Some((_, refusal)) = batch.refused.pop() {
            return Err(refusal);
        }
        let event = batch.events.pop();
        let mut event = event.ok_or_else(|| Refusal::malformed("there is no event in it"))?;
        match &event.content.id {
            Some(id) if **id != *self.id => {
                let what = "the id in the body is not that of the path: leave it out";
                Err(Refusal::new(Code::InvalidEvent, what))
            }
            Some(_) => Ok(event),
            None => {
                event.content.id = sized("id", Some(self.id.as_str().into()), CLOUDEVENT_ID_MAX)?;
                Ok(event)
            }
        }
    }
}

answers! {
    /// To a question about an event.
    StateAnswers: Answers::new()
        .json(200, "What became of it.", reference::<Report>())
        .refused(&CHANNEL)
        .refused(&[Code::UnknownEvent]);
    /// To a question about a queue.
    ListAnswers: Answers::new()
        .json(200, "What is queued.", reference::<QueuePage>())
        .refused(&CHANNEL)
        .refused(&[Code::Malformed]);
    /// To a replacement.
    ReplaceAnswers: Answers::new()
        .json(200, "The queued event was cancelled and this one accepted for it.", reference::<schemas::Accepted>())
        .json(202, "No event of this id was queued or delivered: this one was accepted.", reference::<schemas::Accepted>())
        .refused(&BODY)
        .refused(&CHANNEL)
        .refused(&[
            Code::Malformed, Code::ChannelOffline, Code::EventTooLarge, Code::UnsupportedMediaType, Code::InvalidEvent,
            Code::QueueFull, Code::WouldExpire, Code::RateLimited, Code::Draining, Code::AlreadySent, Code::UnknownEvent,
        ]);
}
