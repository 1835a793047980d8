//! `POST …/events`: a request becomes a batch, its tally an answer.
//!
//! The checks come in the order of what they cost: who asks, draining, channel, parameters, media
//! type, body, events. Until the events are offered nothing has happened, so a connection
//! that breaks before that has published nothing.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::json::json;
use super::openapi::answers::{Answers, BODY, CHANNEL, answers};
use super::openapi::schemas::{self, reference};
use super::openapi::{self, params};
use crate::access::Caller;
use crate::config::Scope;
use crate::dispatch::{Channel, Ends};
use crate::ingest::admission::{self, Tally};
use crate::ingest::context::{ApiContext, Life, named, with_reader};
use crate::ingest::limits::{IDEMPOTENCY_KEY_MAX, WAIT_DEFAULT_MS, WAIT_MAX_MS};
use crate::ingest::parse::batch::{self, Batch};
use crate::ingest::parse::body;
use crate::ingest::parse::cloudevents;
use crate::ingest::parse::content_type::{self, Coding, Media};
use crate::ingest::parse::event::Addressing;
use crate::ingest::parse::query::Query;
use crate::ingest::parse::validate::ParseContext;
use crate::refusal::{Code, Refusal};
use crate::telemetry::Transport;

/// Publishes events to a channel.
///
/// One event or an array, NDJSON, or `CloudEvents` 1.0. In their binary mode the attributes
/// are in `ce-*` headers and the body, JSON or text, is the data. An event that is refused does
/// not harm the others, unless `atomic=true`: the answer is 202 when any was accepted, and the
/// first refusal's when none was. Of NDJSON a line that is not JSON refuses itself, of other
/// bodies the whole.
#[utoipa::path(
    post, path = "/v1/channels/{channel}/events", tag = openapi::EVENTS, operation_id = "publish",
    params(params::Channel, params::Publishing),
    request_body(content(
        (schemas::Events = "application/json"),
        (schemas::EventLines = "application/x-ndjson"),
        (schemas::CloudEvent = "application/cloudevents+json"),
        (schemas::CloudEvents = "application/cloudevents-batch+json"),
    )),
    responses(PublishAnswers)
)]
pub(super) async fn publish_to_channel(
    State(context): State<Arc<ApiContext>>,
    path: Result<Path<String>, PathRejection>,
    request: axum::extract::Request,
) -> Response {
    let (head, body) = request.into_parts();
    publish(&context, Some(named(path)), &head, body).await
}

/// Publishes events that name their channels.
///
/// As to one channel, with `channel` in each event, `cuechannel` in each `CloudEvent`.
#[utoipa::path(
    post, path = "/v1/events", tag = openapi::EVENTS, operation_id = "publishAddressed",
    params(params::Publishing),
    request_body(content(
        (schemas::AddressedEvents = "application/json"),
        (schemas::AddressedEventLines = "application/x-ndjson"),
        (schemas::AddressedCloudEvent = "application/cloudevents+json"),
        (schemas::AddressedCloudEvents = "application/cloudevents-batch+json"),
    )),
    responses(PublishAnswers)
)]
pub(super) async fn publish_anywhere(
    State(context): State<Arc<ApiContext>>,
    request: axum::extract::Request,
) -> Response {
    let (head, body) = request.into_parts();
    publish(&context, None, &head, body).await
}

/// The header that gives events without an id one.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// How a request wants to be treated.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PublishOptions {
    atomic: bool,
    wait: Option<Duration>,
    /// What events without an id are named after.
    idempotency: Option<String>,
}

impl PublishOptions {
    fn of(query: Option<&str>, headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut query = Query::of(query, &["atomic", "wait", "timeout_ms"])?;
        let atomic = match query.take("atomic").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Refusal::malformed("atomic is neither true nor false")),
        };
        let timeout_ms = match query.take("timeout_ms") {
            None => WAIT_DEFAULT_MS,
            Some(text) => text
                .parse()
                .ok()
                .filter(|ms| *ms <= WAIT_MAX_MS)
                .ok_or_else(|| {
                    Refusal::malformed(format!(
                        "timeout_ms is not an integer from 0 to {WAIT_MAX_MS}"
                    ))
                })?,
        };
        let wait = match query.take("wait").as_deref() {
            None => None,
            Some("delivered") => Some(Duration::from_millis(timeout_ms)),
            Some(_) => return Err(Refusal::malformed("wait can only be delivered")),
        };
        Ok(Self {
            atomic,
            wait,
            idempotency: idempotency(headers)?,
        })
    }
}

/// The header `Idempotency-Key`.
fn idempotency(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else {
        return Ok(None);
    };
    let text = key
        .to_str()
        .ok()
        .filter(|text| keys.next().is_none() && (1..=IDEMPOTENCY_KEY_MAX).contains(&text.len()));
    let wrong = || {
        Refusal::malformed(format!(
            "one Idempotency-Key is taken, of 1 to {IDEMPOTENCY_KEY_MAX} visible ASCII characters"
        ))
    };
    text.map(|text| Some(text.to_owned())).ok_or_else(wrong)
}

/// What is known of a request before its body is read.
struct Request {
    caller: Arc<Caller>,
    channel: Option<Arc<Channel>>,
    wishes: PublishOptions,
    media: Media,
    coding: Coding,
}

impl Request {
    fn of(
        context: &ApiContext,
        name: Option<&Result<String, Refusal>>,
        head: &Parts,
    ) -> Result<Self, Refusal> {
        let caller = context.caller(&head.headers, &head.extensions)?;
        context.may(&caller, Scope::Publish)?;
        context.check_open()?;
        let channel = name
            .map(|name| {
                let name = name.as_ref().map_err(Refusal::clone)?;
                context.addressee(&caller, name)
            })
            .transpose()?;
        Ok(Self {
            caller,
            channel,
            wishes: PublishOptions::of(head.uri.query(), &head.headers)?,
            coding: content_type::coding(&head.headers)?,
            media: content_type::of(&head.headers)?,
        })
    }

    /// Reads the body, within what its sender may send.
    async fn body(
        &self,
        context: &ApiContext,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Bytes, Refusal> {
        let max = context.settings().server.max_body_bytes;
        let own = self.caller.limits().map(|limits| &limits.bodies);
        let bytes = body::read(headers, body, self.coding, max, &context.bodies, own).await?;
        if let Some(limits) = self.caller.limits() {
            limits.take_bytes(bytes.len())?;
        }
        Ok(bytes)
    }
}

async fn publish(
    context: &ApiContext,
    name: Option<Result<String, Refusal>>,
    head: &Parts,
    body: Body,
) -> Response {
    let headers = &head.headers;
    let read = match Request::of(context, name.as_ref(), head) {
        Ok(request) => {
            let bytes = request.body(context, headers, body).await;
            bytes.map(|bytes| (request, bytes))
        }
        Err(refusal) => {
            body::discard(headers, body).await;
            Err(refusal)
        }
    };
    let (request, bytes) = match read {
        Ok(read) => read,
        Err(refusal) => {
            let named = name.as_ref().and_then(|name| name.as_deref().ok());
            admission::count_refusal(context, Transport::Http, named, &refusal);
            return refusal.into_response();
        }
    };
    let addressing = if request.channel.is_some() {
        Addressing::Path
    } else {
        Addressing::Event
    };
    let batch = with_reader(context.gateway.clock(), &context.settings(), |reader| {
        parse(request.media, headers, &bytes, addressing, reader)
    });
    let mut batch = batch;
    context
        .learn(batch.channels.iter().map(|name| &**name))
        .await;
    if let Some(key) = &request.wishes.idempotency {
        batch.name_after(key);
    }
    answer(context, &request, batch).await
}

fn parse<'a>(
    media: Media,
    headers: &HeaderMap,
    body: &'a [u8],
    addressing: Addressing,
    reader: &mut ParseContext<'_>,
) -> Batch<'a> {
    match media {
        Media::Json => batch::json(body, addressing, reader),
        Media::NdJson => batch::ndjson(body, addressing, reader),
        Media::CloudEvent => batch::single(body, cloudevents::read, addressing, reader),
        Media::CloudEventBatch => batch::array(body, cloudevents::read, addressing, reader),
        Media::CloudEventBinary(kind) => {
            let mut batch = Batch::default();
            batch.push(cloudevents::read_binary(
                headers, body, kind, addressing, reader,
            ));
            batch
        }
    }
}

async fn answer(context: &ApiContext, request: &Request, mut batch: Batch<'_>) -> Response {
    let (wishes, channel) = (&request.wishes, request.channel.as_ref());
    let total = batch.total();
    let waiter = wishes
        .wait
        .map(|timeout| (context.gateway.waiter(), timeout));
    if let Some((waiter, _)) = &waiter {
        batch
            .events
            .iter_mut()
            .for_each(|event| event.waiter = waiter.id());
    }
    let offered = if wishes.atomic {
        admission::offer_all(context, &request.caller, Transport::Http, channel, batch)
    } else {
        let caller = &request.caller;
        Ok(admission::offer(
            context,
            caller,
            Transport::Http,
            channel,
            batch,
        ))
    };
    let mut tally = match offered {
        Ok(tally) => tally,
        Err(refused) => return none(refused, total),
    };
    if let Err(why) = admission::finish(context, Transport::Http, wishes.wait, &mut tally).await {
        return Refusal::from(why).into_response();
    }
    if wishes.atomic
        && let Some(refused) = tally.refused.pop()
    {
        return none(refused, total);
    }
    if tally.is_refusal() {
        return refused(&tally, total);
    }
    match waiter {
        None => accepted(&tally),
        Some((waiter, timeout)) => {
            let (here, following) = (tally.accepted_here(), std::mem::take(&mut tally.following));
            let elsewhere = tally.accepted - here;
            let ends = tokio::select! {
                ends = Tally::ended(following, waiter.ended(here, timeout), timeout) => ends,
                () = context.reaches(Life::Stopping) => {
                    let pending = Ends { pending: elsewhere, ..Ends::default() };
                    waiter.ended(here, Duration::ZERO).await.and(pending)
                }
            };
            ended(&tally, ends)
        }
    }
}

/// Of events that are taken all or none, one was refused.
fn none((index, refusal): (usize, Refusal), total: usize) -> Response {
    if total > 1 {
        return refusal.problem(&format!(r#","index":{index}"#));
    }
    refusal.into_response()
}

/// Every event was refused: the answer is the first one's.
pub(crate) fn refused(tally: &Tally, total: usize) -> Response {
    match tally.refused.first() {
        Some((_, first)) if total == 1 => first.problem(""),
        Some((_, first)) => first.problem_with(|body| {
            body.push(',');
            write_rejected(body, tally);
        }),
        // A batch has at least one event, so this cannot be reached; it would be no success.
        None => Refusal::malformed("there is no event in it").into_response(),
    }
}

pub(crate) fn accepted(tally: &Tally) -> Response {
    let mut body = String::with_capacity(96);
    body.push('{');
    write_tally(&mut body, tally);
    body.push_str(r#","queued":"#);
    push_number(&mut body, tally.standing.queued);
    body.push_str(r#","eta_ms":"#);
    match tally.standing.eta_ms() {
        Some(eta_ms) => push_number(&mut body, eta_ms),
        None => body.push_str("null"),
    }
    body.push('}');
    let mut response = json(StatusCode::ACCEPTED, body);
    if let Some((_, refusal)) = tally.refused.iter().find(|(_, it)| it.limit.is_some()) {
        refusal.write_limit(response.headers_mut());
    }
    response
}

fn push_number(out: &mut String, number: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(number));
}

fn ended(tally: &Tally, ends: Ends) -> Response {
    let mut body = String::from("{");
    let _ = write!(
        body,
        r#""delivered":{},"ended":{{"merged":{},"expired":{},"cancelled":{},"evicted":{},"dead_lettered":{}}},"pending":{},"#,
        ends.delivered,
        ends.merged,
        ends.expired,
        ends.cancelled,
        ends.evicted,
        ends.dead_lettered,
        ends.pending,
    );
    write_tally(&mut body, tally);
    body.push('}');
    json(
        if ends.pending == 0 {
            StatusCode::OK
        } else {
            StatusCode::ACCEPTED
        },
        body,
    )
}

/// A refusal in an answer takes about this beside its detail.
const REJECTED_BYTES: usize = 64;

fn write_tally(out: &mut String, tally: &Tally) {
    out.push_str(r#""accepted":"#);
    push_number(out, tally.accepted);
    out.push_str(r#","duplicates":"#);
    push_number(out, tally.duplicates.len());
    if !tally.duplicates.is_empty() {
        out.push_str(r#","duplicate":["#);
        for (nth, index) in tally.duplicates.iter().enumerate() {
            if nth > 0 {
                out.push(',');
            }
            push_number(out, *index);
        }
        out.push(']');
    }
    out.push(',');
    write_rejected(out, tally);
}

fn write_rejected(out: &mut String, tally: &Tally) {
    // At once: what grows is there twice while it moves.
    let details = tally
        .refused
        .iter()
        .map(|(_, refusal)| refusal.detail.len());
    out.reserve(details.map(|detail| detail + REJECTED_BYTES).sum());
    out.push_str(r#""rejected":["#);
    for (nth, (index, refusal)) in tally.refused.iter().enumerate() {
        let _ = write!(
            out,
            r#"{}{{"index":{index},"#,
            if nth == 0 { "" } else { "," }
        );
        refusal.write_members(out);
        out.push('}');
    }
    out.push(']');
}

answers! {
    /// To events.
    PublishAnswers: Answers::new()
        .json(200, "With `wait=delivered`: every event has ended.", reference::<schemas::Ended>())
        .json(
            202,
            "At least one event was accepted or was a duplicate; they are as durable as `journal.mode` says. With `wait=delivered`: some had not ended in time.",
            serde_json::json!({"anyOf": [reference::<schemas::Accepted>(), reference::<schemas::Ended>()]}),
        )
        .refused(&BODY)
        .refused(&CHANNEL)
        .refused(&[
            Code::Malformed, Code::ChannelOffline, Code::EventTooLarge, Code::UnsupportedMediaType, Code::InvalidEvent,
            Code::QueueFull, Code::WouldExpire, Code::RateLimited, Code::Draining,
        ]);
}
