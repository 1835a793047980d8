//! Ad configurations, and the ad breaks that they are for.

use super::channels::CHANNEL_ARN;
use super::documents::{Family, LIST, arn_of, create, default, delete, get, list, update};
use super::error::ApiError;
use super::operation::{Does, Operation, Run, operation, typed};
use crate::input::{Member, Members, NAME, Rule, Shape, optional, required};
use crate::limits::QUOTA_CONFIGURATIONS;
use crate::state::Kind;
use crate::timestamp;
use serde::Deserialize;
use serde_json::json;

struct AdConfigurations;

impl Family for AdConfigurations {
    const KIND: Kind = Kind {
        arn: "ad-configuration",
        words: "ad configurations",
        quota: QUOTA_CONFIGURATIONS,
        unique: None,
        used: Some(|channel| &channel.ad_configuration_arn),
        states: None,
    };
    const ONE: &'static str = "adConfiguration";
    const MANY: &'static str = "adConfigurations";
    /// The quota, which is less than 100.
    const PAGE: u32 = 20;

    fn complete(members: &mut Members) -> Result<(), String> {
        default(members, "name", "");
        let disabled = json!({ "durationSeconds": 15, "enabled": false });
        default(members, "postRollConfiguration", disabled);
        Ok(())
    }
}

/// The configurations are another service's, and whether they exist is not asked.
const MEDIATAILOR_ARN: Rule = Rule::Text {
    min: 0,
    max: 128,
    pattern: "^arn:aws:mediatailor:[a-z0-9-]+:[0-9]+:playbackConfiguration/[a-zA-Z0-9-]+$",
    matches: |text| {
        let is_all = |text: &str, allowed: fn(u8) -> bool| {
            !text.is_empty() && text.bytes().all(|byte| allowed(byte) || byte == b'-')
        };
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", "aws", "mediatailor", region, account, resource] = parts[..] else {
            return false;
        };
        let id = resource.strip_prefix("playbackConfiguration/");
        is_all(region, |b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && is_all(account, |b| b.is_ascii_digit())
            && !account.contains('-')
            && is_all(id.unwrap_or_default(), |b| b.is_ascii_alphanumeric())
    },
};

const AD_BREAK_ID: Rule = Rule::Text {
    min: 12,
    max: 12,
    pattern: "^[a-zA-Z0-9]+$",
    matches: |text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric()),
};

const DURATION: Shape = Shape::Whole(1, 300);
const PLAYBACK: Shape = Shape::Structure(&[optional(
    "playbackConfigurationArn",
    Shape::Text(MEDIATAILOR_ARN),
)]);
const PLAYBACKS: Shape = Shape::List(&PLAYBACK, 1, 3);
const POST_ROLL: Shape = Shape::Structure(&[
    required("durationSeconds", DURATION),
    required("enabled", Shape::Flag),
]);

const CREATE: &[Member] = &[
    optional("name", Shape::Text(NAME)),
    required("mediaTailorPlaybackConfigurations", PLAYBACKS),
    optional("postRollConfiguration", POST_ROLL),
    optional("tags", Shape::Tags),
];
const UPDATE: &[Member] = &[
    arn_of(AdConfigurations::KIND.arn),
    optional("name", Shape::Text(NAME)),
    optional("mediaTailorPlaybackConfigurations", PLAYBACKS),
    optional("postRollConfiguration", POST_ROLL),
];
const ONE: &[Member] = &[arn_of(AdConfigurations::KIND.arn)];
const INSERT: &[Member] = &[
    required("channelArn", CHANNEL_ARN),
    required("durationSeconds", DURATION),
    optional("adBreakId", Shape::Text(AD_BREAK_ID)),
    optional("targetStartAt", Shape::Time),
];

/// AWS publishes no rates of these: they are those of the operations on channels and streams.
#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    operation("ivs:CreateAdConfiguration", 5, Does::Write, CREATE, create::<AdConfigurations>),
    operation("ivs:DeleteAdConfiguration", 5, Does::WriteInSilence, ONE, delete::<AdConfigurations>),
    operation("ivs:GetAdConfiguration", 5, Does::Read, ONE, get::<AdConfigurations>),
    operation("ivs:InsertAdBreak", 5, Does::Write, INSERT, insert),
    operation("ivs:ListAdConfigurations", 5, Does::Read, LIST, list::<AdConfigurations>),
    operation("ivs:UpdateAdConfiguration", 5, Does::Write, UPDATE, update::<AdConfigurations>),
];

fn insert(input: &Members) -> Result<Run, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Input {
        channel_arn: String,
        ad_break_id: Option<String>,
        target_start_at: Option<String>,
    }
    let input: Input = typed(input)?;
    let target_us = input.target_start_at.as_deref().and_then(timestamp::parse);
    Ok(Box::new(move |ivs| {
        let id = input.ad_break_id.as_deref();
        let (id, at_us) = ivs.insert_ad_break(&input.channel_arn, id, target_us)?;
        Ok(json!({ "adBreakId": id, "targetStartAt": timestamp::iso8601(at_us) }))
    }))
}
