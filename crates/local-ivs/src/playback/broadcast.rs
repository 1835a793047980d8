//! The timeline of a live stream: one segment a second, listed once its second is over.

use crate::limits::{PLAYBACK_LEAD_S, PLAYBACK_SPARE_SEGMENTS, PLAYBACK_WINDOW, SECOND_US};
use std::ops::Range;

/// A stream that is on the air. Its segments count from 0.
///
/// The picture begins a little before the stream does. So whoever comes at once finds segments, as many
/// as a player wants before it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broadcast {
    /// When the stream went live, in microseconds since the Unix epoch.
    live_us: u64,
    /// Counts the channel's streams from 1.
    number: u64,
}

impl Broadcast {
    pub(crate) const fn new(live_us: u64, number: u64) -> Self {
        Self { live_us, number }
    }

    /// When segment 0 begins.
    pub(crate) fn begin_us(&self) -> u64 {
        self.live_us.saturating_sub(PLAYBACK_LEAD_S * SECOND_US)
    }

    /// The segments that a playlist has at this time: the last ones whose second is over.
    pub(crate) fn listed(&self, now_us: u64) -> Range<u64> {
        let over = now_us.saturating_sub(self.begin_us()) / SECOND_US;
        over.saturating_sub(PLAYBACK_WINDOW)..over
    }

    /// The segment of a number in a playlist, if it is there: a listed one, or one that was listed a moment
    /// ago, because a player asks for what it read in an older playlist.
    pub(crate) fn segment(&self, sequence: u64, now_us: u64) -> Option<u64> {
        let listed = self.listed(now_us);
        let oldest = listed.start.saturating_sub(PLAYBACK_SPARE_SEGMENTS);
        let segment = sequence.checked_sub(self.sequence(0))?;
        (oldest..listed.end).contains(&segment).then_some(segment)
    }

    /// A segment's number in playlists (`EXT-X-MEDIA-SEQUENCE`).
    ///
    /// It never goes back when an encoder reconnects: it counts seconds since the Unix epoch, and the lead of each
    /// stream is added, so that the first number of a stream is greater than all of the stream before.
    pub(crate) fn sequence(&self, segment: u64) -> u64 {
        let leads = self.number.saturating_mul(PLAYBACK_LEAD_S + 1);
        (self.begin_us() / SECOND_US)
            .saturating_add(leads)
            .saturating_add(segment)
    }

    /// How many streams of the channel came before (`EXT-X-DISCONTINUITY-SEQUENCE`).
    pub(crate) fn discontinuities(&self) -> u64 {
        self.number.saturating_sub(1)
    }

    /// When a segment begins, in microseconds since the Unix epoch.
    pub(crate) fn starts_us(&self, segment: u64) -> u64 {
        self.begin_us()
            .saturating_add(segment.saturating_mul(SECOND_US))
    }

    /// The moments whose metadata is in a segment. What was taken before the stream belongs to another one.
    pub(crate) fn moments(&self, segment: u64) -> Range<u64> {
        let from = self.starts_us(segment).max(self.live_us);
        from..self.starts_us(segment.saturating_add(1)).max(from)
    }
}
