//! All that a restart must not lose, as one value: taken in a moment under the lock, written
//! and read outside of it.
//!
//! Metadata and books are not part of it. Neither are live streams: an encoder's connection
//! does not outlive the server, so a stream that was live ends when its snapshot is read.

use super::State;
use super::channel::Channel;
use super::emulator_state::EmulatorState;
use super::resources::{Health, KeyPair, Recording, Session, StreamKey};
use super::settings::Settings;
use crate::arn::ChannelArn;
use crate::ids::Ids;
use serde::{Deserialize, Serialize};
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
    key_pairs: Vec<Arc<KeyPair>>,
    recordings: Vec<Arc<Recording>>,
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
    recording: Option<Arc<Recording>>,
}

impl State {
    /// What is to be kept, and the count of changes it holds.
    pub(crate) fn snapshot(&self) -> (u64, Snapshot) {
        let (world, _) = self.lock();
        let changes = *world.changes.borrow();
        (changes, world.snapshot())
    }

    /// Takes over what was kept; for a state that is still empty. Streams that were live end
    /// now, and that is told.
    ///
    /// # Errors
    ///
    /// What does not fit together in it.
    pub(crate) fn restore(&self, snapshot: Snapshot) -> Result<(), String> {
        let (mut world, _) = self.lock();
        world.restore(snapshot)
    }
}

impl EmulatorState {
    fn snapshot(&self) -> Snapshot {
        let regions = self.regions.iter().map(|(home, region)| SavedRegion {
            home: Arc::clone(home),
            channels: region.channels.values().map(save).collect(),
            stream_keys: region.stream_keys.values().cloned().collect(),
            key_pairs: region.key_pairs.values().cloned().collect(),
            recordings: region.recordings.values().cloned().collect(),
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
                if channel.is_live() {
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
            let region = self.region_or_made(&home);
            for pair in saved.key_pairs {
                region.key_pairs.insert(Arc::clone(&pair.arn), pair);
            }
            for recording in saved.recordings {
                region
                    .recordings
                    .insert(Arc::clone(&recording.arn), recording);
            }
        }
        for arn in live {
            self.end_stream(arn.home(), arn.as_str(), false);
        }
        Ok(())
    }
}

impl SavedRegion {
    fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.key_pairs.is_empty() && self.recordings.is_empty()
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
    });
    for session in sessions {
        channel.begin(session);
    }
    channel.started = channel.started.max(saved.started);
    channel
}
