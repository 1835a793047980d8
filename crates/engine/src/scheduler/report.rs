//! What operators and tests get to see of the scheduler. Reads only.

use super::Scheduler;
use crate::call::{ChannelId, Health};
use crate::time::{Span, Time};

/// The state of a channel, for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelStatus {
    /// Tokens at home.
    pub tokens_available: u32,
    /// Tokens in all: the calls a second.
    pub tokens_limit: u32,
    /// Calls neither answered nor given up.
    pub in_flight: u32,
    /// The state of the channel towards the API.
    pub health: Health,
    /// An operator stopped it.
    pub paused: bool,
    /// Not before this moment will it call again, should it not be paused.
    pub next_call: Time,
    /// The time between two calls since a throttle; none at the full rate.
    pub pace: Option<Span>,
}

/// The state of the account, for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountStatus {
    /// Tokens at home.
    pub tokens_available: u32,
    /// Tokens in all: the calls a second.
    pub tokens_limit: u32,
    /// Calls neither answered nor given up.
    pub in_flight: u32,
    /// Calls of a predecessor that may still be handled: so many tokens are withheld for them.
    pub inherited: u32,
    /// Nothing gets through to the API: only probes are sent.
    pub circuit_open: bool,
    /// How often the circuit has opened so far.
    pub circuit_opened: u64,
    /// Channels that could call now.
    pub ready: usize,
    /// Live channels with something to send or in flight.
    pub busy: usize,
    /// Smoothed round trip; zero before the first answer.
    pub round_trip: Span,
    /// The time between two calls since a throttle; none at the full rate.
    pub pace: Option<Span>,
}

impl Scheduler {
    /// The state of a channel; an unknown one is idle and live.
    #[must_use]
    pub(crate) fn status(&self, now: Time, channel: ChannelId) -> ChannelStatus {
        let state = self.channels.get(&channel);
        let out = state.map_or(0, |state| state.bucket.out(now));
        let limit = self.rules.channel_tokens();
        ChannelStatus {
            tokens_available: self.available(now, limit, out),
            tokens_limit: count(limit),
            in_flight: state.map_or(0, |state| state.in_flight),
            health: state.map_or(Health::Live, |state| state.condition.health),
            paused: state.is_some_and(|state| state.paused),
            next_call: self.next_call(now, channel),
            pace: state.and_then(|state| state.widened(now)),
        }
    }

    /// The state of the account.
    #[must_use]
    pub(crate) fn account_status(&self, now: Time) -> AccountStatus {
        let limit = self.rules.account_tokens();
        AccountStatus {
            tokens_available: self.available(now, limit, self.account.out(now)),
            tokens_limit: count(limit),
            in_flight: self.in_flight,
            inherited: count(self.account.inherited(now)),
            circuit_open: self.circuit.is_open(),
            circuit_opened: self.circuit.opened(),
            ready: self.agenda.ready.len(),
            busy: self.agenda.busy,
            round_trip: self.rules.round_trip(),
            pace: self.account_pace(now),
        }
    }

    fn available(&self, now: Time, limit: usize, out: usize) -> u32 {
        if now < self.hold_until {
            0
        } else {
            count(limit.saturating_sub(out))
        }
    }

    fn account_pace(&self, now: Time) -> Option<Span> {
        let throttle = self
            .throttle
            .as_ref()
            .filter(|throttle| throttle.over() > now);
        throttle.map(super::Throttle::interval)
    }
}

pub(super) fn count(tokens: usize) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}
