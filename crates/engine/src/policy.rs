//! The rules a channel and an account live by, as the configuration resolved them.
//!
//! Plain values with the defaults of the surface; no rule is decided here.

use crate::envelope::{Envelope, EnvelopeFields, ItemFields};
use crate::form::DECODED_MAX;
use crate::time::Span;

/// The forms in which payloads leave, of the envelope `cue`; others always leave plain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compress {
    /// Plain.
    #[default]
    Off,
    /// Plain or compressed ([`crate::decode`]), whichever is shorter; a tie is plain.
    Deflate,
}

/// How the state of a channel's keys is kept, and sent to whoever joins late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyframes {
    /// Whether it is.
    pub on: bool,
    /// A key that does not change for so long ends; 0: never.
    pub ttl: Span,
    /// Most keys.
    pub max_keys: usize,
    /// Most bytes of their names and values.
    pub max_bytes: usize,
    /// The time between two payloads of their own; 0: there are none.
    pub idle: Span,
    /// Whether the state is told over HTTP.
    pub http: bool,
    /// What is newer is not told there.
    pub delay: Span,
    /// For how long the payloads are told there.
    pub window: Span,
}

impl Keyframes {
    pub(crate) fn ttl(&self) -> Option<Span> {
        Some(self.ttl).filter(|ttl| *ttl > Span::ZERO)
    }

    pub(crate) fn idle(&self) -> Option<Span> {
        Some(self.idle).filter(|idle| *idle > Span::ZERO)
    }
}

impl Default for Keyframes {
    fn default() -> Self {
        Self {
            on: false,
            ttl: Span::ZERO,
            max_keys: 1000,
            max_bytes: 262_144,
            idle: Span::from_millis(1000),
            http: false,
            delay: Span::from_millis(5000),
            window: Span::from_millis(30_000),
        }
    }
}

/// What a full queue does with one more event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// Evict events of a strictly lower priority, else refuse.
    #[default]
    DropLowestPriority,
    /// Refuse.
    Reject,
    /// Evict the oldest.
    DropOldest,
}

/// What becomes of events while the channel's stream is not live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offline {
    /// They wait until their TTL.
    #[default]
    Hold,
    /// They are counted out as dead letters, reason `offline`.
    Drop,
    /// They are refused at the door.
    Reject,
}

/// What becomes of a payload when nobody knows whether the API took it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnknown {
    /// It goes again with the same `n`: at least once.
    #[default]
    Retry,
    /// It is counted out as a dead letter: at most once.
    Drop,
}

/// When a partial payload goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pacing {
    /// The tuned fractions for 5 tokens, EVEN for any other number.
    #[default]
    Spread,
    /// `1/(K + 1 - u)` of the way to the next token.
    Even,
    /// governor's GCRA with burst 1.
    Steady,
}

/// The rules of one channel's queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelPolicy {
    /// How its events become payloads.
    pub envelope: Envelope,
    /// What a cue item carries.
    pub fields: EnvelopeFields,
    /// Which forms its players read.
    pub compress: Compress,
    /// Most bytes of a plain payload with one event that may leave in slices, where payloads may leave
    /// compressed; 0: none may.
    pub event_max_bytes: usize,
    /// The state of its keys: of the envelope `cue` alone.
    pub keyframes: Keyframes,
    /// Default time to live, in ms: 1 to 86,400,000.
    pub ttl_ms: u32,
    /// Most events at once, in flight included: at least 1.
    pub queue_max_events: usize,
    /// Most bytes of data, type, key and id at once.
    pub queue_max_bytes: usize,
    /// What a full queue does.
    pub overflow: Overflow,
    /// What an offline channel does.
    pub offline: Offline,
    /// What an unknown outcome does.
    pub on_unknown: OnUnknown,
    /// How long an id is remembered.
    pub dedup_window: Span,
    /// Most settled ids remembered (those of queued events always are).
    pub dedup_max_ids: usize,
    /// Events that packing may look past one that does not fit; 0: strict order.
    pub lookahead: usize,
}

impl ChannelPolicy {
    /// Whether payloads may leave compressed.
    pub(crate) fn compresses(&self) -> bool {
        self.compress == Compress::Deflate && self.envelope == Envelope::Cue
    }

    /// Most bytes of a plain payload that may leave in slices; none: no payload may.
    pub(crate) fn sliced_max(&self) -> Option<usize> {
        let may = self.compresses() && self.event_max_bytes > 0;
        may.then(|| self.event_max_bytes.min(DECODED_MAX))
    }

    /// How the state is kept, if it is.
    pub(crate) fn keyframes(&self) -> Option<Keyframes> {
        let keeps = self.keyframes.on && self.envelope == Envelope::Cue;
        keeps.then_some(self.keyframes)
    }

    pub(crate) fn item_fields(&self) -> ItemFields {
        ItemFields {
            fields: self.fields,
            marks_none: self.keyframes().is_some(),
        }
    }
}

impl Default for ChannelPolicy {
    fn default() -> Self {
        Self {
            envelope: Envelope::Cue,
            fields: EnvelopeFields::default(),
            compress: Compress::Off,
            event_max_bytes: 0,
            keyframes: Keyframes::default(),
            ttl_ms: 10_000,
            queue_max_events: 10_000,
            queue_max_bytes: 262_144,
            overflow: Overflow::DropLowestPriority,
            offline: Offline::Hold,
            on_unknown: OnUnknown::Retry,
            dedup_window: Span::from_millis(300_000),
            dedup_max_ids: 10_000,
            lookahead: 0,
        }
    }
}

/// The rules of one account's scheduler.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountPolicy {
    /// Calls in any one second of a channel, as the API measures them: at least 1.
    pub channel_tps: u32,
    /// Calls in any one second of the account: at least 1.
    pub account_tps: u32,
    /// When partial payloads go.
    pub pacing: Pacing,
    /// The share of turns that goes by readiness rather than by age: in (0, 1].
    pub fair_share: f64,
    /// Added to a second before a token returns: the clocks' unlike speed.
    pub grace: Span,
    /// How long after it was given up a call may still be handled.
    pub abandon: Span,
    /// Calls of one channel at once: at least 1; above 1 keyless order may break on retries.
    pub max_in_flight_per_channel: u32,
    /// The share of the account's calls that payloads of state alone may take: 0 to 1.
    pub state_share: f64,
}

impl Default for AccountPolicy {
    fn default() -> Self {
        Self {
            channel_tps: 5,
            account_tps: 155,
            pacing: Pacing::Spread,
            fair_share: 0.5,
            grace: Span::from_millis(2),
            abandon: Span::from_millis(5000),
            max_in_flight_per_channel: 1,
            state_share: 0.1,
        }
    }
}
