//! News of streams for `EventBridge`: what `state` tells, in the order it happened, and how it
//! reaches an HTTP endpoint, as an API destination of `EventBridge` would call it.
//!
//! `state` tells under its lock, so telling never blocks and never fails; whoever takes the
//! news from the queue may be as slow as it likes. How they reach a bus is not known there.
//!
//! | room | what it holds |
//! |---|---|
//! | `body` | an event as `EventBridge` writes it |
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
use serde_json::{Map, Value};
use settings::Settings;
pub use settings::{EventsError, EventsTarget};
pub(crate) use settings::{Listed, Raw};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, watch};

/// The types of events, as `detail-type` has them.
pub(crate) const STATE: &str = "IVS Stream State Change";
pub(crate) const HEALTH: &str = "IVS Stream Health Change";
pub(crate) const LIMIT: &str = "IVS Limit Breach";
pub(crate) const RECORDING: &str = "IVS Recording State Change";

/// All events, by type. IVS user guide, "Using Amazon `EventBridge` with IVS".
pub(crate) const KINDS: [(&str, &[&str]); 4] = [
    (
        STATE,
        &[
            "Session Created",
            "Session Ended",
            "Stream Start",
            "Stream End",
            "Stream Failure",
            "Stream Takeover",
            "Stream Takeover Failure",
        ],
    ),
    (HEALTH, &["Starvation Start", "Starvation End"]),
    (
        LIMIT,
        &[
            "Ingest Bitrate",
            "Ingest Resolution",
            "Concurrent Broadcasts",
            "Concurrent Viewers",
        ],
    ),
    (
        RECORDING,
        &[
            "Recording Start",
            "Recording End",
            "Recording Start Failure",
            "Recording End Failure",
        ],
    ),
];

/// Limits of an account: these events name no channel.
pub(crate) const ACCOUNT_LIMITS: [&str; 2] = ["Concurrent Broadcasts", "Concurrent Viewers"];

/// The member of `detail` that has the name of an event.
pub(crate) fn name_member(kind: &str) -> &'static str {
    match kind {
        LIMIT => "limit_name",
        RECORDING => "recording_status",
        _ => "event_name",
    }
}

/// Something that happened to a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// When it happened, in microseconds since the Unix epoch on the server's clock.
    pub(crate) time_us: u64,
    pub(crate) channel_arn: Arc<str>,
    /// Its type.
    pub(crate) kind: &'static str,
    pub(crate) detail: Map<String, Value>,
}

impl Event {
    fn name(&self) -> &str {
        let name = self.detail.get(name_member(self.kind));
        name.and_then(Value::as_str).unwrap_or_default()
    }
}

/// An event, and where it goes: the settings that held when it was told, not those that hold
/// when it is read, so that a place that is set gets what happens from then on and nothing else.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) event: Event,
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
    /// Queues an event. The newest is lost when the queue is full, as `EventBridge`, too, only
    /// does its best.
    pub(crate) fn tell(&self, event: Event) {
        let settings = self.settings.borrow().clone();
        if let Err(mpsc::error::TrySendError::Full(lost)) =
            self.news.try_send(News { event, settings })
        {
            tracing::warn!(event = ?lost.event, "too many events wait: one is lost");
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
    /// Events while there was somewhere to post them.
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
