//! All that a restart must not lose, as one value: taken in a moment under the lock, written
//! and read outside of it.
//!
//! Metadata and books are not part of it. Neither are live streams: an encoder's connection
//! does not outlive the server, so a stream that was live ends when its snapshot is read.

use super::State;
use super::channel::Channel;
use super::document::Document;
use super::emulator_state::EmulatorState;
use super::resources::{Health, Session, SessionEvent, StreamKey};
use super::settings::Settings;
use crate::arn::{ChannelArn, ResourceArn};
use crate::ids::Ids;
use crate::playback::Facts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// Where the generator of identifiers stands, so that none is given twice.
    ids: u64,
    regions: Vec<SavedRegion>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SavedRegion {
    home: Arc<str>,
    channels: Vec<SavedChannel>,
    stream_keys: Vec<Arc<StreamKey>>,
    /// All other resources, of whatever kind.
    #[serde(default)]
    documents: Vec<Arc<Document>>,
    /// The same, as format 1 had them.
    #[serde(default, skip_serializing)]
    key_pairs: Vec<Arc<Document>>,
    #[serde(default, skip_serializing)]
    recordings: Vec<Arc<Document>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SavedChannel {
    settings: Arc<Settings>,
    sessions: Vec<SavedSession>,
    started: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SavedSession {
    number: u64,
    stream_id: Arc<str>,
    start_us: u64,
    end_us: Option<u64>,
    failed: bool,
    health: Health,
    /// `None`: the channel's settings as they are now, which is nearly always so.
    channel: Option<Arc<Settings>>,
    recording: Option<Arc<Document>>,
    #[serde(default)]
    slate: Option<Arc<Document>>,
    #[serde(default)]
    starting: bool,
    /// None in format 1: what must have happened follows from the rest.
    #[serde(default)]
    events: Vec<SessionEvent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    facts: Option<Facts>,
}

impl State {
    /// What is to be kept, and the count of changes it holds.
    pub(crate) fn snapshot(&self) -> (u64, Snapshot) {
        let (state, _) = self.lock();
        let changes = *state.changes.borrow();
        (changes, state.snapshot())
    }

    /// Takes over what was kept; for a state that is still empty. Streams that were live end
    /// now, and that is told.
    ///
    /// # Errors
    ///
    /// What does not fit together in it.
    pub(crate) fn restore(&self, snapshot: Snapshot) -> Result<(), String> {
        let (mut state, _) = self.lock();
        state.restore(snapshot)
    }
}

impl EmulatorState {
    fn snapshot(&self) -> Snapshot {
        let regions = self.regions.iter().map(|(home, region)| SavedRegion {
            home: Arc::clone(home),
            channels: region.channels.values().map(save).collect(),
            stream_keys: region.stream_keys.values().cloned().collect(),
            documents: region
                .documents
                .values()
                .flat_map(BTreeMap::values)
                .cloned()
                .collect(),
            key_pairs: Vec::new(),
            recordings: Vec::new(),
        });
        let mut regions: Vec<_> = regions.filter(|region| !region.is_empty()).collect();
        regions.sort_by(|a, b| a.home.cmp(&b.home));
        Snapshot {
            ids: self.ids.position(),
            regions,
        }
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        self.ids = Ids::new(snapshot.ids);
        let mut live = Vec::new();
        for saved in snapshot.regions {
            let home = saved.home;
            let rates = self.rates;
            for channel in saved.channels {
                let arn = ChannelArn::parse(&channel.settings.arn)
                    .filter(|arn| arn.home() == &*home)
                    .ok_or_else(|| {
                        format!("'{}' is not a channel of {home}", channel.settings.arn)
                    })?;
                let region = self.region_or_made(&home);
                let limiter = region.limiter_for(&arn, &rates);
                let channel = load(channel, limiter);
                if channel.is_connected() {
                    live.push(arn.clone());
                }
                if region.channels.insert(arn.shared(), channel).is_none() {
                    self.channels += 1;
                }
            }
            for key in saved.stream_keys {
                let region = self.region_or_made(&home);
                let channel = region
                    .channels
                    .get_mut(&key.channel_arn)
                    .ok_or_else(|| format!("stream key '{}' is of no channel", key.arn))?;
                channel.stream_key = Some(Arc::clone(&key.arn));
                self.insert_stream_key(&home, &key);
            }
            let documents = saved.documents.into_iter();
            let documents = documents.chain(saved.key_pairs).chain(saved.recordings);
            for document in documents {
                let arn = ResourceArn::parse(&document.arn)
                    .filter(|arn| arn.home() == &*home)
                    .ok_or_else(|| format!("'{}' is not a resource of {home}", document.arn))?;
                let region = self.region_or_made(&home);
                let there = region.documents.entry(arn.kind().to_owned());
                there
                    .or_default()
                    .insert(Arc::clone(&document.arn), document);
            }
        }
        for arn in live {
            self.end_stream(&arn, false);
        }
        Ok(())
    }
}

impl SavedRegion {
    fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.documents.is_empty()
    }
}

fn save(channel: &Channel) -> SavedChannel {
    let sessions = channel.sessions.iter().map(|session| SavedSession {
        number: session.number,
        stream_id: Arc::clone(&session.stream_id),
        start_us: session.start_us,
        end_us: session.end_us,
        failed: session.failed,
        health: session.health,
        channel: (session.channel != channel.settings).then(|| Arc::clone(&session.channel)),
        recording: session.recording.clone(),
        slate: session.slate.clone(),
        starting: session.starting,
        events: session.events.clone(),
        facts: session.facts.clone(),
    });
    SavedChannel {
        settings: Arc::clone(&channel.settings),
        sessions: sessions.collect(),
        started: channel.started,
    }
}

fn load(saved: SavedChannel, limiter: crate::window::Limiter) -> Channel {
    let settings = saved.settings;
    let mut channel = Channel::new(limiter, Arc::clone(&settings));
    let sessions = saved.sessions.into_iter().map(|session| Session {
        number: session.number,
        stream_id: session.stream_id,
        start_us: session.start_us,
        end_us: session.end_us,
        failed: session.failed,
        health: session.health,
        channel: session.channel.unwrap_or_else(|| Arc::clone(&settings)),
        recording: session.recording,
        slate: session.slate,
        starting: session.starting,
        events: session.events,
        // An encoder's connection does not outlive the server.
        priority: 0,
        takeovers: 0,
        facts: session.facts,
    });
    for mut session in sessions {
        if session.events.is_empty() {
            session.recall_events();
        }
        channel.begin(session);
    }
    channel.started = channel.started.max(saved.started);
    channel
}
