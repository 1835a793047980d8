//! Streams: they begin, end and are remembered as sessions, and all of it is told.

use super::channel::Channel;
use super::emulator_state::EmulatorState;
use super::regional::{Listed, Paging, Regional, Rejection, list};
use super::resources::{Health, Session};
use super::steps::Step;
use crate::arn::ChannelArn;
use crate::limits::{MAX_PRIORITY, MAX_TAKEOVERS};
use std::sync::Arc;

impl Regional<'_> {
    pub(crate) fn stream(&mut self, channel_arn: &str) -> Result<Session, Rejection> {
        self.channel_entry(channel_arn)?
            .stream()
            .cloned()
            .ok_or_else(|| Rejection::NotBroadcasting(channel_arn.to_owned()))
    }

    /// The live streams, by their channels' ARNs.
    pub(crate) fn streams(&mut self, health: Option<Health>, paging: &Paging) -> Listed<Session> {
        let live = list(
            &self.region().channels,
            paging,
            |channel| {
                channel
                    .stream()
                    .is_some_and(|stream| health.is_none_or(|health| stream.health == health))
            },
            |channel| channel.stream().cloned(),
        );
        Listed {
            things: live.things.into_iter().flatten().collect(),
            last: live.last,
        }
    }

    /// Disconnects the encoder, which may come back at once.
    pub(crate) fn stop_stream(&mut self, channel_arn: &str) -> Result<(), Rejection> {
        self.stream(channel_arn)?;
        if let Some(arn) = ChannelArn::parse(channel_arn) {
            self.state.end_stream(&arn, false);
        }
        Ok(())
    }

    /// Puts an ad break into the live stream; gives its identifier and its start. That a channel
    /// without an ad configuration cannot have one is said nowhere: it is a conflict here.
    pub(crate) fn insert_ad_break(
        &mut self,
        channel_arn: &str,
        id: Option<&str>,
        target_us: Option<u64>,
    ) -> Result<(String, u64), Rejection> {
        self.stream(channel_arn)?;
        let id = match id {
            Some(id) => id.to_owned(),
            None => self.state.ids.alphanumeric(12),
        };
        let now_us = self.now_us;
        let channel = self.channel_entry(channel_arn)?;
        if channel.settings.ad_configuration_arn.is_empty() {
            return Err(Rejection::Conflict(format!(
                "Channel: {channel_arn} has no ad configuration"
            )));
        }
        if !channel.insert_ad_break(&id) {
            return Err(Rejection::Conflict(format!(
                "Channel: {channel_arn} has an ad break {id} already"
            )));
        }
        // What should have begun begins now.
        Ok((id, target_us.unwrap_or(0).max(now_us)))
    }

    pub(crate) fn revoke(
        &mut self,
        channel_arn: &str,
        viewer: &str,
        version: u32,
    ) -> Result<(), Rejection> {
        self.channel_entry(channel_arn)?.revoke(viewer, version);
        Ok(())
    }

    /// The session of a stream id, or the latest.
    pub(crate) fn session(
        &mut self,
        channel_arn: &str,
        stream_id: Option<&str>,
    ) -> Result<Session, Rejection> {
        let sessions = &self.channel_entry(channel_arn)?.sessions;
        let found = match stream_id {
            Some(id) => sessions.iter().find(|session| *session.stream_id == *id),
            None => sessions.back(),
        };
        let missing = || Rejection::NotFound(stream_id.unwrap_or(channel_arn).to_owned());
        found.cloned().ok_or_else(missing)
    }

    /// The sessions of a channel that are remembered, the newest first.
    pub(crate) fn sessions(
        &mut self,
        channel_arn: &str,
        paging: &Paging,
    ) -> Result<Listed<Session>, Rejection> {
        let sessions = &self.channel_entry(channel_arn)?.sessions;
        let before: u64 = paging
            .after
            .as_deref()
            .and_then(|number| number.parse().ok())
            .unwrap_or(u64::MAX);
        let mut found = sessions
            .iter()
            .rev()
            .filter(|session| session.number < before);
        let things: Vec<Session> = found.by_ref().take(paging.most).cloned().collect();
        let more = found.next().is_some();
        let last = things.last().filter(|_| more);
        Ok(Listed {
            last: last.map(|session| session.number.to_string()),
            things,
        })
    }
}

impl EmulatorState {
    /// An encoder connects; `false` if there is no such channel or it has one.
    pub(super) fn begin_stream(&mut self, arn: &ChannelArn, health: Health, priority: u32) -> bool {
        let Self {
            regions,
            ids,
            now_us,
            life,
            ..
        } = self;
        let Some(region) = regions.get_mut(arn.home()) else {
            return false;
        };
        let channel = region.channels.get(arn.as_str());
        let Some(channel) = channel.filter(|channel| !channel.is_connected()) else {
            return false;
        };
        let settings = Arc::clone(&channel.settings);
        let recording = region.document(&settings.recording_configuration_arn);
        let slate = region.document(&settings.failover_slate_configuration_arn);
        let Some(channel) = region.channels.get_mut(arn.as_str()) else {
            return false;
        };
        channel.begin(Session {
            number: channel.started + 1,
            stream_id: ids.stream().into(),
            start_us: *now_us,
            starting: true,
            end_us: None,
            failed: false,
            health,
            channel: settings,
            recording,
            slate,
            events: Vec::new(),
            priority,
            takeovers: 0,
            facts: None,
        });
        let (created_us, delay_us) = (*now_us, life.stream_start_ms.saturating_mul(1_000));
        self.plan(arn, created_us, Step::SessionCreated);
        self.plan(arn, created_us.saturating_add(delay_us), Step::StreamStart);
        true
    }

    /// The encoder disconnects, by a failure or not; `false` if there is none.
    pub(super) fn end_stream(&mut self, arn: &ChannelArn, failed: bool) -> bool {
        let now_us = self.now_us;
        let Some(channel) = self.connected(arn) else {
            return false;
        };
        let was_live = channel.is_live();
        channel.end(now_us, failed);
        if failed {
            self.plan(arn, now_us, Step::StreamFailure);
        }
        let later_us = now_us.saturating_add(self.life.end_ms.saturating_mul(1_000));
        let (stream_us, session_us) = if self.life.session_ended_first {
            (later_us, now_us)
        } else {
            (now_us, later_us)
        };
        // Of what happens at once, too, the first is told first.
        if self.life.session_ended_first || !was_live {
            self.plan(arn, session_us, Step::SessionEnded);
        }
        if was_live {
            self.plan(arn, stream_us, Step::StreamEnd);
        }
        if !self.life.session_ended_first && was_live {
            self.plan(arn, session_us, Step::SessionEnded);
        }
        true
    }

    /// What comes in is better or worse now; `false` if nothing does.
    pub(super) fn set_health(&mut self, arn: &ChannelArn, health: Health) -> bool {
        let now_us = self.now_us;
        if self.connected(arn).is_none() {
            return false;
        }
        self.plan(arn, now_us, Step::Health(health));
        true
    }

    /// A second encoder wants to take the stream over; gives why it may not. IVS user guide,
    /// "Stream Takeover": its priority must be greater than that of the first.
    pub(super) fn take_over(
        &mut self,
        arn: &ChannelArn,
        priority: u32,
    ) -> Result<(), &'static str> {
        let now_us = self.now_us;
        let session = self
            .connected(arn)
            .and_then(|channel| channel.sessions.back_mut());
        let Some(session) = session else {
            return Ok(());
        };
        let refused = if session.takeovers >= MAX_TAKEOVERS {
            Some("StreamTakeoverLimitBreached")
        } else if priority <= session.priority || priority > MAX_PRIORITY {
            Some("StreamTakeoverInvalidPriority")
        } else {
            session.takeovers += 1;
            session.priority = priority;
            None
        };
        let step = refused.map_or(Step::Takeover, Step::TakeoverFailure);
        self.plan(arn, now_us, step);
        refused.map_or(Ok(()), Err)
    }

    /// A channel whose encoder is connected.
    fn connected(&mut self, arn: &ChannelArn) -> Option<&mut Channel> {
        let region = self.regions.get_mut(arn.home())?;
        let channel = region.channels.get_mut(arn.as_str())?;
        channel.is_connected().then_some(channel)
    }
}
