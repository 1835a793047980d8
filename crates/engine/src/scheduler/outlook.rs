//! What queues get to know of their channel and account: for the policies of an offline stream,
//! for `would_expire` and for the ETA. Reads only.
//!
//! Two values, because the account's changes while an idle channel's does not: an embedder keeps
//! the channel's, and puts it together with the account's of the moment ([`ChannelCondition::of`]).

use super::Scheduler;
use super::channel::Channel;
use super::signs;
use crate::call::{ChannelCondition, ChannelId, Entry, Health};
use crate::time::{Span, Time};

/// How a channel stands, without the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelOutlook {
    /// The state of the channel.
    pub health: Health,
    /// What is let through while it is offline, the account's list of live streams aside.
    entry: Entry,
    /// Not before this moment do its own tokens, paces and backoff let it call. A lower bound,
    /// with calls in flight answered after the smoothed round trip.
    next_call: Time,
    /// It is one of the account's busy channels.
    busy: bool,
    /// The time between two calls since a throttle, and until when that holds.
    pace: Option<(Span, Time)>,
}

/// How an account stands, for all its channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountOutlook {
    /// Not before this moment does the account let a call go.
    next_call: Time,
    /// Live channels with something to send or in flight.
    busy: usize,
    /// The time between two calls of a channel that is alone.
    interval: Span,
    /// How long a token is usually out: L.
    cycle: Span,
    /// The account's tokens: A, at least 1.
    tokens: u64,
    /// When a page of its list of live streams was last read.
    list_read: Option<Time>,
    /// The time between two calls of the account since a throttle, and until when that holds.
    pace: Option<(Span, Time)>,
}

impl ChannelCondition {
    /// What a queue goes by at `now`.
    ///
    /// `interval` is the greatest of: L/K; L*R/A with R busy channels; the widened pace of
    /// the channel; R times that of the account; the round trip over the calls that may be
    /// in flight. L = 1 s + smoothed round trip + grace.
    #[must_use]
    pub fn of(now: Time, channel: &ChannelOutlook, account: &AccountOutlook) -> Self {
        let company = (account.busy + usize::from(!channel.busy)) as u64;
        let present = |pace: Option<(Span, Time)>| {
            pace.filter(|(_, until)| *until > now)
                .map_or(Span::ZERO, |(interval, _)| interval)
        };
        let turn = Span::from_micros(account.cycle.times(company).micros() / account.tokens.max(1));
        let interval = account
            .interval
            .max(turn)
            .max(present(account.pace).times(company))
            .max(present(channel.pace));
        Self {
            health: channel.health,
            entry: signs::with_list(channel.entry, account.list_read),
            // May be past, and must not be raised to `now`: a queue compares it with its own
            // moment, which its caller may have read a little earlier.
            next_call: channel.next_call.max(account.next_call),
            interval,
        }
    }
}

impl Scheduler {
    /// How the channel stands; an unknown one is idle and live.
    pub(crate) fn channel_outlook(&self, now: Time, channel: ChannelId) -> ChannelOutlook {
        let Some(state) = self.channels.get(&channel) else {
            return ChannelOutlook::default();
        };
        ChannelOutlook {
            health: state.condition.health,
            entry: state.condition.signs.entry(),
            next_call: self.own_next_call(now, state),
            busy: state.busy,
            pace: state.widened_until(now),
        }
    }

    /// How the account stands.
    pub(crate) fn account_outlook(&self) -> AccountOutlook {
        let now = self.seen;
        let at_once = u64::from(self.rules.policy.max_in_flight_per_channel.max(1));
        let round_trip = Span::from_micros(self.rules.round_trip().micros() / at_once);
        let token = if self.account.kept() < self.rules.account_tokens() {
            Time::ZERO
        } else {
            let estimate = self.account.next_return_estimate(now, self.rules.cycle());
            estimate.unwrap_or(Time::ZERO)
        };
        let throttle = self.throttle.as_ref();
        AccountOutlook {
            next_call: self
                .hold_until
                .max(token)
                .max(throttle.map_or(Time::ZERO, super::Throttle::next))
                .max(self.circuit.not_before(0)),
            busy: self.agenda.busy,
            interval: self.rules.channel_interval().max(round_trip),
            cycle: self.rules.cycle(),
            tokens: self.rules.account_tokens() as u64,
            list_read: self.list_read,
            pace: throttle.map(|throttle| (throttle.interval(), throttle.over())),
        }
    }

    /// What the channel's queue goes by.
    #[cfg(test)]
    pub(crate) fn link(&self, now: Time, channel: ChannelId) -> ChannelCondition {
        ChannelCondition::of(
            now,
            &self.channel_outlook(now, channel),
            &self.account_outlook(),
        )
    }

    /// Not before this moment will the channel call.
    pub(super) fn next_call(&self, now: Time, channel: ChannelId) -> Time {
        let channel = self.channel_outlook(now, channel);
        ChannelCondition::of(now, &channel, &self.account_outlook())
            .next_call
            .max(now)
    }

    fn own_next_call(&self, now: Time, state: &Channel) -> Time {
        let cycle = self.rules.cycle();
        let mut at = state.paces_allow();
        if state.bucket.out(now) >= self.rules.channel_tokens() {
            at = at.max(state.bucket.next_return_estimate(now, cycle).unwrap_or(now));
        }
        if state.in_flight >= self.rules.policy.max_in_flight_per_channel.max(1) {
            at = at.max(state.last_sent + self.rules.round_trip());
        }
        at
    }
}
