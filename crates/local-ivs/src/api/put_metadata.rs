//! `PutMetadata`: its input, and what it does.

use super::Operation;
use super::error::ApiError;
use crate::arn::{CHANNEL_PATTERN, ChannelArn, MAX_ARN_LENGTH};
use crate::auth::Caller;
use crate::context::Shared;
use crate::state::Outcome;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Deserialize;

/// An input that has everything; its size is judged when the call is handled, because the
/// limit can be changed meanwhile.
#[derive(Debug)]
pub(crate) struct PutMetadata {
    pub(crate) channel: ChannelArn,
    metadata: String,
}

/// An input that lacks something.
#[derive(Debug)]
pub(crate) struct Invalid {
    /// Where the ARN at least was right.
    pub(crate) channel: Option<ChannelArn>,
    error: ApiError,
}

/// Members that are not in the model are ignored, as every AWS service does.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    channel_arn: Option<String>,
    metadata: Option<String>,
}

impl PutMetadata {
    pub(crate) fn read(body: &[u8]) -> Result<Self, Invalid> {
        let raw: Raw = serde_json::from_slice(body).map_err(|error| Invalid {
            channel: None,
            error: ApiError::validation(format!(
                "Could not parse the request body as the input of PutMetadata: {error}"
            )),
        })?;
        let channel = match &raw.channel_arn {
            None => Err(constraint("channelArn", None, "Member must not be null")),
            Some(text) => ChannelArn::parse(text).ok_or_else(|| arn_error(text)),
        };
        let metadata = match raw.metadata {
            None => Err(constraint("metadata", None, "Member must not be null")),
            Some(text) if text.is_empty() => Err(constraint(
                "metadata",
                Some(""),
                "Member must have length greater than or equal to 1",
            )),
            Some(text) => Ok(text),
        };
        match (channel, metadata) {
            (Ok(channel), Ok(metadata)) => Ok(Self { channel, metadata }),
            (Ok(channel), Err(error)) => Err(Invalid {
                channel: Some(channel),
                error,
            }),
            (Err(error), _) => Err(Invalid {
                channel: None,
                error,
            }),
        }
    }
}

pub(crate) fn handle(
    shared: &Shared,
    caller: &Caller,
    input: Result<&PutMetadata, &Invalid>,
) -> Result<Response<Full<Bytes>>, ApiError> {
    let action = Operation::PutMetadata.action();
    let state = &shared.state;
    let home = Some(caller.home.as_str());
    let input = input.map_err(|invalid| {
        state.note(home, invalid.channel.as_ref(), Outcome::Malformed);
        invalid.error.clone()
    })?;
    let channel = &input.channel;
    if input.metadata.len() > state.payload_max_bytes() {
        state.note(home, Some(channel), Outcome::Oversize);
        return Err(ApiError::validation("Metadata size exceeds payload limit"));
    }
    if channel.account() != caller.account {
        state.note(home, None, Outcome::Denied);
        return Err(ApiError::access_denied(caller, action, channel.as_str()));
    }
    // A channel of another region is not found: each region's endpoint knows only its own,
    // and the region of the signature is the endpoint's. [inf]
    state
        .put_metadata(&caller.home, channel, &input.metadata)
        .map_err(|refusal| ApiError::refused(refusal, action, &caller.home, channel.as_str()))?;
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

fn arn_error(text: &str) -> ApiError {
    let length = text.chars().count();
    let shown = (length <= MAX_ARN_LENGTH).then_some(text);
    if length == 0 {
        constraint(
            "channelArn",
            Some(""),
            "Member must have length greater than or equal to 1",
        )
    } else if length > MAX_ARN_LENGTH {
        constraint(
            "channelArn",
            shown,
            "Member must have length less than or equal to 128",
        )
    } else {
        constraint(
            "channelArn",
            shown,
            &format!("Member must satisfy regular expression pattern: {CHANNEL_PATTERN}"),
        )
    }
}

/// The words that AWS's services use for a member out of its bounds.
fn constraint(member: &str, value: Option<&str>, rule: &str) -> ApiError {
    let value = value.map_or_else(String::new, |value| format!("'{value}' "));
    ApiError::validation(format!(
        "1 validation error detected: Value {value}at '{member}' failed to satisfy constraint: {rule}"
    ))
}
