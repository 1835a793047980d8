//! The IVS API's door: which operation a request means, and one call from its signature to
//! its answer, in the order of the real service.
//!
//! To add an operation: a row of its family's `OPERATIONS`, with the shape of its input and what
//! it does. To add a kind of resource: a file such as `failover_slates`, and a line of `table`.
//! Faults and connections are not known here, and the rules of resources are `state`'s.
//!
//! | room | what it holds |
//! |---|---|
//! | `operation`, `table` | what an operation is; all of them |
//! | `channels`, `stream_keys`, `streams`, `put_metadata`, `viewer_sessions`, `tags` | operations, by family |
//! | `playback_keys`, `recordings`, `restriction_policies`, `ad_configurations`, `failover_slates` | kinds of resources: what is their own |
//! | `documents` | what the operations on these kinds have in common |
//! | `page`, `session`, `public_key` | what several of them share, or what would make one too long |
//! | `error` | every error, its status and its words |

mod ad_configurations;
mod channels;
mod documents;
pub(crate) mod error;
mod failover_slates;
mod operation;
mod page;
mod playback_keys;
mod public_key;
mod put_metadata;
mod recordings;
mod restriction_policies;
mod session;
mod stream_keys;
mod streams;
mod table;
mod tags;
mod viewer_sessions;

use crate::arn::{ChannelArn, ResourceArn};
use crate::auth::Caller;
use crate::context::Shared;
use crate::state::Outcome;
use bytes::Bytes;
use error::ApiError;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
pub(crate) use operation::Operation;
use operation::{Read, Run};
use put_metadata::PutMetadata;
use serde_json::Value;

/// A request whose operation is known and whose input was read, right or wrong.
pub(crate) struct Call {
    pub(crate) operation: &'static Operation,
    /// The channel it is about, if that can be told.
    channel: Option<ChannelArn>,
    /// The ARNs that must be of the caller's account.
    arns: Vec<String>,
    /// An input that is wrong is kept, because a signature that is wrong comes first.
    input: Result<Input, ApiError>,
}

enum Input {
    PutMetadata(PutMetadata),
    Resources(Run),
}

impl Call {
    /// # Errors
    ///
    /// `UnknownOperationException`.
    pub(crate) fn read(parts: &Parts, body: &[u8]) -> Result<Self, ApiError> {
        let operation = table::route(&parts.method, parts.uri.path())?;
        let member = operation.channel_member();
        let (channel, arns, input) = match operation.input(parts, body) {
            Ok(input) => {
                let channel = member.and_then(|member| input.get(member)?.as_str());
                let channel = channel.and_then(ChannelArn::parse);
                let arns = operation.arns(&input);
                let input = match operation.read {
                    Read::PutMetadata => PutMetadata::read(&input).map(Input::PutMetadata),
                    Read::Resources(read) => read(&input).map(Input::Resources),
                };
                (channel, arns, input)
            }
            Err(error) => {
                // The books and the faults of a channel want to know even so.
                let body: Option<Value> = serde_json::from_slice(body).ok();
                let channel = member.and_then(|member| body.as_ref()?.get(member)?.as_str());
                let channel = channel.and_then(ChannelArn::parse);
                let error = ApiError::input(operation.name(), &error);
                (channel, Vec::new(), Err(error))
            }
        };
        Ok(Self {
            operation,
            channel,
            arns,
            input,
        })
    }

    pub(crate) fn channel(&self) -> Option<&str> {
        self.channel.as_ref().map(ChannelArn::as_str)
    }

    /// The resource of a refusal, if that can be told.
    fn resource(&self) -> Option<&str> {
        let first = self.arns.first().map(String::as_str);
        first.or_else(|| self.channel())
    }
}

/// Handles a call: signature, permission, input, rate, existence, state. It takes effect
/// here, whether or not anyone still waits for the answer.
pub(crate) fn handle(
    shared: &Shared,
    parts: &Parts,
    body: &[u8],
    call: &Call,
) -> Result<Response<Full<Bytes>>, ApiError> {
    let caller = authenticate(shared, parts, body, call)?;
    match &call.input {
        Ok(Input::PutMetadata(input)) => put_metadata::handle(shared, &caller, input),
        Ok(Input::Resources(run)) => handle_resources(shared, &caller, call, run),
        Err(error) => {
            if call.operation.is_put_metadata() {
                let (home, channel) = (Some(caller.home.as_str()), call.channel.as_ref());
                shared.state.note(home, channel, Outcome::Malformed);
            }
            Err(error.clone())
        }
    }
}

fn handle_resources(
    shared: &Shared,
    caller: &Caller,
    call: &Call,
    run: &Run,
) -> Result<Response<Full<Bytes>>, ApiError> {
    let action = call.operation.action;
    for arn in &call.arns {
        let account = ResourceArn::parse(arn);
        if account.is_some_and(|arn| arn.account() != caller.account) {
            return Err(ApiError::access_denied(caller, action, arn));
        }
    }
    let home = &caller.home;
    let mut ivs = shared
        .state
        .enter(home, action, call.operation.tps)
        .map_err(|refusal| ApiError::refused(refusal, action, home, home))?;
    let body = run(&mut ivs).map_err(ApiError::rejected)?;
    // Writing the answer needs no lock.
    drop(ivs);
    let bytes = match (body, call.operation.status()) {
        (_, StatusCode::NO_CONTENT) => Bytes::new(),
        (Value::Null, _) => Bytes::from_static(b"{}"),
        (body, _) => body.to_string().into(),
    };
    let has_body = !bytes.is_empty();
    let mut response = Response::new(Full::new(bytes));
    *response.status_mut() = call.operation.status();
    if has_body {
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
    }
    Ok(response)
}

/// Books a call whose body was too long to be read.
pub(crate) fn too_large(shared: &Shared, parts: &Parts) -> ApiError {
    match table::route(&parts.method, parts.uri.path()) {
        Ok(operation) => {
            if operation.is_put_metadata() {
                shared.state.note(None, None, Outcome::Oversize);
            }
            ApiError::body_too_large()
        }
        Err(unknown) => unknown,
    }
}

fn authenticate(
    shared: &Shared,
    parts: &Parts,
    body: &[u8],
    call: &Call,
) -> Result<Caller, ApiError> {
    let state = &shared.state;
    // The books tell how calls of `PutMetadata` end, and nothing of the others.
    let is_booked = call.operation.is_put_metadata();
    let caller = match shared.keys.authenticate(parts, body, state.clock()) {
        Ok(caller) => caller,
        Err(error) => {
            if is_booked {
                state.note(None, None, Outcome::Unauthenticated);
            }
            return Err(error.into());
        }
    };
    let action = call.operation.action;
    if !shared.keys.allows(&caller, action) {
        if is_booked {
            state.note(Some(&caller.home), None, Outcome::Denied);
        }
        let resource = call.resource().unwrap_or("*");
        return Err(ApiError::access_denied(&caller, action, resource));
    }
    Ok(caller)
}
