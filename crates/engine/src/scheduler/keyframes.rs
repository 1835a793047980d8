//! When payloads of state alone go: after every event, and only with what nobody else needs.
//!
//! A channel sends one when its queue is empty and all of its tokens are back, in good health and
//! not paused. All channels of the account together keep to a share of its rate, and leave half of
//! its tokens free. An event waits for such a payload at most the call that is under way.

use std::collections::{BTreeSet, HashMap};

use super::Scheduler;
use super::bucket::Lease;
use super::throttle::Throttle;
use crate::call::{CallId, ChannelId, Health};
use crate::time::{Span, Time};

/// How long a channel is let be that cannot send its state: what changes that comes as news, or
/// is seen this much later.
const AGAIN: Span = Span::from_millis(1000);

/// Who wants to send state, and when the account's share lets the next one go.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    at: BTreeSet<(Time, ChannelId)>,
    of: HashMap<ChannelId, Time>,
    next: Time,
    is_draining: bool,
}

impl Wishes {
    fn set(&mut self, channel: ChannelId, due: Option<Time>) {
        let before = match due {
            Some(due) => self.of.insert(channel, due),
            None => self.of.remove(&channel),
        };
        if before == due {
            return;
        }
        if let Some(before) = before {
            self.at.remove(&(before, channel));
        }
        if let Some(due) = due {
            self.at.insert((due, channel));
        }
    }
}

/// Whether a payload of state may go now.
pub(super) enum Turn {
    Now(ChannelId),
    /// Not before, unless something happens.
    Not(Time),
}

impl Scheduler {
    /// When the channel would send a payload of state alone; none: it would not.
    pub(crate) fn wish(&mut self, channel: ChannelId, due: Option<Time>) {
        if due.is_some() || !self.wishes.of.is_empty() {
            self.wishes.set(channel, due);
        }
    }

    /// No payload of state alone goes any more.
    pub(crate) fn drain(&mut self) {
        self.wishes.is_draining = true;
    }

    /// Whose state goes now, given that no event goes.
    pub(super) fn state_turn(&mut self, now: Time) -> Turn {
        while let Some(&(due, channel)) = self.wishes.at.first() {
            let opens = due.max(self.state_opens(now));
            if opens > now {
                return Turn::Not(opens);
            }
            match self.state_allowed(now, channel) {
                None => return Turn::Now(channel),
                Some(at) => self.wishes.set(channel, Some(at)),
            }
        }
        Turn::Not(Time::NEVER)
    }

    /// When the account lets the next payload of state go.
    fn state_opens(&self, now: Time) -> Time {
        let share = self.rules.policy.state_share;
        if self.wishes.is_draining || share <= 0.0 || self.circuit.is_open() {
            return Time::NEVER;
        }
        let tokens = self.rules.account_tokens();
        let half = if self.account.kept() * 2 > tokens {
            self.account.next_return(now)
        } else {
            Time::ZERO
        };
        let slowed = self.throttle.as_ref().map_or(Time::ZERO, Throttle::over);
        self.wishes.next.max(self.hold_until).max(half).max(slowed)
    }

    /// None: the channel may send its state. Else it is asked again at that moment.
    fn state_allowed(&mut self, now: Time, channel: ChannelId) -> Option<Time> {
        let state = self.channels.get_mut(&channel)?;
        state.bucket.purge(now);
        let is_well = state.condition.health == Health::Live
            && !state.paused
            && state.in_flight == 0
            && state.widened(now).is_none();
        let wants_event = state.demand.is_some_and(|demand| demand.ready_at <= now);
        if !is_well || wants_event {
            return Some(now + AGAIN);
        }
        let back = state.bucket.last_return();
        let goes = if state.bucket.is_empty() {
            Time::ZERO
        } else {
            back
        }
        .max(state.paces_allow());
        (goes > now).then(|| goes.min(now + AGAIN))
    }

    /// The channel sends a payload of state alone now: it takes tokens as any call does, but no turn
    /// and none of the channel's pace.
    pub(crate) fn sent_state(&mut self, now: Time, channel: ChannelId) -> CallId {
        self.advance(now);
        let call = CallId(self.next_call);
        self.next_call += 1;
        self.wishes.set(channel, None);
        let rate = self.rules.policy.account_tps.max(1);
        let interval = Span::SECOND.scaled(1.0 / (f64::from(rate) * self.rules.policy.state_share));
        self.wishes.next = self.wishes.next.max(now) + interval;
        let state = self.channels.entry(channel).or_default();
        let lease = Lease::of_state(call, channel, now, state.condition.health);
        state.bucket.take(lease);
        state.in_flight += 1;
        self.account.take(lease);
        self.in_flight += 1;
        self.circuit.call(call);
        self.settle(now, channel);
        call
    }
}
