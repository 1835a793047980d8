//! Where every channel is kept until its moment: among the ready, among the timers, or
//! among those about to be forgotten.
//!
//! The one place that moves channels between the three, so that a channel is never in two
//! of them. Decides nothing about tokens or turns.

use std::collections::BTreeSet;

use super::channel::{Channel, Place, Prospect};
use super::ready::{self, Ready};
use super::timing::Timing;
use crate::call::ChannelId;
use crate::time::Time;

/// Whether a channel has anything left to remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Settled {
    /// It stays.
    Kept,
    /// Idle, healthy, all tokens home: its state is to be dropped.
    Done,
}

/// The channels by what they wait for.
#[derive(Debug, Default)]
pub(super) struct Placement {
    /// Those that could call now.
    pub(super) ready: Ready,
    /// Live channels with something to send or in flight.
    pub(super) busy: usize,
    /// Those that can call at a moment to come.
    timers: BTreeSet<(Time, ChannelId)>,
    /// Those that can be forgotten at a moment to come: nobody is woken for it.
    leaving: BTreeSet<(Time, ChannelId)>,
}

impl Placement {
    /// The next moment at which a channel may become ready.
    pub(super) fn next_timer(&self) -> Time {
        self.timers.first().map_or(Time::NEVER, |(at, _)| *at)
    }

    /// A channel whose moment has come; it stays due until it is settled. Timers go first,
    /// in their order, for it decides who became ready first.
    pub(super) fn due(&self, now: Time) -> Option<ChannelId> {
        [&self.timers, &self.leaving]
            .into_iter()
            .filter_map(BTreeSet::first)
            .find(|(at, _)| *at <= now)
            .map(|(_, channel)| *channel)
    }

    /// Puts the channel where it belongs now.
    pub(super) fn settle(
        &mut self,
        now: Time,
        channel: ChannelId,
        state: &mut Channel,
        rules: &Timing,
    ) -> Settled {
        let prospect = state.prospect(now, rules);
        let busy = state.is_busy(now);
        self.busy = self.busy + usize::from(busy) - usize::from(state.busy);
        state.busy = busy;
        let place = match prospect {
            Prospect::Blocked => Place::Nowhere,
            Prospect::Waiting(at) => Place::Waiting(at),
            Prospect::Leaving(at) if at > now => Place::Leaving(at),
            Prospect::Leaving(_) => {
                self.take_out(channel, state);
                return Settled::Done;
            }
            Prospect::Ready { oldest } => Place::Ready(ready::Place {
                health: state.condition.health,
                // It keeps its place for as long as it stays ready.
                arrival: match state.place {
                    Place::Ready(before) => before.arrival,
                    _ => self.ready.arrive(),
                },
                oldest,
            }),
        };
        if place != state.place {
            self.take_out(channel, state);
            state.place = place;
            match place {
                Place::Nowhere => {}
                Place::Waiting(at) => _ = self.timers.insert((at, channel)),
                Place::Ready(at) => self.ready.insert(channel, at),
                Place::Leaving(at) => _ = self.leaving.insert((at, channel)),
            }
        }
        Settled::Kept
    }

    /// Takes the channel out of wherever it is kept.
    pub(super) fn take_out(&mut self, channel: ChannelId, state: &mut Channel) {
        match std::mem::take(&mut state.place) {
            Place::Nowhere => {}
            Place::Waiting(at) => _ = self.timers.remove(&(at, channel)),
            Place::Ready(at) => self.ready.remove(at),
            Place::Leaving(at) => _ = self.leaving.remove(&(at, channel)),
        }
    }
}
