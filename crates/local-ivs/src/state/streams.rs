//! Streams: they begin, end and are remembered as sessions, and all of it is told.

use super::channel::Channel;
use super::emulator_state::EmulatorState;
use super::regional::{Listed, Paging, Regional, Rejection, list};
use super::resources::{Health, Session};
use crate::events::{EventSender, StateChange, StreamEvent};
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
        let Self { state, home, .. } = self;
        state.end_stream(home, channel_arn, false);
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
    /// Begins a stream; `false` if there is no such channel or it is live already.
    pub(super) fn begin_stream(&mut self, home: &str, arn: &str, health: Health) -> bool {
        let Self {
            regions,
            ids,
            events,
            now_us,
            ..
        } = self;
        let Some(region) = regions.get_mut(home) else {
            return false;
        };
        let Some(channel) = region.channels.get(arn).filter(|it| !it.is_live()) else {
            return false;
        };
        let settings = Arc::clone(&channel.settings);
        let recording = region.document(&settings.recording_configuration_arn);
        let slate = region.document(&settings.failover_slate_configuration_arn);
        let Some(channel) = region.channels.get_mut(arn) else {
            return false;
        };
        channel.begin(Session {
            number: channel.started + 1,
            stream_id: ids.stream().into(),
            start_us: *now_us,
            end_us: None,
            failed: false,
            health,
            channel: settings,
            recording,
            slate,
        });
        tell(
            events,
            *now_us,
            channel,
            &[StreamEvent::SessionCreated, StreamEvent::StreamStart],
        );
        self.touch();
        true
    }

    /// Ends a stream, by a failure or not; `false` if there is none.
    pub(super) fn end_stream(&mut self, home: &str, arn: &str, failed: bool) -> bool {
        let Self {
            regions,
            events,
            now_us,
            ..
        } = self;
        let channel = regions
            .get_mut(home)
            .and_then(|region| region.channels.get_mut(arn));
        let Some(channel) = channel.filter(|channel| channel.is_live()) else {
            return false;
        };
        channel.end(*now_us, failed);
        let kinds = [
            StreamEvent::StreamFailure,
            StreamEvent::StreamEnd,
            StreamEvent::SessionEnded,
        ];
        tell(events, *now_us, channel, &kinds[usize::from(!failed)..]);
        self.touch();
        true
    }
}

/// Tells what happened to the latest stream of a channel.
fn tell(events: &EventSender, time_us: u64, channel: &Channel, kinds: &[StreamEvent]) {
    let Some(session) = channel.sessions.back() else {
        return;
    };
    for &kind in kinds {
        events.tell(StateChange {
            time_us,
            channel_arn: Arc::clone(&channel.settings.arn),
            channel_name: session.channel.name.clone(),
            stream_id: session.stream_id.to_string(),
            kind,
        });
    }
}
