//! Taking an event in allocates nothing but the event's own bytes, which the producer's edge
//! allocated before. Growth of the queue's own tables is amortised, so it is warmed up first.

use std::sync::Arc;

use engine::{
    Admission, Cancelled, ChannelPolicy, Content, Data, Event, Merge, Outcome, Queue, Span, Time,
};

const EVENTS: u64 = 2000;
/// What they change at most: one that is merged ends another.
const CHANGES: u64 = 2 * EVENTS;

/// An event of 120 bytes of data.
fn event(number: u64) -> Event {
    Event::new(Data::Json(format!("{{\"q\":\"{number:0>112}\"}}").into()))
}

fn accept(queue: &mut Queue, events: Vec<Event>) {
    for event in events {
        assert_eq!(
            queue.accept(Time::from_micros(1), event),
            Ok(Admission::Accepted)
        );
    }
}

/// Allocations per event, once the tables have grown; with every change recorded, beyond
/// those that are taken for granted: a list of changes that doubles as it grows.
fn check(name: &str, expected: u64, make: impl Fn(u64) -> Event) {
    let plain = measure(false, &make);
    assert_eq!(plain / EVENTS, expected, "{name}: {plain}");
    if expected == 0 {
        assert_eq!(plain, 0, "{name}");
    }
    let recording = measure(true, &make);
    assert!(recording >= plain, "{name}: {recording}");
    let growth = recording - plain;
    assert!(growth <= CHANGES.ilog2().into(), "{name}: {growth} more");
}

/// Allocations of taking in all events.
fn measure(recording: bool, make: &impl Fn(u64) -> Event) -> u64 {
    let policy = ChannelPolicy {
        queue_max_bytes: 1 << 30,
        dedup_max_ids: 0,
        ..ChannelPolicy::default()
    };
    let mut queue = Queue::new(Arc::new(policy), 1024, 1, Span::ZERO);
    if recording {
        queue.keep_changes();
    }
    // Twice as many as will be there, and then all but a few delivered.
    accept(&mut queue, (0..2 * EVENTS).map(make).collect());
    while queue.len() > 100
        && let Some(payload) = queue.take(Time::from_micros(1))
    {
        queue.settle(Time::from_micros(1), payload.id, Outcome::Delivered);
    }
    queue.take_changes();
    let events: Vec<Event> = (2 * EVENTS..3 * EVENTS).map(make).collect();
    let used = allocation_counter::measure(|| accept(&mut queue, events));
    if recording {
        let changes = queue.take_changes().len() as u64;
        assert!((EVENTS..=CHANGES).contains(&changes), "{changes}");
    }
    used.count_total
}

#[test]
fn accepting_allocates_nothing() {
    check("data alone", 0, event);
    let full = |number: u64| {
        Event::from(Content {
            kind: Some("quiz.answer".into()),
            key: Some(format!("key:{}", number % 50).into()),
            id: Some(format!("id-{number}").into()),
            ..event(number).content
        })
    };
    check("with a type, a key and an id", 0, full);
    let latest = move |number: u64| {
        Event::from(Content {
            merge: Some(Merge::Replace),
            ..full(number).content
        })
    };
    check("replacing the data of its key", 0, latest);
    let vote = |_| {
        Event::from(Content {
            key: Some("votes".into()),
            merge: Some(Merge::Sum),
            ..Content::new(Data::Json("1".into()))
        })
    };
    // The sum's text, and its shared copy.
    check("adding to a sum", 2, vote);
}

#[test]
fn looking_at_an_idle_queue_allocates_nothing() {
    let now = Time::from_micros(1);
    let mut queue = Queue::new(Arc::default(), 1024, 1, Span::ZERO);
    let mut idle = |when: &str| {
        let used = allocation_counter::measure(|| {
            assert_eq!(queue.demand(now), None);
            assert_eq!(queue.timer(), None);
            assert_eq!(queue.depth(now).events, 0);
            assert_eq!(queue.take(now), None);
            assert_eq!(queue.purge(now, None, None), 0);
            assert_eq!(queue.cancel(now, "a"), Cancelled::NeverSeen);
            assert!(!queue.wake());
            assert!(queue.take_ended().is_empty());
            assert!(queue.take_dead().is_empty());
            assert!(queue.take_changes().is_empty());
            assert!(queue.snapshot().is_empty());
        });
        assert_eq!(used.count_total, 0, "{when}: {used:?}");
        // Nor does a lone event leave anything behind.
        let used = allocation_counter::measure(|| {
            accept(&mut queue, vec![Event::new(Data::Json("1".into()))]);
            if let Some(payload) = queue.take(now) {
                queue.settle(now, payload.id, Outcome::Delivered);
            }
        });
        assert_eq!(used.bytes_current, 0, "{when}: {used:?}");
    };
    idle("new");
    idle("used");
}
