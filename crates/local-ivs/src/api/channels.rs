//! The operations on channels.

use super::documents::{Arn, arn_of, tags_of};
use super::error::{ApiError, NOT_FOUND};
use super::operation::{Does, Operation, Run, operation, typed};
use super::page::PageInput;
use crate::input::{Member, Members, NAME, NEXT_TOKEN, Rule, Shape, optional, required};
use crate::state::{ChannelChange, ChannelFilter, Regional, Rejection, Settings};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(super) const CHANNEL_ARN: Shape = Shape::Text(Rule::Arn("channel"));
const RECORDING_ARN: Shape = Shape::Text(Rule::ArnOrEmpty("recording-configuration"));
const POLICY_ARN: Shape = Shape::Text(Rule::ArnOrEmpty("playback-restriction-policy"));
const AD_ARN: Shape = Shape::Text(Rule::ArnOrEmpty("ad-configuration"));
const SLATE_ARN: Shape = Shape::Text(Rule::ArnOrEmpty("failover-slate-configuration"));

/// ARNs of a batch, of the service model.
pub(super) const BATCH_MOST: usize = 50;
/// How many a page has if nobody says, of the API reference.
const PAGE: u32 = 100;

const fn enumeration(values: &'static [&'static str]) -> Shape {
    Shape::Text(Rule::OneOf(values))
}

const MULTITRACK: &[Member] = &[
    optional("enabled", Shape::Flag),
    optional("policy", enumeration(&["ALLOW", "REQUIRE"])),
    optional("maximumResolution", enumeration(&["SD", "HD", "FULL_HD"])),
];
const LATENCY: Shape = enumeration(&["NORMAL", "LOW"]);
const TYPE: Shape = enumeration(&["BASIC", "STANDARD", "ADVANCED_SD", "ADVANCED_HD"]);
const PRESET: Shape = enumeration(&[
    "HIGHER_BANDWIDTH_DELIVERY",
    "CONSTRAINED_BANDWIDTH_DELIVERY",
]);

/// What a channel is made of; the first is the update's or the creation's own.
const fn settings(own: Member) -> [Member; 13] {
    [
        own,
        optional("name", Shape::Text(NAME)),
        optional("latencyMode", LATENCY),
        optional("type", TYPE),
        optional("authorized", Shape::Flag),
        optional("recordingConfigurationArn", RECORDING_ARN),
        optional("insecureIngest", Shape::Flag),
        optional("preset", PRESET),
        optional("playbackRestrictionPolicyArn", POLICY_ARN),
        optional("multitrackInputConfiguration", Shape::Structure(MULTITRACK)),
        optional("containerFormat", enumeration(&["TS", "FRAGMENTED_MP4"])),
        optional("adConfigurationArn", AD_ARN),
        optional("failoverSlateConfigurationArn", SLATE_ARN),
    ]
}

const CREATE: &[Member] = &settings(optional("tags", Shape::Tags));
const UPDATE: &[Member] = &settings(arn_of("channel"));
const LIST: &[Member] = &[
    optional("filterByName", Shape::Text(NAME)),
    optional("filterByRecordingConfigurationArn", RECORDING_ARN),
    optional("filterByPlaybackRestrictionPolicyArn", POLICY_ARN),
    optional("filterByAdConfigurationArn", AD_ARN),
    optional("filterByFailoverSlateConfigurationArn", SLATE_ARN),
    optional("nextToken", Shape::Text(NEXT_TOKEN)),
    optional("maxResults", Shape::Whole(1, 100)),
];
const ONE: &[Member] = &[arn_of("channel")];
const BATCH: &[Member] = &[required("arns", Shape::List(&CHANNEL_ARN, 1, BATCH_MOST))];

#[rustfmt::skip]
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method is of one lifetime only")]
pub(super) const OPERATIONS: &[Operation] = &[
    operation("ivs:BatchGetChannel", 5, Does::Read, BATCH, |input| batch(input, "channels", |ivs, arn| ivs.channel(arn))),
    operation("ivs:CreateChannel", 5, Does::Write, CREATE, create),
    operation("ivs:DeleteChannel", 5, Does::WriteInSilence, ONE, delete),
    operation("ivs:GetChannel", 5, Does::Read, ONE, get),
    operation("ivs:ListChannels", 5, Does::Read, LIST, list),
    operation("ivs:UpdateChannel", 5, Does::Write, UPDATE, update),
];

fn create(input: &Members) -> Result<Run, ApiError> {
    let tags = tags_of(input)?;
    let change: ChannelChange = typed(input)?;
    Ok(Box::new(move |ivs| {
        let (channel, key) = ivs.create_channel(&change, &tags)?;
        Ok(json!({ "channel": channel, "streamKey": key }))
    }))
}

fn get(input: &Members) -> Result<Run, ApiError> {
    let Arn { arn } = typed(input)?;
    Ok(Box::new(move |ivs| {
        Ok(json!({ "channel": ivs.channel(&arn)? }))
    }))
}

fn update(input: &Members) -> Result<Run, ApiError> {
    let Arn { arn } = typed(input)?;
    let change: ChannelChange = typed(input)?;
    Ok(Box::new(move |ivs| {
        Ok(json!({ "channel": ivs.update_channel(&arn, &change)? }))
    }))
}

fn delete(input: &Members) -> Result<Run, ApiError> {
    let Arn { arn } = typed(input)?;
    Ok(Box::new(move |ivs| {
        ivs.delete_channel(&arn)?;
        Ok(Value::Null)
    }))
}

fn list(input: &Members) -> Result<Run, ApiError> {
    let filter: ChannelFilter = typed(input)?;
    let filters = input.keys().filter(|name| name.starts_with("filterBy"));
    if filters.count() > 1 {
        return Err(ApiError::rejected(Rejection::Conflict(
            "Only one filter can be used at a time".to_owned(),
        )));
    }
    let page = PageInput::read(input, PAGE, format!("ListChannels {filter:?}"))?;
    Ok(Box::new(move |ivs| {
        let listed = ivs.channels(&filter, &page.page);
        let things = listed.things.iter().map(|channel| summary(channel));
        Ok(page.answer("channels", things.collect(), listed.last.as_deref()))
    }))
}

/// What was found of a batch, and an error for each ARN that was not. ARNs of other accounts are
/// not found either: in a batch none is refused for another.
pub(super) fn batch<T: Serialize + 'static>(
    input: &Members,
    member: &'static str,
    get: fn(&mut Regional<'_>, &str) -> Result<T, Rejection>,
) -> Result<Run, ApiError> {
    #[derive(Deserialize)]
    struct Batch {
        arns: Vec<String>,
    }
    let Batch { arns } = typed(input)?;
    Ok(Box::new(move |ivs| {
        let mut found = Vec::new();
        let mut errors = Vec::new();
        for arn in &arns {
            match get(ivs, arn) {
                Ok(thing) => found.push(thing),
                Err(_) => errors.push(json!({
                    "arn": arn,
                    "code": NOT_FOUND,
                    "message": format!("Resource: {arn} not found"),
                })),
            }
        }
        Ok(json!({ member: found, "errors": errors }))
    }))
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
