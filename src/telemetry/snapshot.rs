//! What a scrape is made of: the state of queues and accounts at one moment.
//!
//! Plain values, filled by whoever owns queues and schedulers. Nothing is derived here but the
//! sums over all channels.

use std::sync::Arc;

use engine::{DeadLetterReason, Ledger};

use super::labels::{ChannelState, OTHER_CHANNELS};

/// Queues and accounts at one moment.
///
/// Totals are those since the process started and never shrink: a label that was once given
/// is given in every later snapshot too, even when a reload removed its channel.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// One for each alias, and one for all other channels together.
    pub channels: Vec<ChannelSnapshot>,
    /// One for each account and region of the configuration, and one for all others.
    pub accounts: Vec<AccountSnapshot>,
    /// Bytes of all queued events.
    pub queue_bytes: u64,
    /// Bytes of the journal on disk.
    pub journal_bytes: u64,
    /// Writes of the journal that failed since the start.
    pub journal_errors: u64,
    /// Blocks that the journal missed at the start.
    pub journal_lost_blocks: u64,
    /// Dead letters kept.
    pub dead_letters: u64,
}

/// The channels under one label.
#[derive(Clone, Debug, Default)]
pub struct ChannelSnapshot {
    /// The alias, or [`super::labels::OTHER_CHANNELS`].
    pub label: Arc<str>,
    /// What came in and how it ended, summed over the channels.
    pub ledger: Ledger,
    /// Events queued, counted on their own: waiting, scheduled, held and in flight.
    pub queue_events: u64,
    /// Keys of their state.
    pub state_keys: u64,
    /// Age of the oldest of them, in seconds; 0 if there is none.
    pub oldest_event_age_seconds: f64,
    /// Until an event accepted now would leave, in seconds; of several channels the longest.
    pub eta_seconds: f64,
    /// How long it is paused, in seconds; 0 if it is not. Of several channels the longest.
    pub paused_seconds: f64,
    /// Free tokens; of several channels the sum.
    pub tokens_available: u64,
    /// How many of the channels are in each state, by [`ChannelState::ALL`].
    pub states: [u64; ChannelState::ALL.len()],
}

impl ChannelSnapshot {
    /// Nothing, under this label.
    #[must_use]
    pub fn new(label: Arc<str>) -> Self {
        Self {
            label,
            ..Self::default()
        }
    }

    /// Counts one more channel under this label, in `state`.
    pub fn count(&mut self, state: ChannelState) {
        self.states[state as usize] += 1;
    }
}

/// One account in one region.
#[derive(Clone, Debug)]
pub struct AccountSnapshot {
    /// The account's id, or [`super::labels::OTHER_ACCOUNTS`].
    pub account: String,
    /// The region, or [`super::labels::OTHER_ACCOUNTS`].
    pub region: String,
    /// Free tokens.
    pub tokens_available: u64,
    /// All its tokens.
    pub tokens_limit: u64,
    /// Whether calls can be made with its credentials, as far as is known.
    pub up: bool,
    /// Whether this node takes its events and makes its calls.
    pub is_here: bool,
}

impl Snapshot {
    /// Dead letters of all channels, by [`DeadLetter::ALL`].
    #[must_use]
    pub fn dead_lettered(&self) -> [u64; DeadLetterReason::ALL.len()] {
        let mut sum = [0; DeadLetterReason::ALL.len()];
        for channel in &self.channels {
            for (sum, count) in sum.iter_mut().zip(channel.ledger.dead_lettered) {
                *sum += count;
            }
        }
        sum
    }

    /// Adds the channels without an alias where they are missing: their series are always there.
    pub(super) fn complete(&mut self) {
        let mut labels = self.channels.iter().map(|channel| &*channel.label);
        if !labels.any(|label| label == OTHER_CHANNELS) {
            self.channels
                .push(ChannelSnapshot::new(OTHER_CHANNELS.into()));
        }
    }

    /// accepted + recovered - released - every end - queued: 0, or events were lost or counted twice.
    #[must_use]
    pub fn unaccounted(&self) -> i64 {
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let balance = |c: &ChannelSnapshot| {
            signed(c.ledger.entered()) - signed(c.ledger.ended()) - signed(c.queue_events)
        };
        self.channels.iter().map(balance).sum()
    }
}
