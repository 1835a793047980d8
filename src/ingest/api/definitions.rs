//! Channels made, changed and removed by API. Works while draining too: what is asked for is kept.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::json::json_of;
use super::openapi::answers::{Answers, BODY, CALLER, answers};
use super::openapi::schemas::{self, reference};
use super::openapi::{self, params};
use crate::access::Caller;
use crate::config::{Misdefined, Scope};
use crate::dispatch::{ChannelReport, NotDefined, Outcome};
use crate::ingest::context::{ApiContext, Authenticated, Request, named};
use crate::ingest::limits::DEFINITION_MAX_BYTES;
use crate::ingest::parse::body;
use crate::ingest::parse::content_type::{self, Coding, Media};
use crate::ingest::parse::query::Query;
use crate::refusal::{Code, Refusal};
use crate::telemetry::actions::Action;

/// The alias in the path.
type AliasPath = Result<Path<String>, PathRejection>;

/// Makes a channel, or changes it.
///
/// It is listed like those of the configuration file, and kept in the journal. The body is the whole of it: a
/// setting that is not there is that of `channel_defaults`. Sent again, it changes nothing. A channel of the
/// configuration file is changed there. Needs the scope `admin`.
#[utoipa::path(
    put, path = "/v1/channels/{channel}", tag = openapi::CHANNELS, operation_id = "putChannel",
    params(params::Alias),
    request_body(content((schemas::ChannelDefinition = "application/json"))),
    responses(PutAnswers)
)]
pub(super) async fn put(
    State(context): State<Arc<ApiContext>>,
    path: AliasPath,
    request: axum::extract::Request,
) -> Response {
    let (head, body) = request.into_parts();
    match Wanted::of(&context, path, &head) {
        Ok(wanted) => {
            let answer = wanted.make(&context, &head, body).await;
            answer.unwrap_or_else(refused)
        }
        Err(refusal) => {
            body::discard(&head.headers, body).await;
            refusal.into_response()
        }
    }
}

/// What is known of a request before its body is read.
struct Wanted {
    caller: Arc<Caller>,
    alias: String,
    coding: Coding,
}

impl Wanted {
    fn of(context: &ApiContext, path: AliasPath, head: &Parts) -> Result<Self, Refusal> {
        let caller = context.caller(&head.headers, &head.extensions)?;
        context.may(&caller, Scope::Admin)?;
        let alias = named(path)?;
        Query::of(head.uri.query(), &[])?;
        let coding = content_type::coding(&head.headers)?;
        if content_type::of(&head.headers)? != Media::Json {
            let what = "a channel is made by JSON: Content-Type: application/json";
            return Err(Refusal::new(Code::UnsupportedMediaType, what));
        }
        Ok(Self {
            caller,
            alias,
            coding,
        })
    }

    async fn make(
        &self,
        context: &ApiContext,
        head: &Parts,
        body: Body,
    ) -> Result<Response, Refused> {
        let text = self.read(context, head, body).await?;
        if let Some(others) = context.gateway.others() {
            // Another may have made it, or one of its alias.
            others.learn().await;
        }
        let defining = context.gateway.define(&self.alias, &text).await?;
        if defining.renames {
            context.keyring.ask_again();
        }
        let action = match defining.outcome {
            Outcome::Made => Some(Action::Made),
            Outcome::Changed => Some(Action::Changed),
            Outcome::Same => None,
        };
        if let Some(action) = action {
            let request = Request::of(&head.extensions);
            request.by(&self.caller).did(action, &self.alias);
        }
        let mut response = json_of(&context.gateway.report(&defining.channel));
        if defining.outcome == Outcome::Made {
            *response.status_mut() = StatusCode::CREATED;
        }
        Ok(response)
    }

    async fn read(
        &self,
        context: &ApiContext,
        head: &Parts,
        body: Body,
    ) -> Result<String, Refusal> {
        let own = self.caller.limits().map(|limits| &limits.bodies);
        let (max, bodies) = (DEFINITION_MAX_BYTES, &context.bodies);
        let bytes = body::read(&head.headers, body, self.coding, max, bodies, own).await?;
        String::from_utf8(bytes.into()).map_err(|_| Refusal::malformed("the body is not UTF-8"))
    }
}

/// Why nothing was made.
enum Refused {
    /// Before it was looked into.
    Early(Refusal),
    NotDefined(NotDefined),
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Early(refusal)
    }
}

impl From<NotDefined> for Refused {
    fn from(why: NotDefined) -> Self {
        Self::NotDefined(why)
    }
}

/// The problem document; of faults with each of them, as a reload of the configuration has it.
fn refused(why: Refused) -> Response {
    match why {
        Refused::Early(refusal) => refusal.into_response(),
        Refused::NotDefined(NotDefined::Misdefined(Misdefined::Faults(faults))) => {
            let errors = serde_json::Value::from(faults.clone());
            let refusal = Refusal::from(NotDefined::Misdefined(Misdefined::Faults(faults)));
            refusal.problem(&format!(r#","errors":{errors}"#))
        }
        Refused::NotDefined(why) => Refusal::from(why).into_response(),
    }
}

/// Removes a channel that was made by API.
///
/// While events wait in it that is refused, unless `force=true`: then they leave as those of a channel that a
/// reload removes, and nobody can send more. Needs the scope `admin`.
#[utoipa::path(
    delete, path = "/v1/channels/{channel}", tag = openapi::CHANNELS, operation_id = "deleteChannel",
    params(params::Alias, params::Removing), responses(DeleteAnswers)
)]
pub(super) async fn delete(
    State(context): State<Arc<ApiContext>>,
    Authenticated(caller): Authenticated,
    request: Request,
    path: AliasPath,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Refusal> {
    context.may(&caller, Scope::Admin)?;
    let alias = named(path)?;
    let mut query = Query::of(query.as_deref(), &["force"])?;
    let force = match query.take("force").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Refusal::malformed("force is neither true nor false")),
    };
    context.learn(std::iter::once(&*alias)).await;
    context.gateway.remove(&alias, force).await?;
    context.keyring.ask_again();
    request.by(&caller).did(Action::Removed, &alias);
    Ok(StatusCode::NO_CONTENT)
}

answers! {
    /// To a channel that is made or changed.
    PutAnswers: Answers::new()
        .json(200, "The channel was there: it is as asked for now.", reference::<ChannelReport>())
        .json(201, "The channel is made.", reference::<ChannelReport>())
        .refused(&BODY)
        .refused(&CALLER)
        .refused(&[
            Code::Malformed, Code::UnsupportedMediaType, Code::InvalidChannel, Code::ChannelConflict, Code::NoJournal,
            Code::UnknownChannel, Code::RateLimited, Code::Overloaded,
        ]);
    /// To a channel that is removed.
    DeleteAnswers: Answers::new()
        .empty(204, "The channel is removed.")
        .refused(&CALLER)
        .refused(&[Code::Malformed, Code::UnknownChannel, Code::ChannelConflict, Code::EventsWait, Code::Overloaded]);
}
