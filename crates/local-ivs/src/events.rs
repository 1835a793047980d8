//! News of streams for `EventBridge`: what `state` tells, in the order it happened, and how it
//! reaches an HTTP endpoint, as an API destination of `EventBridge` would call it.
//!
//! `state` tells under its lock, so telling never blocks and never fails; whoever takes the
//! news from the queue may be as slow as it likes. How they reach a bus is not known there.
//!
//! | room | what it holds |
//! |---|---|
//! | `body` | a change as `EventBridge` writes it |
//! | `settings` | where to and how badly: as it is written, as it is checked |
//! | `schedule` | which posts become of an event, when, and when again; draws no breath of I/O |
//! | `deliver` | the task that carries the schedule out |
//! | `post` | one HTTP request |

mod body;
mod deliver;
mod post;
mod schedule;
mod settings;

use crate::limits::MAX_QUEUED_EVENTS;
pub(crate) use deliver::deliver;
use serde::Serialize;
use settings::Settings;
pub use settings::{EventsError, EventsTarget};
pub(crate) use settings::{Listed, Raw};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, watch};

/// A change of a channel's stream, as "IVS Stream State Change" reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateChange {
    /// When it happened, in microseconds since the Unix epoch on the server's clock.
    pub(crate) time_us: u64,
    pub(crate) channel_arn: Arc<str>,
    pub(crate) channel_name: String,
    /// `st-` and 23 more characters.
    pub(crate) stream_id: String,
    pub(crate) kind: StreamEvent,
}

/// What happened. A stream that goes well is told as `SessionCreated`, `StreamStart`,
/// `StreamEnd`, `SessionEnded`, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamEvent {
    SessionCreated,
    StreamStart,
    StreamFailure,
    StreamEnd,
    SessionEnded,
}

impl StreamEvent {
    /// As `detail.event_name` has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SessionCreated => "Session Created",
            Self::StreamStart => "Stream Start",
            Self::StreamFailure => "Stream Failure",
            Self::StreamEnd => "Stream End",
            Self::SessionEnded => "Session Ended",
        }
    }
}

/// A change, and where it goes: the settings that held when it was told, not those that hold
/// when it is read, so that a place that is set gets what happens from then on and nothing else.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) change: StateChange,
    settings: Option<Arc<Settings>>,
}

/// The end of the queue that `state` tells into.
#[derive(Debug, Clone)]
pub(crate) struct EventSender {
    news: mpsc::Sender<News>,
    settings: watch::Receiver<Option<Arc<Settings>>>,
}

/// The end that is read; dropping it stops the telling.
pub(crate) type EventReceiver = mpsc::Receiver<News>;

impl EventSender {
    /// Queues a change. The newest is lost when the queue is full, as `EventBridge`, too, only
    /// does its best.
    pub(crate) fn tell(&self, change: StateChange) {
        let settings = self.settings.borrow().clone();
        if let Err(mpsc::error::TrySendError::Full(lost)) =
            self.news.try_send(News { change, settings })
        {
            tracing::warn!(change = ?lost.change, "too many events wait: one is lost");
        }
    }
}

/// Where events go, if anywhere, and what became of them; the endpoints of `local` set the
/// one and read the other.
#[derive(Debug)]
pub(crate) struct Bus {
    settings: watch::Sender<Option<Arc<Settings>>>,
    tally: Mutex<EventsTally>,
}

/// What became of events since the books were opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct EventsTally {
    /// Stream state changes while there was somewhere to post them.
    pub events: u64,
    /// Posts that were answered with a 2xx; an event that is repeated has two.
    pub posted: u64,
    /// Posts that were made again, because they failed or were not answered.
    pub retried: u64,
    /// Events that were not posted because a draw said so.
    pub dropped: u64,
    /// Posts that were given up: refused for good, tried often enough, or too old.
    pub failed: u64,
}

impl Bus {
    pub(crate) fn new(target: Option<&EventsTarget>) -> Result<Self, EventsError> {
        let settings = target.map(Settings::of_target).transpose()?;
        Ok(Self {
            settings: watch::Sender::new(settings.map(Arc::new)),
            tally: Mutex::default(),
        })
    }

    /// A queue for this bus, of at most `MAX_QUEUED_EVENTS`, that takes memory only as it fills.
    pub(crate) fn queue(&self) -> (EventSender, EventReceiver) {
        let (news, receiver) = mpsc::channel(MAX_QUEUED_EVENTS);
        let settings = self.settings.subscribe();
        (EventSender { news, settings }, receiver)
    }

    /// From now on events go where `json` says; those that still wait for the place before
    /// are forgotten.
    pub(crate) fn set(&self, json: &[u8]) -> Result<Listed, EventsError> {
        let settings = Settings::resolve(Raw::read(json)?)?;
        let listed = settings.listed();
        self.settings.send_replace(Some(Arc::new(settings)));
        Ok(listed)
    }

    /// From now on events go nowhere.
    pub(crate) fn clear(&self) {
        self.settings.send_replace(None);
    }

    pub(crate) fn list(&self) -> Option<Listed> {
        self.settings
            .borrow()
            .as_ref()
            .map(|settings| settings.listed())
    }

    pub(crate) fn tally(&self) -> EventsTally {
        *self.books()
    }

    pub(crate) fn reset_books(&self) {
        *self.books() = EventsTally::default();
    }

    fn books(&self) -> MutexGuard<'_, EventsTally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
