//! The IVS API's door: which operation a request means, and one call from its signature to
//! its answer, in the order of the real service.
//!
//! To add an operation: a row of `operation`'s table, and its input and answer in the file of
//! its family. Faults and connections are not known here, and the rules of resources are
//! `state`'s.
//!
//! | room | what it holds |
//! |---|---|
//! | `operation` | the table of operations: paths, rates, statuses |
//! | `channels`, `stream_keys`, `streams`, `playback_keys`, `recordings`, `tags`, `put_metadata` | inputs and answers, by family |
//! | `fields`, `validate` | reading a body; what a member must be |
//! | `page`, `batch`, `session`, `public_key` | what several of them share, or what would make one too long |
//! | `error` | every error, its status and its words |

mod batch;
mod channels;
pub(crate) mod error;
mod fields;
mod operation;
mod page;
mod playback_keys;
mod public_key;
mod put_metadata;
mod recordings;
mod session;
mod stream_keys;
mod streams;
mod tags;
mod validate;

use crate::arn::{ChannelArn, ResourceArn};
use crate::auth::Caller;
use crate::context::Shared;
use crate::state::{Outcome, Regional, Rejection};
use bytes::Bytes;
use error::ApiError;
use fields::Fields;
use http::request::Parts;
use http::{HeaderValue, Response, header};
use http_body_util::Full;
pub(crate) use operation::Operation;
use put_metadata::PutMetadata;
use serde_json::{Map, Value};

/// A request whose operation is known and whose body was read, right or wrong.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) operation: Operation,
    input: Input,
}

#[derive(Debug)]
enum Input {
    PutMetadata(Result<PutMetadata, put_metadata::Invalid>),
    Resources(Result<Resources, ApiError>),
}

/// The input of an operation other than `PutMetadata`.
#[derive(Debug)]
enum Resources {
    Channels(channels::Input),
    StreamKeys(stream_keys::Input),
    Streams(streams::Input),
    PlaybackKeys(playback_keys::Input),
    Recordings(recordings::Input),
    Tags(tags::Input),
}

impl Call {
    /// Reads a request; an input that is wrong is kept, because a signature that is wrong
    /// comes first.
    ///
    /// # Errors
    ///
    /// `UnknownOperationException`.
    pub(crate) fn read(parts: &Parts, body: &[u8]) -> Result<Self, ApiError> {
        let operation = Operation::route(&parts.method, parts.uri.path())?;
        let input = match operation {
            Operation::PutMetadata => Input::PutMetadata(PutMetadata::read(body)),
            _ => Input::Resources(Resources::read(operation, parts, body)),
        };
        Ok(Self { operation, input })
    }

    /// The channel it is about, if that can be told.
    pub(crate) fn channel(&self) -> Option<&str> {
        match &self.input {
            Input::PutMetadata(Ok(input)) => Some(input.channel.as_str()),
            Input::PutMetadata(Err(invalid)) => invalid.channel.as_ref().map(ChannelArn::as_str),
            Input::Resources(Ok(Resources::Channels(input))) => input.channel(),
            Input::Resources(Ok(Resources::StreamKeys(input))) => input.channel(),
            Input::Resources(Ok(Resources::Streams(input))) => input.channel(),
            Input::Resources(_) => None,
        }
    }

    /// The resource of a refusal, if that can be told.
    fn resource(&self) -> Option<&str> {
        match &self.input {
            Input::Resources(Ok(resources)) => resources.arns().first().copied(),
            _ => self.channel(),
        }
    }
}

impl Resources {
    fn read(operation: Operation, parts: &Parts, body: &[u8]) -> Result<Self, ApiError> {
        let body = match operation {
            // Their input is in the path and the query.
            Operation::ListTagsForResource | Operation::UntagResource => Map::new(),
            _ => fields::object(body)?,
        };
        let fields = Fields::new(&body);
        Ok(match operation {
            Operation::BatchGetChannel
            | Operation::CreateChannel
            | Operation::DeleteChannel
            | Operation::GetChannel
            | Operation::ListChannels
            | Operation::UpdateChannel => Self::Channels(channels::Input::read(operation, fields)?),
            Operation::BatchGetStreamKey
            | Operation::CreateStreamKey
            | Operation::DeleteStreamKey
            | Operation::GetStreamKey
            | Operation::ListStreamKeys => {
                Self::StreamKeys(stream_keys::Input::read(operation, fields)?)
            }
            Operation::GetStream
            | Operation::GetStreamSession
            | Operation::ListStreamSessions
            | Operation::ListStreams
            | Operation::PutMetadata
            | Operation::StopStream => Self::Streams(streams::Input::read(operation, fields)?),
            Operation::DeletePlaybackKeyPair
            | Operation::GetPlaybackKeyPair
            | Operation::ImportPlaybackKeyPair
            | Operation::ListPlaybackKeyPairs => {
                Self::PlaybackKeys(playback_keys::Input::read(operation, fields)?)
            }
            Operation::CreateRecordingConfiguration
            | Operation::DeleteRecordingConfiguration
            | Operation::GetRecordingConfiguration
            | Operation::ListRecordingConfigurations => {
                Self::Recordings(recordings::Input::read(operation, fields)?)
            }
            Operation::ListTagsForResource | Operation::TagResource | Operation::UntagResource => {
                Self::Tags(tags::Input::read(operation, &parts.uri, fields)?)
            }
        })
    }

    /// The ARNs that must be of the caller's account.
    fn arns(&self) -> Vec<&str> {
        match self {
            Self::Channels(input) => input.arns(),
            Self::StreamKeys(input) => input.arns(),
            Self::Streams(input) => input.channel().into_iter().collect(),
            Self::PlaybackKeys(input) => input.arns(),
            Self::Recordings(input) => input.arns(),
            Self::Tags(input) => vec![input.arn().as_str()],
        }
    }

    fn handle(&self, ivs: &mut Regional<'_>) -> Result<Value, Rejection> {
        match self {
            Self::Channels(input) => input.handle(ivs),
            Self::StreamKeys(input) => input.handle(ivs),
            Self::Streams(input) => input.handle(ivs),
            Self::PlaybackKeys(input) => input.handle(ivs),
            Self::Recordings(input) => input.handle(ivs),
            Self::Tags(input) => input.handle(ivs),
        }
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
        Input::PutMetadata(input) => put_metadata::handle(shared, &caller, input.as_ref()),
        Input::Resources(Ok(resources)) => handle_resources(shared, &caller, call, resources),
        Input::Resources(Err(error)) => Err(error.clone()),
    }
}

fn handle_resources(
    shared: &Shared,
    caller: &Caller,
    call: &Call,
    resources: &Resources,
) -> Result<Response<Full<Bytes>>, ApiError> {
    let action = call.operation.action();
    for arn in resources.arns() {
        let account = ResourceArn::parse(arn);
        if account.is_some_and(|arn| arn.account() != caller.account) {
            return Err(ApiError::access_denied(caller, action, arn));
        }
    }
    let home = &caller.home;
    let mut ivs = shared
        .state
        .enter(home, action, call.operation.tps())
        .map_err(|refusal| ApiError::refused(refusal, action, home, home))?;
    let body = resources.handle(&mut ivs).map_err(ApiError::rejected)?;
    // Writing the answer needs no lock.
    drop(ivs);
    let bytes = match body {
        Value::Null => Bytes::new(),
        body => body.to_string().into(),
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
    match Operation::route(&parts.method, parts.uri.path()) {
        Ok(operation) => {
            if operation == Operation::PutMetadata {
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
    let is_booked = call.operation == Operation::PutMetadata;
    let caller = match shared.keys.authenticate(parts, body, state.clock()) {
        Ok(caller) => caller,
        Err(error) => {
            if is_booked {
                state.note(None, None, Outcome::Unauthenticated);
            }
            return Err(error.into());
        }
    };
    let action = call.operation.action();
    if !shared.keys.allows(&caller, action) {
        if is_booked {
            state.note(Some(&caller.home), None, Outcome::Denied);
        }
        let resource = call.resource().unwrap_or("*");
        return Err(ApiError::access_denied(&caller, action, resource));
    }
    Ok(caller)
}
