//! The operations on streams and their sessions, `PutMetadata` aside.

use super::Operation;
use super::channels::CHANNEL_ARN;
use super::error::ApiError;
use super::fields::Fields;
use super::page::PageInput;
use super::session;
use super::validate::{Rule, STREAM_ID};
use crate::state::{Health, Regional, Rejection, Session};
use crate::timestamp::iso8601;
use serde_json::{Value, json};

/// `maxResults` of the service model.
const PAGE_MOST: u32 = 100;

#[derive(Debug)]
pub(super) enum Input {
    Get(String),
    List(Option<Health>, PageInput),
    Stop(String),
    GetSession(String, Option<String>),
    ListSessions(String, PageInput),
}

impl Input {
    pub(super) fn read(operation: Operation, mut fields: Fields<'_>) -> Result<Self, ApiError> {
        let input = match operation {
            Operation::ListStreams => {
                let health = fields.nested("filterBy", |fields| {
                    fields.text("health", Rule::OneOf(&["HEALTHY", "STARVING", "UNKNOWN"]))
                });
                let page = PageInput::read(&mut fields, PAGE_MOST, PAGE_MOST);
                fields.finish()?;
                let health = health.flatten().as_deref().and_then(Health::parse);
                let page = page.bind(format!("ListStreams {health:?}"))?;
                return Ok(Self::List(health, page));
            }
            Operation::ListStreamSessions => {
                let channel = fields.required_text("channelArn", CHANNEL_ARN);
                let page = PageInput::read(&mut fields, PAGE_MOST, PAGE_MOST);
                fields.finish()?;
                let page = page.bind(format!("ListStreamSessions {channel}"))?;
                return Ok(Self::ListSessions(channel, page));
            }
            Operation::GetStreamSession => Self::GetSession(
                fields.required_text("channelArn", CHANNEL_ARN),
                fields.text("streamId", STREAM_ID),
            ),
            Operation::StopStream => Self::Stop(fields.required_text("channelArn", CHANNEL_ARN)),
            _ => Self::Get(fields.required_text("channelArn", CHANNEL_ARN)),
        };
        fields.finish()?;
        Ok(input)
    }

    pub(super) fn channel(&self) -> Option<&str> {
        match self {
            Self::Get(arn)
            | Self::Stop(arn)
            | Self::GetSession(arn, _)
            | Self::ListSessions(arn, _) => Some(arn),
            Self::List(..) => None,
        }
    }

    pub(super) fn handle(&self, ivs: &mut Regional<'_>) -> Result<Value, Rejection> {
        Ok(match self {
            Self::Get(arn) => {
                let stream = ivs.stream(arn)?;
                let mut shown = live(&stream);
                shown["playbackUrl"] = stream.channel.playback_url.as_str().into();
                json!({ "stream": shown })
            }
            Self::List(health, page) => {
                let listed = ivs.streams(*health, &page.page);
                let things = listed.things.iter().map(live).collect();
                page.answer("streams", things, listed.last.as_deref())
            }
            Self::Stop(arn) => {
                ivs.stop_stream(arn)?;
                json!({})
            }
            Self::GetSession(arn, stream_id) => {
                let found = ivs.session(arn, stream_id.as_deref())?;
                json!({ "streamSession": session::whole(&found, ivs.now_us()) })
            }
            Self::ListSessions(arn, page) => {
                let listed = ivs.sessions(arn, &page.page)?;
                let things = listed.things.iter().map(session::summary).collect();
                page.answer("streamSessions", things, listed.last.as_deref())
            }
        })
    }
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
