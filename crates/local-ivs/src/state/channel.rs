//! One channel: its settings, its streams, its rate, its books, and the metadata it took.
//!
//! Knows nothing of other channels; how much all of them may retain is decided above.

use super::books::Books;
use super::resources::Session;
use super::settings::Settings;
use crate::limits::{MAX_REMEMBERED, MAX_SESSIONS};
use crate::playback::{Picture, packets_of};
use crate::window::Limiter;
use serde::Serialize;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::watch;

/// A payload that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    /// Counts the channel's payloads from 1.
    pub(crate) seq: u64,
    /// When it was taken, in microseconds since the Unix epoch on the server's clock.
    pub(crate) time_us: u64,
    pub(crate) metadata: Arc<str>,
    /// Packets of the channel's metadata before it, as playback has them.
    #[serde(skip)]
    packets_before: u64,
}

/// A stretch of a channel's metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Page {
    pub(crate) metadata: Vec<Entry>,
    /// Payloads with a lower sequence number are no longer there; 1 if all are.
    pub(crate) dropped_before: u64,
    /// Of the latest payload, whether on this page or not; 0 if there is none.
    pub(crate) last_seq: u64,
}

#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) settings: Arc<Settings>,
    /// The ARN of its stream key.
    pub(crate) stream_key: Option<Arc<str>>,
    /// Oldest first; only the last can be live.
    pub(crate) sessions: VecDeque<Session>,
    /// Sessions so far, remembered or not.
    pub(crate) started: u64,
    pub(crate) limiter: Limiter,
    pub(crate) books: Books,
    /// Viewers whose sessions were revoked, up to which version, the latest last.
    pub(crate) revoked: VecDeque<(String, u32)>,
    /// The ad breaks of the live stream, the latest last.
    pub(crate) ad_breaks: VecDeque<String>,
    /// What a real encoder sends; `None`: viewers see the test picture.
    pub(crate) picture: Option<Arc<Picture>>,
    /// Sequence numbers without gaps, ending at `last_seq`.
    retained: VecDeque<Entry>,
    /// Packets of all metadata that was taken, as playback has them.
    packets: u64,
    /// The latest sequence number, for those who wait for the next.
    last_seq: watch::Sender<u64>,
}

impl Channel {
    pub(crate) fn new(limiter: Limiter, settings: Arc<Settings>) -> Self {
        Self {
            settings,
            stream_key: None,
            sessions: VecDeque::new(),
            started: 0,
            limiter,
            books: Books::default(),
            revoked: VecDeque::new(),
            ad_breaks: VecDeque::new(),
            picture: None,
            retained: VecDeque::new(),
            packets: 0,
            last_seq: watch::Sender::new(0),
        }
    }

    /// The live stream.
    pub(crate) fn stream(&self) -> Option<&Session> {
        self.sessions
            .back()
            .filter(|session| session.end_us.is_none() && !session.starting)
    }

    pub(crate) fn is_live(&self) -> bool {
        self.stream().is_some()
    }

    pub(crate) fn begin(&mut self, session: Session) {
        self.started = session.number;
        self.ad_breaks.clear();
        self.sessions.push_back(session);
        if self.sessions.len() > MAX_SESSIONS {
            self.sessions.pop_front();
        }
    }

    pub(crate) fn end(&mut self, now_us: u64, failed: bool) {
        if let Some(session) = self.sessions.back_mut() {
            session.end_us.get_or_insert(now_us.max(session.start_us));
            session.failed |= failed;
        }
        if let Some(picture) = self.picture.take() {
            picture.close();
        }
    }

    /// Remembers that a viewer's sessions are revoked, up to a version.
    pub(crate) fn revoke(&mut self, viewer: &str, version: u32) {
        let before = self.revoked.iter().position(|(of, _)| of == viewer);
        let before = before.and_then(|index| self.revoked.remove(index));
        let version = before.map_or(version, |(_, before)| before.max(version));
        self.revoked.push_back((viewer.to_owned(), version));
        if self.revoked.len() > MAX_REMEMBERED {
            self.revoked.pop_front();
        }
    }

    /// False if the live stream has an ad break of this identifier already.
    pub(crate) fn insert_ad_break(&mut self, id: &str) -> bool {
        if self.ad_breaks.iter().any(|of| of == id) {
            return false;
        }
        self.ad_breaks.push_back(id.to_owned());
        if self.ad_breaks.len() > MAX_REMEMBERED {
            self.ad_breaks.pop_front();
        }
        true
    }

    pub(crate) fn append(&mut self, now_us: u64, metadata: &str) -> u64 {
        let seq = self.last_seq() + 1;
        self.retained.push_back(Entry {
            seq,
            time_us: now_us,
            metadata: metadata.into(),
            packets_before: self.packets,
        });
        self.packets += packets_of(metadata);
        if let Some(picture) = &self.picture {
            picture.push_metadata(now_us, metadata);
        }
        self.last_seq.send_replace(seq);
        seq
    }

    /// Drops what is retained up to and including `seq`.
    pub(crate) fn forget(&mut self, seq: u64) {
        while self.retained.front().is_some_and(|entry| entry.seq <= seq) {
            self.retained.pop_front();
        }
    }

    pub(crate) fn last_seq(&self) -> u64 {
        *self.last_seq.borrow()
    }

    pub(crate) fn dropped_before(&self) -> u64 {
        self.retained
            .front()
            .map_or(self.last_seq() + 1, |entry| entry.seq)
    }

    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.last_seq.subscribe()
    }

    /// What was taken at these moments, in their order, with the packets of all metadata before.
    pub(crate) fn taken(&self, moments: &Range<u64>) -> (impl Iterator<Item = &Entry>, u64) {
        let place = |us| self.retained.partition_point(|entry| entry.time_us < us);
        let (from, to) = (place(moments.start), place(moments.end));
        let first = self.retained.get(from);
        let packets_before = first.map_or(self.packets, |entry| entry.packets_before);
        (self.retained.range(from..to), packets_before)
    }

    pub(crate) fn page(&self, after: u64, most: usize) -> Page {
        // Without gaps, the place of a sequence number follows from the first one's.
        let skipped = after
            .saturating_add(1)
            .saturating_sub(self.dropped_before());
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        Page {
            metadata: self
                .retained
                .iter()
                .skip(skipped)
                .take(most)
                .cloned()
                .collect(),
            dropped_before: self.dropped_before(),
            last_seq: self.last_seq(),
        }
    }
}
