//! Status, cancellation, purge, pause and resume: what acts on a channel rather than
//! publishing to it. Works while draining too.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use engine::Cancelled;
use serde::Serialize;

use super::door::{Door, Known, Request};
use super::http::{json, named};
use super::limits::{PAGE_DEFAULT, PAGE_MAX};
use super::openapi::{self, answers, params};
use super::query::Query;
use super::refusal::{Code, Refusal};
use crate::access::Caller;
use crate::config::{Scope, Settings, UpstreamMode};
use crate::dispatch::ChannelReport;
use crate::telemetry::actions::Action;

/// The channel in the path.
type ChannelPath = Result<Path<String>, PathRejection>;

/// Returns the status of a channel.
///
/// The limits in force, what is queued and how long it takes, tokens, state, the last error, and
/// how events ended since the start.
#[utoipa::path(
    get, path = "/v1/channels/{channel}", tag = openapi::CHANNELS, operation_id = "getChannel",
    params(params::Channel), responses(answers::Channel)
)]
pub(super) async fn status(
    State(door): State<Arc<Door>>,
    Known(caller): Known,
    path: ChannelPath,
) -> Result<Response, Refusal> {
    let channel = door.channel(&caller, Scope::Read, &named(path)?)?;
    Ok(json_of(&door.gateway.report(&channel)))
}

/// A page of `GET /v1/channels`.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ChannelPage)]
pub struct Page {
    /// The status of each.
    channels: Vec<ChannelReport>,
    /// The value of `after` for the next page; null on the last page.
    #[schema(value_type = Option<String>, required = true)]
    next: Option<Arc<str>>,
    /// How many there are on all pages, for people: the console's.
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<usize>,
    upstream: Upstream,
}

/// Where payloads go.
#[derive(Serialize, utoipa::ToSchema)]
struct Upstream {
    /// `local` or `aws`.
    mode: &'static str,
    /// In local mode, the emulator's own address.
    #[schema(required = true)]
    local_ivs: Option<String>,
}

impl Upstream {
    fn of(settings: &Settings) -> Self {
        match settings.upstream.mode {
            UpstreamMode::Local => Self {
                mode: "local",
                local_ivs: Some(format!("http://{}", settings.local_ivs.listen)),
            },
            UpstreamMode::Aws => Self {
                mode: "aws",
                local_ivs: None,
            },
        }
    }
}

/// Returns the status of all channels, a page at a time.
#[utoipa::path(
    get, path = "/v1/channels", tag = openapi::CHANNELS, operation_id = "listChannels",
    params(params::Paging), responses(answers::Channels)
)]
pub(super) async fn list(
    State(door): State<Arc<Door>>,
    Known(caller): Known,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = Query::of(query.as_deref(), &["limit", "after"])?;
    let (page, _) = page(&door, &caller, query)?;
    Ok(json_of(&page))
}

/// `GET /admin/channels?limit=&after=&q=`: the same of those whose name or ARN contains `q`,
/// and how many these are.
///
/// # Errors
/// `malformed`.
pub async fn search(
    State(door): State<Arc<Door>>,
    Known(caller): Known,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = Query::of(query.as_deref(), &["limit", "after", "q"])?;
    let (page, total) = page(&door, &caller, query)?;
    Ok(json_of(&Page {
        total: Some(total),
        ..page
    }))
}

/// A page of the channels that the caller may use.
fn page(door: &Door, caller: &Caller, mut query: Query<'_>) -> Result<(Page, usize), Refusal> {
    door.may(caller, Scope::Read)?;
    let limit = match query.take("limit") {
        None => PAGE_DEFAULT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|n| (1..=PAGE_MAX).contains(n))
            .ok_or_else(|| {
                Refusal::malformed(format!("limit is not an integer from 1 to {PAGE_MAX}"))
            })?,
    };
    let after = query.take("after");
    let part = query.take("q").unwrap_or_default().to_ascii_lowercase();
    let contains = |text: &str| part.is_empty() || text.to_ascii_lowercase().contains(&part);
    let wanted = |name: &str, arn: &str| {
        (contains(name) || contains(arn)) && (caller.may_use(name) || caller.may_use(arn))
    };
    // One more than is shown says whether there is a next page.
    let (mut channels, total) = door.gateway.find(wanted, after.as_deref(), limit + 1);
    let more = channels.len() > limit;
    channels.truncate(limit);
    let next = channels
        .last()
        .filter(|_| more)
        .map(|last| Arc::clone(&last.channel));
    let page = Page {
        channels,
        next,
        total: None,
        upstream: Upstream::of(&door.settings()),
    };
    Ok((page, total))
}

/// Cancels an event that has not been sent.
///
/// An event's end is remembered for the channel's `dedup_window_ms`.
#[utoipa::path(
    delete, path = "/v1/channels/{channel}/events/{id}", tag = openapi::EVENTS, operation_id = "cancel",
    params(params::Channel, params::EventId), responses(answers::Cancelling)
)]
pub(super) async fn cancel(
    State(door): State<Arc<Door>>,
    Known(caller): Known,
    request: Request,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<StatusCode, Refusal> {
    let Path((name, id)) =
        path.map_err(|_| Refusal::new(Code::UnknownEvent, "the path is not UTF-8"))?;
    let channel = door.channel(&caller, Scope::Control, &name)?;
    match door.gateway.cancel(&channel, &id).await? {
        Cancelled::Done => {
            request.by(&caller).did(Action::Cancelled, &channel.name());
            Ok(StatusCode::NO_CONTENT)
        }
        Cancelled::NeverSeen => Err(Refusal::new(
            Code::UnknownEvent,
            "no event with this id is remembered",
        )),
        Cancelled::Gone => Err(Refusal::new(
            Code::AlreadySent,
            "the event was sent or merged, or has ended otherwise",
        )),
    }
}

/// Cancels the queued events of a type, a key or both, or with `all=true` every queued event.
#[utoipa::path(
    delete, path = "/v1/channels/{channel}/events", tag = openapi::EVENTS, operation_id = "purge",
    params(params::Channel, params::Purging), responses(answers::Purged)
)]
pub(super) async fn purge(
    State(door): State<Arc<Door>>,
    Known(caller): Known,
    request: Request,
    path: ChannelPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let channel = door.channel(&caller, Scope::Control, &named(path)?)?;
    let (kind, key) = purged(query.as_deref())?;
    let cancelled = door
        .gateway
        .purge(&channel, kind.as_deref(), key.as_deref())
        .await?;
    let purged = Action::Purged(cancelled);
    request.by(&caller).did(purged, &channel.name());
    Ok(json(
        StatusCode::OK,
        format!(r#"{{"cancelled":{cancelled}}}"#),
    ))
}

/// What a purge is for: a type, a key or both, or neither with `all=true`. A filter that was
/// forgotten or came out empty must not become everything.
fn purged(query: Option<&str>) -> Result<(Option<String>, Option<String>), Refusal> {
    let mut query = Query::of(query, &["type", "key", "all"])?;
    let mut filter = |name: &str| match query.take(name) {
        Some(value) if value.is_empty() => Err(Refusal::malformed(format!("{name} is empty"))),
        value => Ok(value.map(Cow::into_owned)),
    };
    let (kind, key) = (filter("type")?, filter("key")?);
    match (
        query.take("all").as_deref(),
        kind.is_some() || key.is_some(),
    ) {
        (None, true) | (Some("true"), false) => Ok((kind, key)),
        (None, false) => Err(Refusal::malformed(
            "a purge needs type or key, or all=true for everything that is queued",
        )),
        (Some("true"), true) => Err(Refusal::malformed("all does not go with type or key")),
        (Some(_), _) => Err(Refusal::malformed("all can only be true")),
    }
}

/// Pauses a channel: nothing is sent until it is resumed.
///
/// Events are still accepted, and still expire. A pause survives restarts and reloads; with
/// `journal.mode = "off"` it ends with the process.
#[utoipa::path(
    post, path = "/v1/channels/{channel}/pause", tag = openapi::CHANNELS, operation_id = "pause",
    params(params::Channel), responses(answers::Done)
)]
pub(super) async fn pause(
    State(door): State<Arc<Door>>,
    Known(caller): Known,
    request: Request,
    path: ChannelPath,
) -> Result<StatusCode, Refusal> {
    let channel = door.channel(&caller, Scope::Control, &named(path)?)?;
    let kept = door.gateway.pause(&channel);
    // It holds from here on, whatever becomes of the journal.
    request.by(&caller).did(Action::Paused, &channel.name());
    door.gateway.durable(kept).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Resumes a paused channel.
#[utoipa::path(
    post, path = "/v1/channels/{channel}/resume", tag = openapi::CHANNELS, operation_id = "resume",
    params(params::Channel), responses(answers::Done)
)]
pub(super) async fn resume(
    State(door): State<Arc<Door>>,
    Known(caller): Known,
    request: Request,
    path: ChannelPath,
) -> Result<StatusCode, Refusal> {
    let channel = door.channel(&caller, Scope::Control, &named(path)?)?;
    let kept = door.gateway.resume(&channel);
    request.by(&caller).did(Action::Resumed, &channel.name());
    door.gateway.durable(kept).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn json_of(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(body) => json(StatusCode::OK, body),
        Err(error) => {
            tracing::error!(%error, "a report could not be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
