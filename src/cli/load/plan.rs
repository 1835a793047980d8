//! What is sent when: the whole run as arithmetic, known before it begins.
//!
//! The pace is an open loop: a request is due at its moment, however slow the answers to the
//! earlier ones are. Requests go round the channels, so that each channel's share is even, and a
//! channel's requests follow its sequence numbers. No clock is read here.

use std::time::Duration;

/// A run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Channels, at least 1.
    pub(super) channels: usize,
    /// Events a second, on all channels together, at least 1.
    pub(super) rate: u64,
    /// Events a request, at least 1.
    pub(super) batch: usize,
    /// Events in all.
    pub(super) events: usize,
}

/// Events that go to one channel together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// The channel's place.
    pub(super) channel: usize,
    /// The sequence number of its first event, in its channel.
    pub(super) first: usize,
    /// Its events.
    pub(super) count: usize,
    /// When it is due, from the start.
    pub(super) due: Duration,
}

impl Plan {
    /// How many requests there are.
    pub(super) fn requests(&self) -> usize {
        self.events.div_ceil(self.batch)
    }

    /// The request of that number, from 0; none after the last.
    pub(super) fn request(&self, number: usize) -> Option<Request> {
        let left = self.events.checked_sub(number * self.batch)?;
        (left > 0).then(|| Request {
            channel: number % self.channels,
            first: number / self.channels * self.batch,
            count: left.min(self.batch),
            due: self.due(number),
        })
    }

    /// The requests of one connection of so many, in order. Every channel belongs to one
    /// connection, which is what gives its events an order.
    pub(super) fn of(
        self,
        connection: usize,
        connections: usize,
    ) -> impl Iterator<Item = Request> + Send {
        (0..self.requests())
            .step_by(self.channels)
            .flat_map(move |round| {
                let channels = (connection..self.channels).step_by(connections);
                channels.map(move |channel| round + channel)
            })
            .map_while(move |number| self.request(number))
    }

    /// The connection that a request belongs to.
    pub(super) fn connection(&self, number: usize, connections: usize) -> usize {
        number % self.channels % connections
    }

    /// When a request is due, from the start.
    pub(super) fn due(&self, number: usize) -> Duration {
        let events = (number * self.batch) as u128;
        let nanos = events * 1_000_000_000 / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How many events are due within that time.
    pub(super) fn due_by(&self, time: Duration) -> usize {
        // Due times are whole nanoseconds, rounded down.
        let events = (time.as_nanos() + 1) * u128::from(self.rate) / 1_000_000_000;
        let requests = usize::try_from(events).map_or(usize::MAX, |n| n / self.batch + 1);
        requests.saturating_mul(self.batch).min(self.events)
    }

    /// The place of an event among all; none if it is not of this plan.
    pub(super) fn place(&self, channel: usize, seq: usize) -> Option<usize> {
        let round = (seq / self.batch).checked_mul(self.channels)?;
        let number = round.checked_add(channel)?;
        let place = number
            .checked_mul(self.batch)?
            .checked_add(seq % self.batch)?;
        (channel < self.channels && place < self.events).then_some(place)
    }

    /// When the event at a place was due, from the start.
    pub(super) fn due_of(&self, place: usize) -> Duration {
        self.due(place / self.batch)
    }

    /// The channel of the event at a place.
    pub(super) fn channel_of(&self, place: usize) -> usize {
        place / self.batch % self.channels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn plan(channels: usize, rate: u64, batch: usize, events: usize) -> Plan {
        Plan {
            channels,
            rate,
            batch,
            events,
        }
    }

    #[test]
    fn requests_are_due_at_an_even_pace_whatever_they_hold() {
        for (plan, number, due_us) in [
            (plan(40, 2000, 1, 60_000), 0, 0),
            (plan(40, 2000, 1, 60_000), 1, 500),
            (plan(40, 2000, 1, 60_000), 59_999, 29_999_500),
            (plan(40, 2000, 100, 60_000), 1, 50_000),
            (plan(1, 3, 1, 10), 1, 333_333),
            (plan(1, 1_000_000, 10_000, 100_000_000), 9_999, 99_990_000),
        ] {
            let due = plan.due(number);
            assert_eq!(due.as_micros(), due_us, "{plan:?} {number}");
            assert_eq!(
                plan.due_by(due).min(plan.events),
                ((number + 1) * plan.batch).min(plan.events),
                "what is due at that moment: {plan:?} {number}"
            );
        }
    }

    #[test]
    fn every_event_is_sent_once_in_its_channels_order_by_one_connection() {
        for plan in [
            plan(1, 10, 1, 7),
            plan(3, 10, 1, 10),
            plan(3, 10, 4, 26),
            plan(5, 10, 10, 12),
            plan(7, 100, 3, 100),
        ] {
            for connections in 1..=plan.channels {
                let mut seen = vec![0; plan.events];
                let mut next = vec![0; plan.channels];
                let mut numbers = 0;
                for connection in 0..connections {
                    let mut due = Duration::ZERO;
                    for request in plan.of(connection, connections) {
                        assert!(request.due >= due, "{plan:?}: {request:?}");
                        due = request.due;
                        assert_eq!(request.first, next[request.channel], "{plan:?}");
                        next[request.channel] += request.count;
                        for seq in request.first..request.first + request.count {
                            let place = plan.place(request.channel, seq).expect("a place");
                            seen[place] += 1;
                            assert_eq!(plan.channel_of(place), request.channel);
                            assert_eq!(plan.due_of(place), request.due);
                        }
                        let number =
                            plan.place(request.channel, request.first).expect("one") / plan.batch;
                        assert_eq!(plan.connection(number, connections), connection);
                        numbers += 1;
                    }
                }
                assert_eq!(numbers, plan.requests(), "{plan:?}");
                assert!(seen.iter().all(|&times| times == 1), "{plan:?}: {seen:?}");
            }
            assert_eq!(plan.place(plan.channels, 0), None);
            assert_eq!(plan.place(0, plan.events), None);
            assert_eq!(plan.place(0, usize::MAX), None);
        }
    }
}
