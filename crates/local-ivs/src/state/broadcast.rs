//! What viewers need of the state: where playback URLs lead, the live stream of a channel, and the metadata
//! of a segment.

use super::State;
use crate::arn::ChannelArn;
use crate::playback::{Broadcast, Picture, Tag};
use std::sync::Arc;

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
