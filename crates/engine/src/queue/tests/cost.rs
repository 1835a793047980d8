//! What a call costs depends on what it touches, and not on how much is queued or remembered.

use super::*;
use crate::policy::Overflow;
use crate::queue::items::touched;

const EVENTS: [usize; 2] = [1000, 100_000];
/// Calls of which the cost is counted: what is put off now and then shows on average.
const CALLS: usize = 50;

/// A small and a large queue.
fn both(fill: impl Fn(usize) -> Queue) -> [Queue; 2] {
    EVENTS.map(fill)
}

/// Counts what the calls look at in a copy of either queue.
fn check(name: &str, queues: &[Queue; 2], call: impl Fn(&mut Queue, usize)) {
    let [small, large] = [0, 1].map(|which| {
        let mut queue = queues[which].clone();
        let before = touched();
        for number in 0..CALLS {
            call(&mut queue, number);
        }
        touched() - before
    });
    assert!(
        large <= 2 * small,
        "{name}: {small} with {} events, {large} with {}",
        EVENTS[0],
        EVENTS[1]
    );
}

fn empty(overflow: Overflow, events: usize) -> Queue {
    let policy = ChannelPolicy {
        overflow,
        queue_max_events: events,
        queue_max_bytes: 1 << 30,
        dedup_max_ids: 1 << 30,
        dedup_window: Span::from_millis(60_000),
        ttl_ms: 600_000,
        ..array()
    };
    Queue::new(Arc::new(policy), 1024, 1, Span::ZERO)
}

/// A queue with so many events, and room for those of the calls unless it is full.
fn filled(overflow: Overflow, events: usize, room: usize, make: impl Fn(usize) -> Event) -> Queue {
    let mut queue = empty(overflow, events + room);
    for number in 0..events {
        queue.accept(ms(1000), make(number)).expect("taken");
    }
    queue
}

fn put(queue: &mut Queue, event: Event) {
    assert_eq!(queue.accept(ms(1000), event), Ok(Admission::Accepted));
}

/// An event with everything: 50 keys, 10 types.
fn full(number: usize) -> Event {
    event("12345")
        .key(&format!("k{}", number % 50))
        .kind(&format!("t{}", number % 10))
        .id(&format!("i{number}"))
}

#[test]
fn accepting() {
    check(
        "into a queue with room",
        &both(|events| filled(Overflow::Reject, events, 1000, full)),
        |queue, number| put(queue, full(1_000_000 + number)),
    );
    check(
        "into a full queue that drops its oldest",
        &both(|events| filled(Overflow::DropOldest, events, 0, full)),
        |queue, number| put(queue, full(1_000_000 + number)),
    );
    check(
        "into a full queue of scheduled events that drops its oldest",
        &both(|events| {
            filled(Overflow::DropOldest, events, 0, |number| {
                full(number).at(900_000)
            })
        }),
        |queue, number| put(queue, full(1_000_000 + number).at(900_000)),
    );
    check(
        "into a full queue of lower scheduled events",
        &both(|events| {
            filled(Overflow::DropLowestPriority, events, 0, |number| {
                full(number).at(900_000).low()
            })
        }),
        |queue, number| put(queue, event("1").at(900_000 + number as u64)),
    );
    check(
        "into a full queue where all wait for one of their key",
        &both(|events| {
            filled(Overflow::DropOldest, events, 0, |number| {
                let event = event("1").key("k");
                if number == 0 {
                    event.at(900_000)
                } else {
                    event
                }
            })
        }),
        |queue, _| put(queue, event("1").key("k")),
    );
    check(
        "into a full queue, and refused",
        &both(|events| filled(Overflow::Reject, events, 0, full)),
        |queue, _| assert!(queue.accept(ms(1000), event("1")).is_err()),
    );
}

#[test]
fn a_full_share() {
    let by = |number: usize| full(number).by(1, 50);
    check(
        "with a payload in flight",
        &both(|events| {
            let mut queue = filled(Overflow::DropOldest, events, events, by);
            // Its oldest are in a payload, and behind them others have come and gone.
            queue.take(ms(1000)).expect("a payload");
            for number in 0..events / 2 {
                put(&mut queue, by(2_000_000 + number));
            }
            queue
        }),
        |queue, number| put(queue, by(3_000_000 + number)),
    );
    check(
        "refused",
        &both(|events| filled(Overflow::Reject, events, events, by)),
        |queue, _| assert!(queue.accept(ms(1000), event("1").by(1, 50)).is_err()),
    );
}

#[test]
fn purging() {
    let queues = both(|events| filled(Overflow::Reject, events, 10, full));
    for (kind, key) in [
        (Some("none"), None),
        (None, Some("none")),
        (Some("none"), Some("none")),
        (Some("t1"), Some("none")),
        (Some("none"), Some("k1")),
    ] {
        check("what matches nothing", &queues, |queue, _| {
            assert_eq!(queue.purge(ms(1000), kind, key), 0);
        });
    }
    for (kind, key) in [
        (Some("few"), None),
        (None, Some("few")),
        (Some("few"), Some("k1")),
        (Some("t1"), Some("few")),
    ] {
        check("what matches a few", &queues, |queue, _| {
            for _ in 0..5 {
                put(
                    queue,
                    event("1")
                        .kind(kind.unwrap_or("t1"))
                        .key(key.unwrap_or("k1")),
                );
            }
            assert_eq!(queue.purge(ms(1000), kind, key), 5);
        });
    }
}

#[test]
fn all_or_none() {
    let batch = |queue: &mut Queue, number: usize, last: &str| {
        queue.begin(ms(1000));
        for index in 0..10 {
            put(queue, full(1_000_000 + number * 10 + index));
        }
        queue.accept(ms(1000), event(last).key("sum").merge(Merge::Sum))
    };
    for overflow in [Overflow::Reject, Overflow::DropOldest] {
        let room = if overflow == Overflow::Reject {
            1000
        } else {
            0
        };
        let queues = both(|events| filled(overflow, events, room, full));
        check("accepted", &queues, |queue, number| {
            batch(queue, number, "1").expect("taken");
            queue.commit();
        });
        check("refused", &queues, |queue, number| {
            batch(queue, number, "\"no number\"").expect_err("refused");
            queue.roll_back();
        });
    }
}

#[test]
fn leaving() {
    let queues = both(|events| filled(Overflow::Reject, events, 10, full));
    check(
        "sent",
        // One a payload.
        &both(|events| {
            filled(Overflow::Reject, events, 10, |_| {
                event(&"1".repeat(600)).key("k")
            })
        }),
        |queue, _| {
            let payload = queue.take(ms(1000)).expect("a payload");
            queue.settle(ms(1000), payload.id, Outcome::Delivered);
        },
    );
    check("cancelled", &queues, |queue, number| {
        let id = format!("i{}", number * 7);
        assert_eq!(queue.cancel(ms(1000), &id), Cancelled::Done);
    });
    check("looked at", &queues, |queue, _| {
        queue.demand(ms(1000));
        queue.timer();
        queue.depth(ms(1000));
    });
}

#[test]
fn ids_that_are_over() {
    check(
        "forgotten",
        &both(|events| {
            let mut queue = filled(Overflow::Reject, events, 10, full);
            queue.purge(ms(1000), None, None);
            queue
        }),
        // Three calls forget most of the smaller number.
        |queue, number| {
            if number < 3 {
                queue.demand(ms(70_000));
            }
        },
    );
}
