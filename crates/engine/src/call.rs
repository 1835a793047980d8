//! The words queue, scheduler and runtime share about one call to the API.
//!
//! A queue says what it would send ([`Demand`]), the scheduler says when ([`crate::Scheduler`]),
//! the runtime makes the call and tells both how it ended ([`Outcome`]). The queue then
//! decides what becomes of the events, the scheduler when the channel may call again.

use crate::time::{Span, Time};

/// A channel within its account: an index the runtime hands out and never reuses while
/// anything of the channel is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub u32);

/// One call in flight, or given up and still holding its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// What a channel's queue would send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// When something can be packed: a moment in the past, or the next `at`.
    pub ready_at: Time,
    /// `max(accepted, at)` of the oldest event that can be packed (of the next one, while
    /// none can): the age the scheduler is fair by.
    pub oldest: Time,
    /// The payload has no room for the next event, or was refused and goes again: pacing
    /// does not hold it.
    pub full: bool,
}

/// Whom a throttle is about, by the resource that the API's message names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottleScope {
    /// The message names the channel.
    Channel,
    /// The message names the account.
    Account,
    /// It names nothing: the channel is taken, and the account once three channels are
    /// throttled within a second.
    Unnamed,
}

/// Why a payload can never be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// The credentials may not do this.
    AccessDenied,
    /// There is no such channel.
    NoSuchChannel,
    /// The API found the request invalid.
    Validation,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The API took it.
    Delivered,
    /// Over a rate; not applied.
    Throttled(ThrottleScope),
    /// The channel has no live stream; not applied.
    Offline,
    /// Refused for its size; not applied.
    TooLarge,
    /// Refused for good; not applied.
    Rejected(Rejection),
    /// The API is in trouble, or the account is (credentials, verification); not applied.
    Failed,
    /// No connection could be made: nothing was sent, so the tokens are free at once.
    Refused,
    /// Nobody knows: it may have been applied, now or until `abandon` has passed.
    Unknown,
}

impl Outcome {
    /// Its label in `cuegate_put_metadata_calls_total`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Throttled(_) => "throttled",
            Self::Offline => "offline",
            Self::TooLarge | Self::Rejected(_) => "rejected",
            Self::Failed | Self::Refused => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// The state of a channel towards the API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Calls go through, as far as anyone knows.
    #[default]
    Live,
    /// The stream is not live: the scheduler probes.
    Offline,
    /// Calls fail: the scheduler backs off.
    Failing,
}

/// What is let through to an offline stream under the policies `drop` and `reject`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Entry {
    /// Every event: somebody says that the stream is live.
    #[default]
    Open,
    /// One event at a time from this moment on, to see whether the stream is back; nothing
    /// before.
    ProbeFrom(Time),
}

/// What the scheduler knows of a channel and its queue needs: for the policies of an
/// offline stream, for `would_expire` and for the ETA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelCondition {
    /// The state of the channel.
    pub health: Health,
    /// What is let through while it is offline.
    pub entry: Entry,
    /// Not before this moment will the channel call again.
    pub next_call: Time,
    /// The mean time between two of its calls while it has a backlog, in the present
    /// company of other busy channels.
    pub interval: Span,
}
