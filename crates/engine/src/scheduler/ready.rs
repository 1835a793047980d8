//! Whose turn it is: the channels that could call now, in two orders.
//!
//! Turns alternate between the channel that became ready first, which bounds everyone's
//! wait whatever the others do, and the channel whose oldest event is oldest, which keeps
//! the tail of the latency short. Every step is O(log n). This file must never skip a
//! channel for what is in its queue, and knows no time but the events' age.

use std::collections::BTreeMap;

use crate::call::{ChannelId, Health};
use crate::time::{Span, Time};

/// A channel's place among those that are ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The state of the channel decides whom it competes with.
    pub(super) health: Health,
    /// Counts up as channels become ready.
    pub(super) arrival: u64,
    /// The age of its oldest event.
    pub(super) oldest: Time,
}

/// By which of the two orders a turn goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Who became ready first.
    Arrival,
    /// Whose oldest event is oldest; of equals, who became ready first.
    Age,
}

/// Ready channels of one state, in both orders.
#[derive(Debug, Default)]
struct Line {
    by_arrival: BTreeMap<u64, ChannelId>,
    by_age: BTreeMap<(Time, u64), ChannelId>,
}

/// All ready channels.
#[derive(Debug, Default)]
pub(super) struct Ready {
    live: Line,
    failing: Line,
    offline: Line,
    arrivals: u64,
}

impl Ready {
    /// How many channels are ready.
    pub(super) fn len(&self) -> usize {
        [&self.live, &self.failing, &self.offline]
            .iter()
            .map(|line| line.by_arrival.len())
            .sum()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.live.by_arrival.is_empty()
            && self.failing.by_arrival.is_empty()
            && self.offline.by_arrival.is_empty()
    }

    /// Whether a channel of that state is ready.
    pub(super) fn any(&self, health: Health) -> bool {
        !self.line(health).by_arrival.is_empty()
    }

    /// The number of the next arrival.
    pub(super) fn arrive(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    /// The channel is ready.
    pub(super) fn insert(&mut self, channel: ChannelId, place: Place) {
        let line = self.line_mut(place.health);
        line.by_arrival.insert(place.arrival, channel);
        line.by_age.insert((place.oldest, place.arrival), channel);
    }

    /// It is no longer.
    pub(super) fn remove(&mut self, place: Place) {
        let line = self.line_mut(place.health);
        line.by_arrival.remove(&place.arrival);
        line.by_age.remove(&(place.oldest, place.arrival));
    }

    /// The first of the live channels and, if they may, the failing ones.
    pub(super) fn first(&self, order: Order, failing: bool) -> Option<ChannelId> {
        let failing = failing.then_some(&self.failing);
        let lines = [Some(&self.live), failing].into_iter().flatten();
        match order {
            Order::Arrival => lines
                .filter_map(|line| line.by_arrival.first_key_value())
                .min_by_key(|(arrival, _)| **arrival)
                .map(|(_, channel)| *channel),
            Order::Age => lines
                .filter_map(|line| line.by_age.first_key_value())
                .min_by_key(|(age, _)| **age)
                .map(|(_, channel)| *channel),
        }
    }

    /// The offline channel that has waited longest for a probe.
    pub(super) fn first_offline(&self) -> Option<ChannelId> {
        self.offline
            .by_arrival
            .first_key_value()
            .map(|(_, channel)| *channel)
    }

    /// The live channels that became ready after that arrival, and how many live ones were
    /// ready then, themselves included.
    #[cfg(test)]
    pub(super) fn arrived_after(&self, arrival: u64) -> Vec<(u64, ChannelId, usize)> {
        let line = &self.live.by_arrival;
        let new = line.range(arrival + 1..);
        let ahead = line.len() - new.clone().count();
        new.enumerate()
            .map(|(index, (arrival, channel))| (*arrival, *channel, ahead + index + 1))
            .collect()
    }

    const fn line(&self, health: Health) -> &Line {
        match health {
            Health::Live => &self.live,
            Health::Failing => &self.failing,
            Health::Offline => &self.offline,
        }
    }

    const fn line_mut(&mut self, health: Health) -> &mut Line {
        match health {
            Health::Live => &mut self.live,
            Health::Failing => &mut self.failing,
            Health::Offline => &mut self.offline,
        }
    }
}

/// Deals the turns out to the two orders: of any n in a row, at least `floor(n * share)` go
/// by arrival.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turns {
    /// Of a million.
    share: u64,
    /// What is left over from the turns so far: below a million.
    credit: u64,
}

const WHOLE: u64 = 1_000_000;

impl Turns {
    /// `fair_share` counts as at least a millionth and at most 1.
    pub(super) fn new(fair_share: f64) -> Self {
        let share = Span::from_micros(WHOLE)
            .scaled(fair_share)
            .micros()
            .clamp(1, WHOLE);
        Self { share, credit: 0 }
    }

    /// The order of the next turn.
    pub(super) const fn next(&self) -> Order {
        if self.credit + self.share >= WHOLE {
            Order::Arrival
        } else {
            Order::Age
        }
    }

    /// The turn was taken.
    pub(super) const fn taken(&mut self) {
        self.credit = (self.credit + self.share) % WHOLE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fair_share: f64, turns: &str) {
        let mut dealt = Turns::new(fair_share);
        for (index, order) in turns.chars().enumerate() {
            let expected = if order == 'f' {
                Order::Arrival
            } else {
                Order::Age
            };
            assert_eq!(
                dealt.next(),
                expected,
                "turn {index} of {turns} at {fair_share}"
            );
            dealt.taken();
        }
    }

    #[test]
    fn turns() {
        check(0.5, "afafafaf");
        check(1.0, "ffff");
        check(0.25, "aaafaaaf");
        check(0.6, "afaffafaff");
        check(f64::NAN, "aaaa");
    }

    #[test]
    fn both_orders() {
        let mut ready = Ready::default();
        let place = |health, arrival, oldest| Place {
            health,
            arrival,
            oldest: Time::from_micros(oldest),
        };
        for (channel, health, oldest) in [
            (1, Health::Failing, 50),
            (2, Health::Live, 40),
            (3, Health::Live, 30),
            (4, Health::Offline, 1),
        ] {
            let arrival = ready.arrive();
            ready.insert(ChannelId(channel), place(health, arrival, oldest));
        }
        assert_eq!(ready.first(Order::Arrival, true), Some(ChannelId(1)));
        assert_eq!(ready.first(Order::Arrival, false), Some(ChannelId(2)));
        assert_eq!(ready.first(Order::Age, true), Some(ChannelId(3)));
        assert_eq!(ready.first_offline(), Some(ChannelId(4)));
        ready.remove(place(Health::Live, 3, 30));
        assert_eq!(ready.first(Order::Age, true), Some(ChannelId(2)));
        assert_eq!(
            (ready.len(), ready.is_empty(), ready.any(Health::Failing)),
            (3, false, true)
        );
    }
}
