//! The operations on stream keys.

use super::channels::{BATCH_MOST, CHANNEL_ARN, batch};
use super::documents::{Arn, arn_of, tags_of};
use super::error::ApiError;
use super::operation::{Does, Operation, Run, operation, typed};
use super::page::PageInput;
use super::streams::ChannelOf;
use crate::input::{Member, Members, NEXT_TOKEN, Rule, Shape, optional, required};
use crate::state::StreamKey;
use serde_json::{Value, json};

/// How many a page has if nobody says, of the API reference.
const PAGE: u32 = 1;

const CREATE: &[Member] = &[
    required("channelArn", CHANNEL_ARN),
    optional("tags", Shape::Tags),
];
const LIST: &[Member] = &[
    required("channelArn", CHANNEL_ARN),
    optional("nextToken", Shape::Text(NEXT_TOKEN)),
    optional("maxResults", Shape::Whole(1, 50)),
];
const ONE: &[Member] = &[arn_of("stream-key")];
const BATCH: &[Member] = &[required(
    "arns",
    Shape::List(&Shape::Text(Rule::Arn("stream-key")), 1, BATCH_MOST),
)];

#[rustfmt::skip]
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method is of one lifetime only")]
pub(super) const OPERATIONS: &[Operation] = &[
    operation("ivs:BatchGetStreamKey", 5, Does::Read, BATCH, |input| batch(input, "streamKeys", |ivs, arn| ivs.stream_key(arn))),
    operation("ivs:CreateStreamKey", 5, Does::Write, CREATE, create),
    operation("ivs:DeleteStreamKey", 5, Does::WriteInSilence, ONE, delete),
    operation("ivs:GetStreamKey", 5, Does::Read, ONE, get),
    operation("ivs:ListStreamKeys", 5, Does::Read, LIST, list),
];

fn create(input: &Members) -> Result<Run, ApiError> {
    let tags = tags_of(input)?;
    let ChannelOf { channel_arn } = typed(input)?;
    Ok(Box::new(move |ivs| {
        Ok(json!({ "streamKey": ivs.create_stream_key(&channel_arn, &tags)? }))
    }))
}

fn get(input: &Members) -> Result<Run, ApiError> {
    let Arn { arn } = typed(input)?;
    Ok(Box::new(move |ivs| {
        Ok(json!({ "streamKey": ivs.stream_key(&arn)? }))
    }))
}

fn delete(input: &Members) -> Result<Run, ApiError> {
    let Arn { arn } = typed(input)?;
    Ok(Box::new(move |ivs| {
        ivs.delete_stream_key(&arn)?;
        Ok(Value::Null)
    }))
}

fn list(input: &Members) -> Result<Run, ApiError> {
    let ChannelOf { channel_arn } = typed(input)?;
    let page = PageInput::read(input, PAGE, format!("ListStreamKeys {channel_arn}"))?;
    Ok(Box::new(move |ivs| {
        let listed = ivs.stream_keys(&channel_arn, &page.page)?;
        let things = listed.things.iter().map(|key| summary(key));
        Ok(page.answer("streamKeys", things.collect(), listed.last.as_deref()))
    }))
}

/// Without its value.
fn summary(key: &StreamKey) -> Value {
    json!({ "arn": key.arn, "channelArn": key.channel_arn, "tags": key.tags })
}
