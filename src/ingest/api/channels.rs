//! Status, cancellation, purge, pause and resume: what acts on a channel rather than
//! publishing to it. Works while draining too.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use engine::Cancelled;
use serde::Serialize;

use super::json::{json, json_of};
use super::openapi::answers::{Answers, CALLER, CHANNEL, answers};
use super::openapi::schemas::{self, reference};
use super::openapi::{self, params};
use crate::access::Caller;
use crate::config::{Scope, Settings, UpstreamMode};
use crate::dispatch::ChannelReport;
use crate::ingest::context::{ApiContext, Authenticated, Request, named};
use crate::ingest::parse::query::Query;
use crate::refusal::{Code, Refusal};
use crate::telemetry::actions::Action;

/// The channel in the path.
type ChannelPath = Result<Path<String>, PathRejection>;

/// Returns the status of a channel.
///
/// The limits in force, what is queued and how long it takes, tokens, state, the last error, and
/// how events ended since the start.
#[utoipa::path(
    get, path = "/v1/channels/{channel}", tag = openapi::CHANNELS, operation_id = "getChannel",
    params(params::Channel), responses(StatusAnswers)
)]
pub(super) async fn status(
    State(context): State<Arc<ApiContext>>,
    Authenticated(caller): Authenticated,
    path: ChannelPath,
) -> Result<Response, Refusal> {
    let channel = context.channel(&caller, Scope::Read, &named(path)?)?;
    Ok(json_of(&context.gateway.report(&channel)))
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
    params(params::Paging), responses(ListAnswers)
)]
pub(super) async fn list(
    State(context): State<Arc<ApiContext>>,
    Authenticated(caller): Authenticated,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = Query::of(query.as_deref(), &["limit", "after"])?;
    let (page, _) = page(&context, &caller, query)?;
    Ok(json_of(&page))
}

/// `GET /admin/channels?limit=&after=&q=`: the same of those whose name or ARN contains `q`,
/// and how many these are.
///
/// # Errors
/// `malformed`.
pub async fn search(
    State(context): State<Arc<ApiContext>>,
    Authenticated(caller): Authenticated,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = Query::of(query.as_deref(), &["limit", "after", "q"])?;
    let (page, total) = page(&context, &caller, query)?;
    Ok(json_of(&Page {
        total: Some(total),
        ..page
    }))
}

/// A page of the channels that the caller may use.
fn page(
    context: &ApiContext,
    caller: &Caller,
    mut query: Query<'_>,
) -> Result<(Page, usize), Refusal> {
    context.may(caller, Scope::Read)?;
    let limit = query.limit()?;
    let after = query.take("after");
    let part = query.take("q").unwrap_or_default().to_ascii_lowercase();
    let contains = |text: &str| part.is_empty() || text.to_ascii_lowercase().contains(&part);
    let wanted = |name: &str, arn: &str| {
        (contains(name) || contains(arn)) && (caller.may_use(name) || caller.may_use(arn))
    };
    // One more than is shown says whether there is a next page.
    let (mut channels, total) = context.gateway.find(wanted, after.as_deref(), limit + 1);
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
        upstream: Upstream::of(&context.settings()),
    };
    Ok((page, total))
}

/// Cancels an event that has not been sent.
///
/// An event's end is remembered for the channel's `dedup_window_ms`.
#[utoipa::path(
    delete, path = "/v1/channels/{channel}/events/{id}", tag = openapi::EVENTS, operation_id = "cancel",
    params(params::Channel, params::EventId), responses(CancelAnswers)
)]
pub(super) async fn cancel(
    State(context): State<Arc<ApiContext>>,
    Authenticated(caller): Authenticated,
    request: Request,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<StatusCode, Refusal> {
    let Path((name, id)) =
        path.map_err(|_| Refusal::new(Code::UnknownEvent, "the path is not UTF-8"))?;
    let channel = context.channel(&caller, Scope::Control, &name)?;
    match context.gateway.cancel(&channel, &id).await? {
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
    params(params::Channel, params::Purging), responses(PurgeAnswers)
)]
pub(super) async fn purge(
    State(context): State<Arc<ApiContext>>,
    Authenticated(caller): Authenticated,
    request: Request,
    path: ChannelPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let channel = context.channel(&caller, Scope::Control, &named(path)?)?;
    let (doing, everything) = ("a purge", "everything that is queued");
    let [kind, key] = Query::filters_or_all(query.as_deref(), ["type", "key"], doing, everything)?;
    let cancelled = context
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

/// Pauses a channel: nothing is sent until it is resumed.
///
/// Events are still accepted, and still expire. A pause survives restarts and reloads; with
/// `journal.mode = "off"` it ends with the process.
#[utoipa::path(
    post, path = "/v1/channels/{channel}/pause", tag = openapi::CHANNELS, operation_id = "pause",
    params(params::Channel), responses(PauseAnswers)
)]
pub(super) async fn pause(
    State(context): State<Arc<ApiContext>>,
    Authenticated(caller): Authenticated,
    request: Request,
    path: ChannelPath,
) -> Result<StatusCode, Refusal> {
    let channel = context.channel(&caller, Scope::Control, &named(path)?)?;
    let kept = context.gateway.pause(&channel)?;
    // It holds from here on, whatever becomes of the journal.
    request.by(&caller).did(Action::Paused, &channel.name());
    context.gateway.durable(kept).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Resumes a paused channel.
#[utoipa::path(
    post, path = "/v1/channels/{channel}/resume", tag = openapi::CHANNELS, operation_id = "resume",
    params(params::Channel), responses(PauseAnswers)
)]
pub(super) async fn resume(
    State(context): State<Arc<ApiContext>>,
    Authenticated(caller): Authenticated,
    request: Request,
    path: ChannelPath,
) -> Result<StatusCode, Refusal> {
    let channel = context.channel(&caller, Scope::Control, &named(path)?)?;
    let kept = context.gateway.resume(&channel)?;
    request.by(&caller).did(Action::Resumed, &channel.name());
    context.gateway.durable(kept).await?;
    Ok(StatusCode::NO_CONTENT)
}

answers! {
    /// To a cancellation.
    CancelAnswers: Answers::new()
        .empty(204, "The event is cancelled.")
        .refused(&CHANNEL)
        .refused(&[Code::UnknownEvent, Code::AlreadySent]);
    /// To a purge.
    PurgeAnswers: Answers::new()
        .json(200, "The events are cancelled.", reference::<schemas::Cancelled>())
        .refused(&CHANNEL)
        .refused(&[Code::Malformed]);
    /// To a pause or its end.
    PauseAnswers: Answers::new().empty(204, "Done.").refused(&CHANNEL);
    /// To a question about a channel.
    StatusAnswers: Answers::new().json(200, "The channel's status.", reference::<ChannelReport>()).refused(&CHANNEL);
    /// To a question about all.
    ListAnswers: Answers::new()
        .json(200, "One page, ordered by name, of the channels that the key may use.", reference::<Page>())
        .refused(&CALLER)
        .refused(&[Code::Malformed]);
}
