//! A channel's configuration as the API shows it, and the rules between its members.
//!
//! Pure: what one member may be by itself was checked before, and what exists is asked
//! elsewhere.

use crate::arn::ChannelArn;
use crate::faults::SplitMix64;
use crate::ids::Ids;
use crate::playback::MASTER;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// By their keys.
pub(crate) type Tags = BTreeMap<String, String>;

/// All of a channel but its stream and its stream key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings {
    pub(crate) arn: Arc<str>,
    pub(crate) name: String,
    pub(crate) latency_mode: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Empty for none, as all ARNs here.
    pub(crate) recording_configuration_arn: String,
    pub(crate) ingest_endpoint: String,
    pub(crate) playback_url: String,
    pub(crate) authorized: bool,
    pub(crate) tags: Tags,
    pub(crate) insecure_ingest: bool,
    /// Empty for BASIC and STANDARD.
    pub(crate) preset: String,
    pub(crate) srt: Srt,
    pub(crate) playback_restriction_policy_arn: String,
    pub(crate) multitrack_input_configuration: Multitrack,
    pub(crate) container_format: String,
    pub(crate) ad_configuration_arn: String,
    pub(crate) failover_slate_configuration_arn: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Srt {
    endpoint: String,
    passphrase: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Multitrack {
    enabled: bool,
    policy: String,
    maximum_resolution: String,
}

/// What a caller wants otherwise than it is, or than the defaults.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChannelChange {
    pub(crate) name: Option<String>,
    pub(crate) latency_mode: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) authorized: Option<bool>,
    /// Empty for none from now on, as all ARNs here.
    pub(crate) recording_configuration_arn: Option<String>,
    pub(crate) playback_restriction_policy_arn: Option<String>,
    pub(crate) ad_configuration_arn: Option<String>,
    pub(crate) failover_slate_configuration_arn: Option<String>,
    pub(crate) insecure_ingest: Option<bool>,
    pub(crate) preset: Option<String>,
    #[serde(rename = "multitrackInputConfiguration")]
    pub(crate) multitrack: Option<MultitrackChange>,
    pub(crate) container_format: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MultitrackChange {
    pub(crate) enabled: Option<bool>,
    pub(crate) policy: Option<String>,
    pub(crate) maximum_resolution: Option<String>,
}

impl Settings {
    /// A channel of the API's defaults without a name.
    pub(crate) fn new(ids: &mut Ids, arn: &ChannelArn, playback_origin: Option<&str>) -> Self {
        let endpoint = customer(arn.home());
        Self {
            arn: arn.shared(),
            name: String::new(),
            latency_mode: "LOW".to_owned(),
            kind: "STANDARD".to_owned(),
            recording_configuration_arn: String::new(),
            ingest_endpoint: format!("{endpoint}.global-contribute.live-video.net"),
            playback_url: playback_url(arn, playback_origin),
            authorized: false,
            tags: Tags::new(),
            insecure_ingest: false,
            preset: String::new(),
            srt: Srt {
                endpoint: format!("{endpoint}.srt.live-video.net"),
                // As long as those of AWS's examples; SRT takes up to 79.
                passphrase: ids.alphanumeric(69),
            },
            playback_restriction_policy_arn: String::new(),
            multitrack_input_configuration: Multitrack {
                enabled: false,
                policy: "ALLOW".to_owned(),
                maximum_resolution: "FULL_HD".to_owned(),
            },
            container_format: "TS".to_owned(),
            ad_configuration_arn: String::new(),
            failover_slate_configuration_arn: String::new(),
        }
    }

    /// Has the playback URL lead below an origin, or nowhere.
    pub(crate) fn set_playback_url(&mut self, arn: &ChannelArn, origin: Option<&str>) {
        self.playback_url = playback_url(arn, origin);
    }

    /// These settings with a change.
    ///
    /// # Errors
    ///
    /// What does not go together, in words.
    pub(crate) fn with(&self, change: &ChannelChange) -> Result<Self, String> {
        let mut new = self.clone();
        replace(&mut new.name, change.name.as_ref());
        replace(&mut new.latency_mode, change.latency_mode.as_ref());
        replace(&mut new.kind, change.kind.as_ref());
        replace(&mut new.authorized, change.authorized.as_ref());
        for (old, changed) in [
            (
                &mut new.recording_configuration_arn,
                &change.recording_configuration_arn,
            ),
            (
                &mut new.playback_restriction_policy_arn,
                &change.playback_restriction_policy_arn,
            ),
            (&mut new.ad_configuration_arn, &change.ad_configuration_arn),
            (
                &mut new.failover_slate_configuration_arn,
                &change.failover_slate_configuration_arn,
            ),
        ] {
            replace(old, changed.as_ref());
        }
        replace(&mut new.insecure_ingest, change.insecure_ingest.as_ref());
        replace(&mut new.container_format, change.container_format.as_ref());
        new.set_preset(change.preset.as_ref())?;
        if let Some(change) = &change.multitrack {
            new.set_multitrack(change)?;
        }
        if new.multitrack_input_configuration.enabled {
            if new.kind != "STANDARD" {
                return Err("multitrackInputConfiguration can be enabled only for channels of type STANDARD".to_owned());
            }
            if new.container_format != "FRAGMENTED_MP4" {
                return Err("containerFormat must be FRAGMENTED_MP4 if multitrackInputConfiguration is enabled".to_owned());
            }
        }
        Ok(new)
    }

    /// Type and preset belong together: a change of the type alone brings its default.
    fn set_preset(&mut self, preset: Option<&String>) -> Result<(), String> {
        let is_advanced = self.kind.starts_with("ADVANCED_");
        match preset {
            Some(preset) if is_advanced => self.preset.clone_from(preset),
            Some(_) => {
                return Err(format!(
                    "preset can be selected only for channels of type ADVANCED_SD and ADVANCED_HD, not {}",
                    self.kind
                ));
            }
            None if !is_advanced => self.preset.clear(),
            None if self.preset.is_empty() => {
                "HIGHER_BANDWIDTH_DELIVERY".clone_into(&mut self.preset);
            }
            None => {}
        }
        Ok(())
    }

    fn set_multitrack(&mut self, change: &MultitrackChange) -> Result<(), String> {
        let is_whole = change.policy.is_some() && change.maximum_resolution.is_some();
        if change.enabled == Some(true) && !is_whole {
            return Err(
                "multitrackInputConfiguration needs policy and maximumResolution if it is enabled"
                    .to_owned(),
            );
        }
        let multitrack = &mut self.multitrack_input_configuration;
        replace(&mut multitrack.enabled, change.enabled.as_ref());
        replace(&mut multitrack.policy, change.policy.as_ref());
        replace(
            &mut multitrack.maximum_resolution,
            change.maximum_resolution.as_ref(),
        );
        Ok(())
    }
}

fn replace<T: Clone>(old: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        old.clone_from(new);
    }
}

/// Where a channel is played: at the emulator of this origin, or in the form of a real one.
fn playback_url(arn: &ChannelArn, origin: Option<&str>) -> String {
    if let Some(origin) = origin {
        // As JavaScript's encodeURIComponent does it.
        const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-');
        let encoded = utf8_percent_encode(arn.as_str(), PLAIN);
        return format!("{origin}/_local/channels/{encoded}/{MASTER}");
    }
    let (region, account, id) = (arn.region(), arn.account(), arn.id());
    let endpoint = customer(arn.home());
    format!(
        "https://{endpoint}.{region}.playback.live-video.net/api/video/v1/{region}.{account}.channel.{id}.m3u8"
    )
}

/// The 12 hexadecimal digits that begin the host names of an account in a region: the same
/// for all of its channels, and after every restart.
fn customer(home: &str) -> String {
    let seed = home
        .bytes()
        .fold(0, |seed: u64, b| seed.rotate_left(7) ^ u64::from(b));
    let digits = format!("{:016x}", SplitMix64::new(seed).next_u64());
    digits[..12].to_owned()
}

#[cfg(test)]
mod tests {
    use super::{ChannelChange, MultitrackChange, Settings};
    use crate::arn::ChannelArn;
    use crate::ids::Ids;

    fn change(kind: Option<&str>, preset: Option<&str>) -> ChannelChange {
        ChannelChange {
            kind: kind.map(str::to_owned),
            preset: preset.map(str::to_owned),
            ..ChannelChange::default()
        }
    }

    fn multitrack(
        kind: &str,
        enabled: bool,
        policy: Option<&str>,
        format: Option<&str>,
    ) -> ChannelChange {
        ChannelChange {
            kind: Some(kind.to_owned()),
            container_format: format.map(str::to_owned),
            multitrack: Some(MultitrackChange {
                enabled: Some(enabled),
                policy: policy.map(str::to_owned),
                maximum_resolution: Some("HD".to_owned()),
            }),
            ..ChannelChange::default()
        }
    }

    /// The preset after a change, or a part of what is wrong.
    fn check(old: &Settings, change: &ChannelChange, expected: Result<&str, &str>) {
        match (old.with(change), expected) {
            (Ok(new), Ok(preset)) => assert_eq!(new.preset, preset, "{change:?}"),
            (Err(error), Err(part)) => assert!(error.contains(part), "{change:?}: {error}"),
            (got, _) => panic!("{change:?}: {got:?}"),
        }
    }

    #[test]
    fn members_go_together() {
        let arn = ChannelArn::parse("arn:aws:ivs:us-west-2:123456789012:channel/a")
            .unwrap_or_else(|| panic!("no ARN"));
        let standard = Settings::new(&mut Ids::new(0), &arn, None);
        let higher = "HIGHER_BANDWIDTH_DELIVERY";
        let lower = "CONSTRAINED_BANDWIDTH_DELIVERY";
        let advanced = standard
            .with(&change(Some("ADVANCED_HD"), Some(lower)))
            .unwrap_or_else(|error| panic!("{error}"));
        let none = change(None, None);
        check(&standard, &none, Ok(""));
        check(&standard, &change(Some("ADVANCED_SD"), None), Ok(higher));
        check(&standard, &change(None, Some(lower)), Err("not STANDARD"));
        check(
            &standard,
            &change(Some("BASIC"), Some(lower)),
            Err("not BASIC"),
        );
        check(&advanced, &none, Ok(lower));
        check(&advanced, &change(Some("ADVANCED_SD"), None), Ok(lower));
        check(&advanced, &change(Some("STANDARD"), None), Ok(""));
        let mp4 = Some("FRAGMENTED_MP4");
        let allow = Some("ALLOW");
        check(&standard, &multitrack("STANDARD", true, allow, mp4), Ok(""));
        check(
            &standard,
            &multitrack("STANDARD", false, None, None),
            Ok(""),
        );
        check(
            &standard,
            &multitrack("STANDARD", true, allow, None),
            Err("FRAGMENTED_MP4"),
        );
        check(
            &standard,
            &multitrack("STANDARD", true, None, mp4),
            Err("needs policy"),
        );
        check(
            &standard,
            &multitrack("BASIC", true, allow, mp4),
            Err("only for channels"),
        );
    }
}
