//! The state of a channel's keys: read, and taken back.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use engine::StateEntry;
use serde::Serialize;
use serde_json::value::RawValue;

use super::json::json_of;
use super::openapi::answers::{Answers, CHANNEL, answers};
use super::openapi::schemas::reference;
use super::openapi::{self, params};
use crate::config::Scope;
use crate::dispatch::KeptState;
use crate::ingest::context::{ApiContext, Authenticated, Request, named};
use crate::ingest::parse::query::Query;
use crate::refusal::{Code, Refusal};
use crate::telemetry::actions::Action;

/// The channel in the path.
type ChannelPath = Result<Path<String>, PathRejection>;

/// The state of a channel, in the form that players read.
#[derive(Serialize, utoipa::ToSchema)]
pub struct StateReport {
    /// 1.
    v: u8,
    /// The state is that after every payload with a smaller `n`.
    n: u64,
    /// Every key, in the order of their names.
    s: Vec<KeyState>,
}

/// One key of a channel's state.
#[derive(Serialize, utoipa::ToSchema)]
pub struct KeyState {
    /// The key.
    #[schema(value_type = String)]
    k: Arc<str>,
    /// Its value: any JSON.
    #[schema(value_type = serde_json::Value)]
    d: Box<RawValue>,
    /// The type of the last event that changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    t: Option<Arc<str>>,
    /// How that event merged: `replace`, `sum`, `max`, `min` or `patch`.
    m: &'static str,
}

impl StateReport {
    fn of(state: KeptState) -> Self {
        Self {
            v: 1,
            n: state.n,
            s: state.entries.into_iter().filter_map(KeyState::of).collect(),
        }
    }
}

impl KeyState {
    /// None: its value is no JSON, which the engine excludes.
    fn of(entry: StateEntry) -> Option<Self> {
        Some(Self {
            k: entry.key,
            d: RawValue::from_string(entry.data.as_ref().to_owned()).ok()?,
            t: entry.kind,
            m: entry.merge.name(),
        })
    }
}

fn keeps_none() -> Refusal {
    let what = "the channel keeps no state: set keyframes = true for it";
    Refusal::new(Code::NotFound, what)
}

/// Returns the newest state of a channel: the value of each key that merging events changed.
///
/// Only where `keyframes = true`. A value changes when its payload ends.
#[utoipa::path(
    get, path = "/v1/channels/{channel}/state", tag = openapi::CHANNELS, operation_id = "getState",
    params(params::Channel), responses(StateAnswers)
)]
pub(super) async fn get(
    State(context): State<Arc<ApiContext>>,
    Authenticated(caller): Authenticated,
    path: ChannelPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let channel = context.channel(&caller, Scope::Read, &named(path)?)?;
    Query::of(query.as_deref(), &[])?;
    let state = context.gateway.state(&channel).ok_or_else(keeps_none)?;
    Ok(json_of(&StateReport::of(state)))
}

/// The same for the console, which asks before it knows whether there is any: null where the channel keeps none.
pub(super) async fn kept(
    State(context): State<Arc<ApiContext>>,
    Authenticated(caller): Authenticated,
    path: ChannelPath,
) -> Result<Response, Refusal> {
    let channel = context.channel(&caller, Scope::Read, &named(path)?)?;
    let state = context.gateway.state(&channel).map(StateReport::of);
    Ok(json_of(&state))
}

/// Deletes a key of a channel's state, or with `all=true` every key.
///
/// Viewers learn it with the next payload that has room for it; until then the key is still there.
/// `all=true` takes effect at once, and whatever is on its way counts for no state.
#[utoipa::path(
    delete, path = "/v1/channels/{channel}/state", tag = openapi::CHANNELS, operation_id = "deleteState",
    params(params::Channel, params::DeletingState), responses(DeleteAnswers)
)]
pub(super) async fn delete(
    State(context): State<Arc<ApiContext>>,
    Authenticated(caller): Authenticated,
    request: Request,
    path: ChannelPath,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Refusal> {
    let channel = context.channel(&caller, Scope::Control, &named(path)?)?;
    let [key] = Query::filters_or_all(query.as_deref(), ["key"], "deleting state", "every key")?;
    if !context
        .gateway
        .delete_state(&channel, key.as_deref())
        .await?
    {
        return Err(keeps_none());
    }
    let action = if key.is_some() {
        Action::DeletedKey
    } else {
        Action::ClearedState
    };
    request.by(&caller).did(action, &channel.name());
    Ok(StatusCode::NO_CONTENT)
}

answers! {
    /// To a question about the state.
    StateAnswers: Answers::new()
        .json(200, "The state.", reference::<StateReport>())
        .refused(&CHANNEL)
        .refused(&[Code::Malformed, Code::NotFound]);
    /// To a deletion.
    DeleteAnswers: Answers::new()
        .empty(204, "It will be deleted, or is.")
        .refused(&CHANNEL)
        .refused(&[Code::Malformed, Code::NotFound]);
}
