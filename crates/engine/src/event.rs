//! What a producer sends: one event, checked by its edges, not yet in a queue.
//!
//! The edges parse and validate; the engine trusts the text it is given: `data` is
//! minified JSON, `kind`, `id` and `key` are plain (unescaped) strings.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::merge::Merge;
use crate::time::Wall;

/// The data of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// JSON text without insignificant white space; otherwise as the producer wrote it.
    Json(Arc<str>),
    /// A metadata string that leaves byte for byte, alone in its payload, whatever the
    /// channel's envelope: what arrives at the IVS-compatible door.
    Verbatim(Arc<str>),
}

impl Data {
    /// The text itself.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        match self {
            Self::Json(text) | Self::Verbatim(text) => text,
        }
    }
}

/// Which of a channel's events go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Goes last.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Goes first.
    High,
}

impl Priority {
    /// Every one of them, the first to go first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// The word for it in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    /// The priority of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|priority| priority.name() == name)
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    pub(crate) const fn raised(self) -> Self {
        match self {
            Self::Low => Self::Normal,
            Self::Normal | Self::High => Self::High,
        }
    }
}

/// Who sent an event, where several producers share a channel's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Producer {
    /// Who; the same for as long as the process lives.
    pub id: NonZeroU32,
    /// Most of a queue that is this producer's at any time, in percent of its events and of its
    /// bytes: 1 to 100.
    pub percent: u8,
}

/// What an event says: the same on its way in, in a queue, in a journal and as a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What the players get.
    pub data: Data,
    /// `type`: 1-64 bytes.
    pub kind: Option<Arc<str>>,
    /// Identity within the dedup window: 1-128 bytes (`CloudEvents`: source and id together). Of
    /// several merged events, the latest one's.
    pub id: Option<Arc<str>>,
    /// Order and merging are per key: 1-128 bytes.
    pub key: Option<Arc<str>>,
    /// How it merges; only with a key.
    pub merge: Option<Merge>,
    /// Its place among the others, as the producer said: merging compares it.
    pub priority: Priority,
}

impl Content {
    /// Content with this data and nothing else.
    #[must_use]
    pub fn new(data: Data) -> Self {
        Self {
            data,
            kind: None,
            id: None,
            key: None,
            merge: None,
            priority: Priority::Normal,
        }
    }

    /// Bytes that count against `queue_max_bytes`.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let length = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        self.data.text().len() + length(&self.kind) + length(&self.id) + length(&self.key)
    }
}

/// One event on its way into a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it says.
    pub content: Content,
    /// Time to live from `max(accepted, at)`, in ms; none: the channel's default.
    pub ttl_ms: Option<u32>,
    /// Not before this moment of the wall clock, also when that clock is set while the event
    /// waits. (The `expirytime` of `CloudEvents` becomes `ttl_ms` at the edge.)
    pub at: Option<Wall>,
    /// Whoever waits for this event's end; 0: nobody. Comes back in [`crate::Ended`].
    pub waiter: u64,
    /// Whose share of the queue it takes; none: nobody's. Not remembered by a journal.
    pub producer: Option<Producer>,
}

impl Event {
    /// An event with this data and nothing else.
    #[must_use]
    pub fn new(data: Data) -> Self {
        Content::new(data).into()
    }
}

impl From<Content> for Event {
    /// An event that says this, with its channel's TTL, now.
    fn from(content: Content) -> Self {
        Self {
            content,
            ttl_ms: None,
            at: None,
            waiter: 0,
            producer: None,
        }
    }
}
