//! The operations on channels: their inputs, and their answers.

use super::Operation;
use super::batch::{self, BATCH_MOST};
use super::error::ApiError;
use super::fields::Fields;
use super::page::PageInput;
use super::validate::{NAME, Rule};
use crate::state::{
    ChannelChange, ChannelFilter, MultitrackChange, Regional, Rejection, Settings, Tags,
};
use serde_json::{Value, json};

pub(super) const CHANNEL_ARN: Rule = Rule::Arn("channel");
const RECORDING_ARN: Rule = Rule::ArnOrEmpty("recording-configuration");
const POLICY_ARN: Rule = Rule::ArnOrEmpty("playback-restriction-policy");
const AD_ARN: Rule = Rule::ArnOrEmpty("ad-configuration");
const SLATE_ARN: Rule = Rule::ArnOrEmpty("failover-slate-configuration");

/// `maxResults` of the service model.
const PAGE_MOST: u32 = 100;

#[derive(Debug)]
pub(super) enum Input {
    Create(Change, Tags),
    Get(String),
    BatchGet(Vec<String>),
    List(ChannelFilter, PageInput),
    Update(String, Change),
    Delete(String),
}

/// What is changed, and the resources named by it that the emulator never has.
#[derive(Debug)]
pub(super) struct Change {
    change: ChannelChange,
    absent: Option<String>,
}

impl Input {
    pub(super) fn read(operation: Operation, mut fields: Fields<'_>) -> Result<Self, ApiError> {
        let input = match operation {
            Operation::CreateChannel => {
                let tags = fields.tags("tags").unwrap_or_default();
                Self::Create(Change::read(&mut fields), tags)
            }
            Operation::BatchGetChannel => {
                fields.require("arns");
                let arns = fields.texts("arns", CHANNEL_ARN, 1, BATCH_MOST);
                Self::BatchGet(arns.unwrap_or_default())
            }
            Operation::ListChannels => return Self::read_list(fields),
            Operation::UpdateChannel => {
                let arn = fields.required_text("arn", CHANNEL_ARN);
                Self::Update(arn, Change::read(&mut fields))
            }
            Operation::DeleteChannel => Self::Delete(fields.required_text("arn", CHANNEL_ARN)),
            _ => Self::Get(fields.required_text("arn", CHANNEL_ARN)),
        };
        fields.finish()?;
        Ok(input)
    }

    fn read_list(mut fields: Fields<'_>) -> Result<Self, ApiError> {
        let filter = ChannelFilter {
            name: fields.text("filterByName", NAME),
            recording_configuration_arn: fields
                .text("filterByRecordingConfigurationArn", RECORDING_ARN),
            playback_restriction_policy_arn: fields
                .text("filterByPlaybackRestrictionPolicyArn", POLICY_ARN),
            ad_configuration_arn: fields.text("filterByAdConfigurationArn", AD_ARN),
            failover_slate_configuration_arn: fields
                .text("filterByFailoverSlateConfigurationArn", SLATE_ARN),
        };
        let page = PageInput::read(&mut fields, PAGE_MOST, PAGE_MOST);
        fields.finish()?;
        let filters = [
            &filter.name,
            &filter.recording_configuration_arn,
            &filter.playback_restriction_policy_arn,
            &filter.ad_configuration_arn,
            &filter.failover_slate_configuration_arn,
        ];
        if filters.iter().filter(|filter| filter.is_some()).count() > 1 {
            return Err(ApiError::rejected(Rejection::Conflict(
                "Only one filter can be used at a time".to_owned(),
            )));
        }
        let page = page.bind(format!("ListChannels {filters:?}"))?;
        Ok(Self::List(filter, page))
    }

    /// The ARNs that must be of the caller's account. Batches answer for each of theirs.
    pub(super) fn arns(&self) -> Vec<&str> {
        match self {
            Self::Get(arn) | Self::Delete(arn) => vec![arn],
            Self::Create(change, _) => change.arns(),
            Self::Update(arn, change) => {
                let mut arns = vec![arn.as_str()];
                arns.extend(change.arns());
                arns
            }
            Self::BatchGet(_) | Self::List(..) => Vec::new(),
        }
    }

    pub(super) fn channel(&self) -> Option<&str> {
        match self {
            Self::Get(arn) | Self::Delete(arn) | Self::Update(arn, _) => Some(arn),
            _ => None,
        }
    }

    pub(super) fn handle(&self, ivs: &mut Regional<'_>) -> Result<Value, Rejection> {
        Ok(match self {
            Self::Create(change, tags) => {
                let (channel, key) = ivs.create_channel(change.checked()?, tags)?;
                json!({ "channel": channel, "streamKey": key })
            }
            Self::Get(arn) => json!({ "channel": ivs.channel(arn)? }),
            Self::BatchGet(arns) => batch::answer(ivs, "channels", arns, Regional::channel),
            Self::List(filter, page) => {
                let listed = ivs.channels(filter, &page.page);
                let things = listed.things.iter().map(|channel| summary(channel));
                page.answer("channels", things.collect(), listed.last.as_deref())
            }
            Self::Update(arn, change) => {
                let change = change.checked()?;
                json!({ "channel": ivs.update_channel(arn, change)? })
            }
            Self::Delete(arn) => {
                ivs.delete_channel(arn)?;
                Value::Null
            }
        })
    }
}

impl Change {
    fn read(fields: &mut Fields<'_>) -> Self {
        let change = ChannelChange {
            name: fields.text("name", NAME),
            latency_mode: fields.text("latencyMode", Rule::OneOf(&["NORMAL", "LOW"])),
            kind: fields.text(
                "type",
                Rule::OneOf(&["BASIC", "STANDARD", "ADVANCED_SD", "ADVANCED_HD"]),
            ),
            authorized: fields.flag("authorized"),
            recording_configuration_arn: fields.text("recordingConfigurationArn", RECORDING_ARN),
            insecure_ingest: fields.flag("insecureIngest"),
            preset: fields.text(
                "preset",
                Rule::OneOf(&[
                    "HIGHER_BANDWIDTH_DELIVERY",
                    "CONSTRAINED_BANDWIDTH_DELIVERY",
                ]),
            ),
            multitrack: fields.nested("multitrackInputConfiguration", |fields| MultitrackChange {
                enabled: fields.flag("enabled"),
                policy: fields.text("policy", Rule::OneOf(&["ALLOW", "REQUIRE"])),
                maximum_resolution: fields
                    .text("maximumResolution", Rule::OneOf(&["SD", "HD", "FULL_HD"])),
            }),
            container_format: fields
                .text("containerFormat", Rule::OneOf(&["TS", "FRAGMENTED_MP4"])),
        };
        let absent = [
            fields.text("playbackRestrictionPolicyArn", POLICY_ARN),
            fields.text("adConfigurationArn", AD_ARN),
            fields.text("failoverSlateConfigurationArn", SLATE_ARN),
        ];
        Self {
            change,
            absent: absent.into_iter().flatten().find(|arn| !arn.is_empty()),
        }
    }

    fn arns(&self) -> Vec<&str> {
        let recording = self.change.recording_configuration_arn.as_deref();
        recording
            .into_iter()
            .chain(self.absent.as_deref())
            .filter(|arn| !arn.is_empty())
            .collect()
    }

    fn checked(&self) -> Result<&ChannelChange, Rejection> {
        match &self.absent {
            Some(arn) => Err(Rejection::NotFound(arn.clone())),
            None => Ok(&self.change),
        }
    }
}

fn summary(channel: &Settings) -> Value {
    json!({
        "arn": channel.arn,
        "name": channel.name,
        "latencyMode": channel.latency_mode,
        "type": channel.kind,
        "authorized": channel.authorized,
        "recordingConfigurationArn": channel.recording_configuration_arn,
        "tags": channel.tags,
        "insecureIngest": channel.insecure_ingest,
        "preset": channel.preset,
        "playbackRestrictionPolicyArn": channel.playback_restriction_policy_arn,
        "adConfigurationArn": channel.ad_configuration_arn,
        "failoverSlateConfigurationArn": channel.failover_slate_configuration_arn,
    })
}
