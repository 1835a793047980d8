//! Status, cancellation, purge, pause and resume: what acts on a channel rather than
//! publishing to it. Works while draining too.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use engine::Cancelled;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;

use super::json::{json, json_of};
use super::openapi::answers::{Answers, CALLER, CHANNEL, answers};
use super::openapi::schemas::{self, reference};
use super::openapi::{self, params};
use crate::access::Caller;
use crate::config::{Scope, Settings, UpstreamMode};
use crate::dispatch::{Asked, ChannelReport};
use crate::ingest::context::{ApiContext, Authenticated, Request, named};
use crate::ingest::parse::query::Query;
use crate::refusal::{Code, Refusal};
use crate::telemetry::actions::Action;

/// Most bytes of a page of another node's.
const PAGE_MAX_BYTES: usize = 64 << 20;

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
    #[schema(value_type = Vec<ChannelReport>)]
    channels: Vec<Box<RawValue>>,
    /// The value of `after` for the next page; null on the last page.
    #[schema(value_type = Option<String>, required = true)]
    next: Option<String>,
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
    let (page, _) = page(&context, &caller, query).await?;
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
    let (page, total) = page(&context, &caller, query).await?;
    Ok(json_of(&Page {
        total: Some(total),
        ..page
    }))
}

/// A page of the channels that the caller may use, be they of this node's accounts or others'.
async fn page(
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
    let (channels, total) = context.gateway.find(wanted, after.as_deref(), limit + 1);
    let mut listed = Listed::of(channels, total)?;
    listed
        .add_others(context, caller, limit, after.as_deref(), &part)
        .await?;
    let Listed {
        channels,
        total,
        more,
    } = listed;
    let more = more || channels.len() > limit;
    let last = channels.keys().take(limit).next_back();
    let next = last.filter(|_| more).cloned();
    let page = Page {
        channels: channels.into_values().take(limit).collect(),
        next,
        total: None,
        upstream: Upstream::of(&context.settings()),
    };
    Ok((page, total))
}

/// Channels by name, and how many there are in all.
struct Listed {
    channels: BTreeMap<String, Box<RawValue>>,
    total: usize,
    /// Another node has more than it told.
    more: bool,
}

/// A page of another node's.
#[derive(Deserialize)]
struct Theirs {
    channels: Vec<Box<RawValue>>,
    next: Option<String>,
    total: usize,
}

/// Of a channel's status.
#[derive(Deserialize)]
struct Name {
    channel: String,
}

impl Listed {
    fn of(channels: Vec<ChannelReport>, total: usize) -> Result<Self, Refusal> {
        let channels = channels.into_iter().map(|report| {
            let text = to_raw_value(&report).map_err(|error| unreadable(&error))?;
            Ok((report.channel.to_string(), text))
        });
        let channels = channels.collect::<Result<_, Refusal>>()?;
        Ok(Self {
            channels,
            total,
            more: false,
        })
    }

    /// Adds as many of each other node of a cluster.
    async fn add_others(
        &mut self,
        context: &ApiContext,
        caller: &Caller,
        limit: usize,
        after: Option<&str>,
        part: &str,
    ) -> Result<(), Refusal> {
        let Some(others) = context.others() else {
            return Ok(());
        };
        let asked = Asked {
            channels: caller.patterns(),
            ..Asked::get(caller.name(), path_of(limit, after, part))
        };
        let until = Instant::now() + context.settings().cluster.hold;
        for answer in others.each(&asked, until).await? {
            let text = answer.whole(PAGE_MAX_BYTES).await;
            let text = text.map_err(|error| unreadable(&error))?;
            let theirs: Theirs =
                serde_json::from_slice(&text).map_err(|error| unreadable(&error))?;
            self.total += theirs.total;
            self.more |= theirs.next.is_some();
            for report in theirs.channels {
                let name: Name =
                    serde_json::from_str(report.get()).map_err(|error| unreadable(&error))?;
                self.channels.insert(name.channel, report);
            }
        }
        Ok(())
    }
}

/// Where another node has its page.
fn path_of(limit: usize, after: Option<&str>, part: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &limit.to_string());
    query.append_pair("q", part);
    if let Some(after) = after {
        query.append_pair("after", after);
    }
    format!("/admin/channels?{}", query.finish())
}

fn unreadable(error: &dyn std::error::Error) -> Refusal {
    tracing::error!(%error, "a part of the list of channels cannot be read");
    let detail = "a part of the list cannot be read at present";
    Refusal::new(Code::Overloaded, detail).retry_after(1000)
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
