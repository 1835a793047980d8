//! Channels: made with a stream key, changed for their next stream, deleted when offline.

use super::Tags;
use super::channel::Channel;
use super::emulator_state::EmulatorState;
use super::regional::{Listed, Paging, Regional, Rejection, list};
use super::resources::StreamKey;
use super::settings::{ChannelChange, Settings};
use crate::arn::ChannelArn;
use crate::limits::{MAX_CHANNELS, QUOTA_CHANNELS};
use serde::Deserialize;
use std::sync::Arc;

/// Which channels a list has; all of them by default.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct ChannelFilter {
    #[serde(rename = "filterByName")]
    pub(crate) name: Option<String>,
    #[serde(rename = "filterByRecordingConfigurationArn")]
    pub(crate) recording_configuration_arn: Option<String>,
    #[serde(rename = "filterByPlaybackRestrictionPolicyArn")]
    pub(crate) playback_restriction_policy_arn: Option<String>,
    #[serde(rename = "filterByAdConfigurationArn")]
    pub(crate) ad_configuration_arn: Option<String>,
    #[serde(rename = "filterByFailoverSlateConfigurationArn")]
    pub(crate) failover_slate_configuration_arn: Option<String>,
}

impl ChannelFilter {
    fn keeps(&self, settings: &Settings) -> bool {
        let is = |wanted: &Option<String>, value: &String| {
            wanted.as_ref().is_none_or(|wanted| wanted == value)
        };
        is(&self.name, &settings.name)
            && is(
                &self.recording_configuration_arn,
                &settings.recording_configuration_arn,
            )
            && is(
                &self.playback_restriction_policy_arn,
                &settings.playback_restriction_policy_arn,
            )
            && is(&self.ad_configuration_arn, &settings.ad_configuration_arn)
            && is(
                &self.failover_slate_configuration_arn,
                &settings.failover_slate_configuration_arn,
            )
    }
}

impl Regional<'_> {
    pub(crate) fn create_channel(
        &mut self,
        change: &ChannelChange,
        tags: &Tags,
    ) -> Result<(Arc<Settings>, Arc<StreamKey>), Rejection> {
        if self.region().channels.len() >= QUOTA_CHANNELS {
            return Err(Rejection::QuotaExceeded(format!(
                "Quota exceeded: an account has at most {QUOTA_CHANNELS} channels in a region"
            )));
        }
        if self.state.channels >= MAX_CHANNELS {
            return Err(Rejection::QuotaExceeded(format!(
                "This emulator holds at most {MAX_CHANNELS} channels"
            )));
        }
        self.check_references(change)?;
        let text = self.new_arn("channel", |region, arn| region.channels.contains_key(arn))?;
        let arn = ChannelArn::parse(&text).ok_or_else(|| Rejection::NotFound(text.to_string()))?;
        let state = &mut *self.state;
        let origin = state.playback_origin.as_deref();
        let mut settings = Settings::new(&mut state.ids, &arn, origin)
            .with(change)
            .map_err(Rejection::Invalid)?;
        settings.tags.clone_from(tags);
        let settings = Arc::new(settings);
        let key = self.state.add_channel(&arn, Arc::clone(&settings));
        Ok((settings, key))
    }

    pub(crate) fn channel(&mut self, arn: &str) -> Result<Arc<Settings>, Rejection> {
        Ok(Arc::clone(&self.channel_entry(arn)?.settings))
    }

    pub(crate) fn channels(
        &mut self,
        filter: &ChannelFilter,
        paging: &Paging,
    ) -> Listed<Arc<Settings>> {
        list(
            &self.region().channels,
            paging,
            |channel| filter.keeps(&channel.settings),
            |channel| Arc::clone(&channel.settings),
        )
    }

    /// A live channel cannot be changed.
    pub(crate) fn update_channel(
        &mut self,
        arn: &str,
        change: &ChannelChange,
    ) -> Result<Arc<Settings>, Rejection> {
        self.check_offline(arn)?;
        self.check_references(change)?;
        let channel = self.channel_entry(arn)?;
        let settings = channel.settings.with(change).map_err(Rejection::Invalid)?;
        channel.settings = Arc::new(settings);
        let settings = Arc::clone(&channel.settings);
        self.state.touch();
        Ok(settings)
    }

    pub(crate) fn delete_channel(&mut self, arn: &str) -> Result<(), Rejection> {
        self.check_offline(arn)?;
        let Self { state, home, .. } = self;
        state.remove_channel(home, arn);
        Ok(())
    }

    pub(super) fn channel_entry(&mut self, arn: &str) -> Result<&mut Channel, Rejection> {
        self.region()
            .channels
            .get_mut(arn)
            .ok_or_else(|| Rejection::NotFound(arn.to_owned()))
    }

    fn check_offline(&mut self, arn: &str) -> Result<(), Rejection> {
        if self.channel_entry(arn)?.is_connected() {
            return Err(Rejection::Conflict(format!(
                "Channel: {arn} is live: stop its stream first"
            )));
        }
        Ok(())
    }

    /// Whether all that a channel shall refer to is there.
    fn check_references(&mut self, change: &ChannelChange) -> Result<(), Rejection> {
        let references = [
            &change.recording_configuration_arn,
            &change.playback_restriction_policy_arn,
            &change.ad_configuration_arn,
            &change.failover_slate_configuration_arn,
        ];
        for arn in references.into_iter().flatten() {
            if !arn.is_empty() {
                self.any_document(arn)?;
            }
        }
        Ok(())
    }
}

impl EmulatorState {
    /// Adds a channel that is not there yet, with a stream key.
    pub(super) fn add_channel(
        &mut self,
        arn: &ChannelArn,
        settings: Arc<Settings>,
    ) -> Arc<StreamKey> {
        let key = self.add_stream_key(arn.home(), &arn.shared(), Tags::new());
        self.channels += 1;
        let rates = self.rates;
        let region = self.region_or_made(arn.home());
        let limiter = region.limiter_for(arn, &rates);
        let mut channel = Channel::new(limiter, settings);
        channel.stream_key = Some(Arc::clone(&key.arn));
        region.channels.insert(arn.shared(), channel);
        self.touch();
        key
    }

    fn remove_channel(&mut self, home: &str, arn: &str) {
        let now_us = self.now_us;
        let region = self.region_or_made(home);
        let Some(channel) = region.channels.remove(arn) else {
            return;
        };
        region.remember_limiter(now_us, arn, channel.limiter);
        if let Some(key) = channel.stream_key {
            self.remove_stream_key(home, &key);
        }
        self.channels -= 1;
        // Or a later channel of this name would forget by the numbers of this one.
        self.retained.retain(|(of, _)| **of != *arn);
        self.touch();
    }
}
