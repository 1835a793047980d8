//! The life of a stream in time: what becomes of it when, and how that is told.
//!
//! A stream lives by steps. Each is due at a time, and runs as soon as the state is looked at
//! after that. Without delays, which is the default, all steps of a change run at once.

use super::channel::Channel;
use super::emulator_state::EmulatorState;
use super::resources::{Health, Session, SessionEvent};
use super::steps::{Due, Step};
use crate::arn::ChannelArn;
use crate::events::{self, Event};
use crate::limits::MAX_SESSION_EVENTS;
use crate::timestamp;
use serde_json::{Map, Value, json};
use std::sync::Arc;

impl EmulatorState {
    /// Has a step of a channel's latest session run at a time, or now.
    pub(super) fn plan(&mut self, arn: &ChannelArn, at_us: u64, step: Step) {
        let Some(session) = self.channel(arn).map(|channel| channel.started) else {
            return;
        };
        let due = Due {
            channel: arn.clone(),
            session,
            step,
        };
        self.planned += 1;
        self.due.insert((at_us, self.planned), due);
        self.run_due();
        if !self.due.is_empty() {
            self.wake.notify_one();
        }
    }

    /// Runs what is due.
    pub(super) fn run_due(&mut self) {
        while let Some(entry) = self.due.first_entry() {
            let at_us = entry.key().0;
            if at_us > self.now_us {
                return;
            }
            let due = entry.remove();
            self.run(at_us, &due);
        }
    }

    fn run(&mut self, at_us: u64, due: &Due) {
        let Self {
            regions, events, ..
        } = self;
        let channel = regions
            .get_mut(due.channel.home())
            .and_then(|region| region.channels.get_mut(due.channel.as_str()));
        let Some(channel) = channel else { return };
        let mut sessions = channel.sessions.iter_mut();
        let session = sessions.find(|session| session.number == due.session);
        let Some(session) = session else { return };
        for (kind, name, code) in take(session, at_us, due.step) {
            let event = session.event(at_us, kind, name, code.map(str::to_owned));
            events.tell(event);
        }
        self.touch();
    }

    /// Tells an event of a channel that nobody but `/_local/` knows of.
    pub(super) fn post(
        &mut self,
        arn: &ChannelArn,
        kind: &'static str,
        name: &str,
        code: Option<String>,
        more: Map<String, Value>,
    ) -> Option<Event> {
        let now_us = self.now_us;
        let regions = &mut self.regions;
        let region = regions.get_mut(arn.home())?;
        let channel = region.channels.get_mut(arn.as_str())?;
        let mut event = match channel.sessions.back_mut() {
            Some(session) => session.event(now_us, kind, name, code),
            None => Event {
                time_us: now_us,
                channel_arn: arn.shared(),
                kind,
                detail: detail(&channel.settings.name, "", kind, name, code),
            },
        };
        event.detail.extend(more);
        self.events.tell(event.clone());
        self.touch();
        Some(event)
    }
}

/// Changes a session as a step says; gives what is to be told, with type, name and code.
fn take(
    session: &mut Session,
    at_us: u64,
    step: Step,
) -> Vec<(&'static str, &'static str, Option<&'static str>)> {
    let state = |name| vec![(events::STATE, name, None)];
    let is_recorded = session.recording.is_some();
    let with_recording = |name, recording| {
        let mut told = state(name);
        told.extend(is_recorded.then_some((events::RECORDING, recording, None)));
        told
    };
    match step {
        Step::SessionCreated => state("Session Created"),
        Step::StreamStart if session.end_us.is_some() => Vec::new(),
        Step::StreamStart => {
            session.starting = false;
            session.start_us = at_us;
            with_recording("Stream Start", "Recording Start")
        }
        Step::StreamFailure => state("Stream Failure"),
        Step::StreamEnd => with_recording("Stream End", "Recording End"),
        Step::SessionEnded => state("Session Ended"),
        Step::Health(health) => {
            let before = std::mem::replace(&mut session.health, health);
            let starves = |health| health == Health::Starving;
            match (starves(before), starves(health)) {
                (false, true) => vec![(events::HEALTH, "Starvation Start", None)],
                (true, false) => vec![(events::HEALTH, "Starvation End", None)],
                _ => Vec::new(),
            }
        }
        Step::Takeover => state("Stream Takeover"),
        Step::TakeoverFailure(code) => {
            vec![(events::STATE, "Stream Takeover Failure", Some(code))]
        }
    }
}

impl Session {
    /// An event of the session, which remembers it.
    fn event(
        &mut self,
        time_us: u64,
        kind: &'static str,
        name: &str,
        code: Option<String>,
    ) -> Event {
        self.events.push(SessionEvent {
            time_us,
            kind: kind.to_owned(),
            name: name.to_owned(),
            code: code.clone(),
        });
        if self.events.len() > MAX_SESSION_EVENTS {
            self.events.remove(0);
        }
        let mut detail = detail(&self.channel.name, &self.stream_id, kind, name, code);
        if kind == events::RECORDING {
            detail.extend(self.recording_detail(time_us, name));
        }
        Event {
            time_us,
            channel_arn: Arc::clone(&self.channel.arn),
            kind,
            detail,
        }
    }

    /// What a recording that does not exist would say of itself.
    fn recording_detail(&self, time_us: u64, status: &str) -> Map<String, Value> {
        let has_ended = status == "Recording End";
        let bucket = self.recording.as_ref().map_or(Value::Null, |recording| {
            recording.members["destinationConfiguration"]["s3"]["bucketName"].clone()
        });
        let arn = ChannelArn::parse(&self.channel.arn);
        let (account, id) = arn
            .as_ref()
            .map_or(("", ""), |arn| (arn.account(), arn.id()));
        let session_id = self.stream_id.get(3..19).unwrap_or_default();
        let start = timestamp::path(self.start_us);
        let mut detail = Map::new();
        let mut put = |name: &str, value: Value| detail.insert(name.to_owned(), value);
        put("recording_status_reason", "".into());
        put("recording_s3_bucket_name", bucket);
        put(
            "recording_s3_key_prefix",
            format!("ivs/v1/{account}/{id}/{start}/{session_id}").into(),
        );
        let lasted = if has_ended {
            time_us.saturating_sub(self.start_us) / 1_000
        } else {
            0
        };
        put("recording_duration_ms", lasted.into());
        put("recording_session_id", session_id.into());
        if has_ended {
            put("recording_session_stream_ids", json!([*self.stream_id]));
        }
        detail
    }

    /// What a session that was kept without its events must have been through.
    pub(super) fn recall_events(&mut self) {
        let (start_us, end_us, failed) = (self.start_us, self.end_us, self.failed);
        let mut steps = vec![(start_us, Step::SessionCreated)];
        steps.extend((!self.starting).then_some((start_us, Step::StreamStart)));
        if let Some(end_us) = end_us {
            steps.extend(failed.then_some((end_us, Step::StreamFailure)));
            steps.extend([(end_us, Step::StreamEnd), (end_us, Step::SessionEnded)]);
        }
        self.end_us = None;
        for (at_us, step) in steps {
            for (kind, name, _) in take(self, at_us, step) {
                self.event(at_us, kind, name, None);
            }
        }
        self.end_us = end_us;
    }
}

/// The members that all events of a kind have.
fn detail(
    channel_name: &str,
    stream_id: &str,
    kind: &'static str,
    name: &str,
    code: Option<String>,
) -> Map<String, Value> {
    let mut detail = Map::new();
    detail.insert(events::name_member(kind).to_owned(), name.into());
    // What is over the limit of an account is no channel's.
    if !events::ACCOUNT_LIMITS.contains(&name) {
        detail.insert("channel_name".to_owned(), channel_name.into());
        detail.insert("stream_id".to_owned(), stream_id.into());
    }
    detail.extend(code.map(|code| ("code".to_owned(), code.into())));
    detail
}

impl Channel {
    /// Whether an encoder is connected, be its stream live yet or not.
    pub(crate) fn is_connected(&self) -> bool {
        let session = self.sessions.back();
        session.is_some_and(|session| session.end_us.is_none())
    }
}

#[cfg(test)]
mod tests;
