//! The operations on streams and their sessions, `PutMetadata` aside.

use super::channels::CHANNEL_ARN;
use super::error::ApiError;
use super::operation::{Does, Operation, Run, operation, typed};
use super::page::PageInput;
use super::session;
use crate::input::{Member, Members, NEXT_TOKEN, Rule, STREAM_ID, Shape, optional, required};
use crate::state::{Health, Session};
use crate::timestamp::iso8601;
use serde::Deserialize;
use serde_json::{Value, json};

/// How many a page has if nobody says, of the API reference.
const PAGE: u32 = 100;

const ONE: &[Member] = &[required("channelArn", CHANNEL_ARN)];
const GET_SESSION: &[Member] = &[
    required("channelArn", CHANNEL_ARN),
    optional("streamId", Shape::Text(STREAM_ID)),
];
const TOKEN: Member = optional("nextToken", Shape::Text(NEXT_TOKEN));
const RESULTS: Member = optional("maxResults", Shape::Whole(1, 100));
const LIST_SESSIONS: &[Member] = &[required("channelArn", CHANNEL_ARN), TOKEN, RESULTS];
const FILTER: &[Member] = &[optional(
    "health",
    Shape::Text(Rule::OneOf(&["HEALTHY", "STARVING", "UNKNOWN"])),
)];
const LIST: &[Member] = &[
    optional("filterBy", Shape::Structure(FILTER)),
    TOKEN,
    RESULTS,
];

pub(super) const OPERATIONS: &[Operation] = &[
    operation("ivs:GetStream", 5, Does::Read, ONE, get),
    operation(
        "ivs:GetStreamSession",
        5,
        Does::Read,
        GET_SESSION,
        get_session,
    ),
    operation(
        "ivs:ListStreamSessions",
        5,
        Does::Read,
        LIST_SESSIONS,
        list_sessions,
    ),
    operation("ivs:ListStreams", 5, Does::Read, LIST, list),
    operation("ivs:StopStream", 5, Does::Write, ONE, stop),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChannelOf {
    pub(super) channel_arn: String,
}

fn get(input: &Members) -> Result<Run, ApiError> {
    let ChannelOf { channel_arn } = typed(input)?;
    Ok(Box::new(move |ivs| {
        let stream = ivs.stream(&channel_arn)?;
        let mut shown = live(&stream);
        shown["playbackUrl"] = stream.channel.playback_url.as_str().into();
        Ok(json!({ "stream": shown }))
    }))
}

fn stop(input: &Members) -> Result<Run, ApiError> {
    let ChannelOf { channel_arn } = typed(input)?;
    Ok(Box::new(move |ivs| {
        ivs.stop_stream(&channel_arn)?;
        Ok(Value::Null)
    }))
}

fn list(input: &Members) -> Result<Run, ApiError> {
    #[derive(Default, Deserialize)]
    struct Filter {
        health: Option<Health>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Input {
        filter_by: Option<Filter>,
    }
    let Input { filter_by } = typed(input)?;
    let Filter { health } = filter_by.unwrap_or_default();
    let page = PageInput::read(input, PAGE, format!("ListStreams {health:?}"))?;
    Ok(Box::new(move |ivs| {
        let listed = ivs.streams(health, &page.page);
        let things = listed.things.iter().map(live).collect();
        Ok(page.answer("streams", things, listed.last.as_deref()))
    }))
}

fn get_session(input: &Members) -> Result<Run, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Input {
        channel_arn: String,
        stream_id: Option<String>,
    }
    let input: Input = typed(input)?;
    Ok(Box::new(move |ivs| {
        let found = ivs.session(&input.channel_arn, input.stream_id.as_deref())?;
        Ok(json!({ "streamSession": session::whole(&found, ivs.now_us()) }))
    }))
}

fn list_sessions(input: &Members) -> Result<Run, ApiError> {
    let ChannelOf { channel_arn } = typed(input)?;
    let page = PageInput::read(input, PAGE, format!("ListStreamSessions {channel_arn}"))?;
    Ok(Box::new(move |ivs| {
        let listed = ivs.sessions(&channel_arn, &page.page)?;
        let things = listed.things.iter().map(session::summary).collect();
        Ok(page.answer("streamSessions", things, listed.last.as_deref()))
    }))
}

/// A live stream. Nobody watches the emulator's.
fn live(stream: &Session) -> Value {
    json!({
        "channelArn": stream.channel.arn,
        "streamId": stream.stream_id,
        "startTime": iso8601(stream.start_us),
        "state": "LIVE",
        "health": stream.health,
        "viewerCount": 0,
    })
}
