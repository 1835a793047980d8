//! Which requests the queued events of a channel came with, for the links of its calls' spans.
//!
//! There is one only while traces are exported and something is queued. Events of a request have
//! consecutive numbers, so that a batch is one entry.

use std::collections::VecDeque;
use std::ops::Range;

use engine::{PayloadId, Queue};

use crate::telemetry::spans::{LINKS_MAX, Origin};

/// Entries before it is looked which of them still have an event.
const ENTRIES_MIN: usize = 64;

/// Requests by the numbers of their events.
#[derive(Debug)]
pub(super) struct Origins {
    entries: VecDeque<(Range<u64>, Origin)>,
    /// Entries at which those without an event are dropped: twice as many as were left the last
    /// time, so that memory stays within a multiple of the queue's events.
    most: usize,
}

impl Default for Origins {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            most: ENTRIES_MIN,
        }
    }
}

impl Origins {
    /// The events of these numbers came with a request; the queue has them already.
    pub(super) fn add(&mut self, numbers: Range<u64>, origin: Origin, queue: &Queue) {
        self.entries.push_back((numbers, origin));
        if self.entries.len() >= self.most {
            self.forget(queue);
        }
    }

    fn forget(&mut self, queue: &Queue) {
        let mut alive: Vec<u64> = queue.sequences().collect();
        alive.sort_unstable();
        self.entries.retain(|(numbers, _)| {
            let first = alive.partition_point(|number| *number < numbers.start);
            alive.get(first).is_some_and(|number| *number < numbers.end)
        });
        self.most = ENTRIES_MIN.max(2 * self.entries.len());
    }

    /// The requests whose events are in a payload, each once and [`LINKS_MAX`] at most.
    pub(super) fn of(&self, payload: PayloadId, queue: &Queue) -> Vec<Origin> {
        let mut origins = Vec::new();
        for number in queue.sequences_of(payload) {
            let after = self
                .entries
                .partition_point(|(numbers, _)| numbers.start <= number);
            let entry = after.checked_sub(1).and_then(|at| self.entries.get(at));
            let Some((_, origin)) = entry.filter(|(numbers, _)| numbers.contains(&number)) else {
                continue;
            };
            if !origins.contains(origin) {
                origins.push(*origin);
            }
            if origins.len() == LINKS_MAX {
                break;
            }
        }
        origins
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::{ChannelPolicy, Content, Data, Event, Merge, Outcome, Span, Time, Wall};

    use super::*;

    struct Channel {
        queue: Queue,
        origins: Origins,
        requests: u64,
    }

    impl Channel {
        fn new() -> Self {
            let policy = ChannelPolicy::default();
            Self {
                queue: Queue::new(Arc::new(policy), 1024, 7, Span::ZERO),
                origins: Origins::default(),
                requests: 0,
            }
        }

        fn offer(&mut self, events: Vec<Event>) {
            let first = self.queue.next_sequence();
            for event in events {
                assert!(self.queue.accept(Time::ZERO, event).is_ok());
            }
            self.requests += 1;
            let numbers = first..self.queue.next_sequence();
            let origin = Origin::numbered(self.requests);
            self.origins.add(numbers, origin, &self.queue);
        }

        /// The requests in the next payload, which is then delivered.
        fn take(&mut self) -> Vec<Origin> {
            let payload = self.queue.take(Time::ZERO).expect("a payload");
            let origins = self.origins.of(payload.id, &self.queue);
            self.queue
                .settle(Time::ZERO, payload.id, Outcome::Delivered);
            origins
        }
    }

    fn event() -> Event {
        Event::new(Data::Json("1".into()))
    }

    fn keyed(merge: Merge) -> Event {
        Event::from(Content {
            key: Some("a".into()),
            merge: Some(merge),
            ..event().content
        })
    }

    fn numbered(numbers: impl IntoIterator<Item = u64>) -> Vec<Origin> {
        numbers.into_iter().map(Origin::numbered).collect()
    }

    #[test]
    fn a_payload_has_the_requests_of_its_events() {
        let mut channel = Channel::new();
        channel.offer(vec![event(), event()]);
        channel.offer(vec![Event {
            at: Some(Wall::from_micros(1_000_000)),
            ..event()
        }]);
        channel.offer(vec![event()]);
        assert_eq!(channel.take(), numbered([1, 3]), "the second is not due");
    }

    #[test]
    fn what_merged_has_the_latest() {
        let mut channel = Channel::new();
        for _ in 0..3 {
            channel.offer(vec![keyed(Merge::Sum)]);
        }
        assert_eq!(channel.take(), numbered([3]));
    }

    #[test]
    fn a_payload_has_so_many_at_most() {
        let mut channel = Channel::new();
        for _ in 0..2 * LINKS_MAX {
            channel.offer(vec![event()]);
        }
        assert_eq!(channel.take(), numbered(1..=LINKS_MAX as u64));
    }

    #[test]
    fn who_waits_long_is_remembered_and_others_are_not() {
        let mut channel = Channel::new();
        let later = Time::ZERO + Span::from_millis(1000);
        channel.offer(vec![Event {
            at: Some(Wall::from_micros(1_000_000)),
            ..event()
        }]);
        for _ in 0..10 * ENTRIES_MIN {
            channel.offer(vec![event()]);
            channel.take();
            assert!(channel.origins.entries.len() <= ENTRIES_MIN);
        }
        let payload = channel.queue.take(later).expect("it is due");
        let origins = channel.origins.of(payload.id, &channel.queue);
        assert_eq!(origins, numbered([1]));
    }
}
