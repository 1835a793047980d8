//! What viewers need of the state: where playback URLs lead, the live stream of a channel, and the metadata
//! of a segment.

use super::State;
use crate::arn::ChannelArn;
use crate::playback::{self, Broadcast, Picture, Resource, Tag};
use bytes::Bytes;
use std::sync::Arc;

/// A playlist or a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// The bytes of it.
    pub bytes: Bytes,
    /// Its media type.
    pub media_type: &'static str,
    /// Whether it never changes: a segment.
    pub is_lasting: bool,
}

impl Played {
    fn playlist(text: String) -> Self {
        Self {
            bytes: text.into(),
            media_type: "application/vnd.apple.mpegurl",
            is_lasting: false,
        }
    }

    fn segment(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            media_type: "video/mp2t",
            is_lasting: true,
        }
    }
}

/// Why there is nothing to play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unplayed {
    /// The channel is not live.
    Offline,
    /// No playlist has the segment any more, or yet.
    Gone,
    /// The encoder's first segment is not over.
    NotYet,
}

/// What makes a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// The segment, counted from 0.
    pub(crate) segment: u64,
    pub(crate) tags: Vec<Tag>,
    /// Packets of all metadata before it.
    pub(crate) packets_before: u64,
}

/// What a channel shows.
#[derive(Debug)]
pub(crate) enum OnAir {
    /// The test picture, and the time.
    Sample(Broadcast, u64),
    /// What an encoder sends.
    Encoder(Arc<Picture>),
}

impl State {
    /// Has playback URLs lead below this one, such as `http://127.0.0.1:4580`, or nowhere, in the form of real
    /// ones. Sessions keep what their channels had.
    pub(crate) fn set_playback_origin(&self, origin: Option<String>) {
        let (mut state, _) = self.lock();
        for region in state.regions.values_mut() {
            for (arn, channel) in &mut region.channels {
                if let Some(arn) = ChannelArn::parse(arn) {
                    let settings = Arc::make_mut(&mut channel.settings);
                    settings.set_playback_url(&arn, origin.as_deref());
                }
            }
        }
        state.playback_origin = origin;
        state.touch();
    }

    /// What players have below a channel's playback URL: `playback.m3u8`, and what that lists. `None` if the channel is not live or
    /// that is not there.
    #[must_use]
    pub fn playback(&self, arn: &str, name: &str) -> Option<Played> {
        self.played(&ChannelArn::parse(arn)?, Resource::parse(name)?)
            .ok()
    }

    pub(crate) fn played(&self, arn: &ChannelArn, resource: Resource) -> Result<Played, Unplayed> {
        match (self.on_air(arn).ok_or(Unplayed::Offline)?, resource) {
            (OnAir::Sample(..), Resource::Master) => Ok(Played::playlist(playback::master())),
            (OnAir::Sample(broadcast, now_us), Resource::Media(variant)) => {
                let text = playback::media(&broadcast, now_us, variant);
                Ok(Played::playlist(text))
            }
            (OnAir::Sample(..), Resource::Segment(sequence)) => {
                let content = self.content(arn, sequence).ok_or(Unplayed::Gone)?;
                let (tags, before) = (&content.tags, content.packets_before);
                let bytes = playback::segment(content.segment, tags, before);
                Ok(Played::segment(bytes))
            }
            (OnAir::Encoder(picture), Resource::Segment(sequence)) => {
                let bytes = picture.segment(sequence).ok_or(Unplayed::Gone)?;
                Ok(Played::segment(bytes))
            }
            (OnAir::Encoder(picture), resource) => {
                let window = picture.window().ok_or(Unplayed::NotYet)?;
                Ok(Played::playlist(match resource {
                    Resource::Media(variant) => playback::media_of(&window, variant),
                    _ => playback::master_of(&window.facts),
                }))
            }
        }
    }

    /// What viewers of a channel see; `None` while it is offline, or is no channel.
    pub(crate) fn on_air(&self, arn: &ChannelArn) -> Option<OnAir> {
        let (state, now_us) = self.lock();
        let channel = state.channel(arn)?;
        let stream = channel.stream()?;
        let broadcast = Broadcast::new(stream.start_us, stream.number);
        let picture = channel.picture.as_ref().map(Arc::clone);
        Some(picture.map_or(OnAir::Sample(broadcast, now_us), OnAir::Encoder))
    }

    /// What is in the segment that playlists have under this number; `None` if it is not there.
    ///
    /// The seconds of listed segments are over, and the time never goes back, so nothing comes later.
    pub(crate) fn content(&self, arn: &ChannelArn, sequence: u64) -> Option<Content> {
        let (state, now_us) = self.lock();
        let channel = state.channel(arn)?;
        let stream = channel.stream()?;
        let broadcast = Broadcast::new(stream.start_us, stream.number);
        let segment = broadcast.segment(sequence, now_us)?;
        let moments = broadcast.moments(segment);
        let (taken, packets_before) = channel.taken(&moments);
        let tags = taken.map(|entry| Tag {
            at_us: entry.time_us.saturating_sub(broadcast.begin_us()),
            text: Arc::clone(&entry.metadata),
        });
        Some(Content {
            segment,
            tags: tags.collect(),
            packets_before,
        })
    }
}
