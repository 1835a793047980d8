//! The operations on stream keys: their inputs, and their answers.

use super::Operation;
use super::batch::{self, BATCH_MOST};
use super::channels::CHANNEL_ARN;
use super::error::ApiError;
use super::fields::Fields;
use super::page::PageInput;
use super::validate::Rule;
use crate::state::{Regional, Rejection, StreamKey, Tags};
use serde_json::{Value, json};

const KEY_ARN: Rule = Rule::Arn("stream-key");

/// `maxResults` of the service model, and its default of the API reference.
const PAGE_MOST: u32 = 50;
const PAGE_DEFAULT: u32 = 1;

#[derive(Debug)]
pub(super) enum Input {
    Create(String, Tags),
    Get(String),
    BatchGet(Vec<String>),
    List(String, PageInput),
    Delete(String),
}

impl Input {
    pub(super) fn read(operation: Operation, mut fields: Fields<'_>) -> Result<Self, ApiError> {
        let input = match operation {
            Operation::CreateStreamKey => {
                let channel = fields.required_text("channelArn", CHANNEL_ARN);
                Self::Create(channel, fields.tags("tags").unwrap_or_default())
            }
            Operation::BatchGetStreamKey => {
                fields.require("arns");
                let arns = fields.texts("arns", KEY_ARN, 1, BATCH_MOST);
                Self::BatchGet(arns.unwrap_or_default())
            }
            Operation::ListStreamKeys => {
                let channel = fields.required_text("channelArn", CHANNEL_ARN);
                let page = PageInput::read(&mut fields, PAGE_MOST, PAGE_DEFAULT);
                fields.finish()?;
                let page = page.bind(format!("ListStreamKeys {channel}"))?;
                return Ok(Self::List(channel, page));
            }
            Operation::DeleteStreamKey => Self::Delete(fields.required_text("arn", KEY_ARN)),
            _ => Self::Get(fields.required_text("arn", KEY_ARN)),
        };
        fields.finish()?;
        Ok(input)
    }

    pub(super) fn arns(&self) -> Vec<&str> {
        match self {
            Self::Create(arn, _) | Self::Get(arn) | Self::List(arn, _) | Self::Delete(arn) => {
                vec![arn]
            }
            Self::BatchGet(_) => Vec::new(),
        }
    }

    pub(super) fn channel(&self) -> Option<&str> {
        match self {
            Self::Create(arn, _) | Self::List(arn, _) => Some(arn),
            _ => None,
        }
    }

    pub(super) fn handle(&self, ivs: &mut Regional<'_>) -> Result<Value, Rejection> {
        Ok(match self {
            Self::Create(channel, tags) => {
                json!({ "streamKey": ivs.create_stream_key(channel, tags)? })
            }
            Self::Get(arn) => json!({ "streamKey": ivs.stream_key(arn)? }),
            Self::BatchGet(arns) => batch::answer(ivs, "streamKeys", arns, Regional::stream_key),
            Self::List(channel, page) => {
                let listed = ivs.stream_keys(channel, &page.page)?;
                let things = listed.things.iter().map(|key| summary(key));
                page.answer("streamKeys", things.collect(), listed.last.as_deref())
            }
            Self::Delete(arn) => {
                ivs.delete_stream_key(arn)?;
                Value::Null
            }
        })
    }
}

/// Without its value.
fn summary(key: &StreamKey) -> Value {
    json!({ "arn": key.arn, "channelArn": key.channel_arn, "tags": key.tags })
}
