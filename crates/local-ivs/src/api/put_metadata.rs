//! `PutMetadata`: its input, and what it does.

use super::channels::CHANNEL_ARN;
use super::error::ApiError;
use super::operation::{Operation, put_metadata, typed};
use crate::arn::ChannelArn;
use crate::auth::Caller;
use crate::context::Shared;
use crate::input::{Member, Members, Rule, Shape, required};
use crate::state::Outcome;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Deserialize;

/// The size is judged when the call is handled, because the limit can be changed meanwhile.
const INPUT: &[Member] = &[
    required("channelArn", CHANNEL_ARN),
    required("metadata", Shape::Text(Rule::NotEmpty)),
];

pub(super) const OPERATIONS: &[Operation] = &[put_metadata(INPUT)];

/// An input that is right.
pub(super) struct PutMetadata {
    channel: ChannelArn,
    metadata: String,
}

impl PutMetadata {
    pub(super) fn read(input: &Members) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Input {
            channel_arn: String,
            metadata: String,
        }
        let input: Input = typed(input)?;
        let channel = ChannelArn::parse(&input.channel_arn).ok_or_else(ApiError::internal)?;
        Ok(Self {
            channel,
            metadata: input.metadata,
        })
    }
}

pub(super) fn handle(
    shared: &Shared,
    caller: &Caller,
    input: &PutMetadata,
) -> Result<Response<Full<Bytes>>, ApiError> {
    let action = OPERATIONS[0].action;
    let state = &shared.state;
    let home = Some(caller.home.as_str());
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
