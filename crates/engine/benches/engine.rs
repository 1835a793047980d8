//! The hot path of a queue: one event in, one payload out.
//!
//! Goals: below 300 ns to accept an event of 120 bytes, below 5 µs to build a full payload.

#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use engine::{ChannelPolicy, Data, Event, Merge, Outcome, Queue, Span, Time};

/// Events between two fresh queues: less than the bound of a default queue.
const BATCH: u64 = 1000;
const NOW: Time = Time::from_micros(1_000_000);

fn event(number: u64, bytes: usize) -> Event {
    let width = bytes - 8;
    Event::new(Data::Json(
        format!("{{\"q\":\"{number:0>width$}\"}}").into(),
    ))
}

/// A queue with a thousand events in it, and room in its tables for the batch to come: what
/// is measured is not their growth.
fn queue(bytes: usize) -> Queue {
    let policy = ChannelPolicy {
        queue_max_bytes: 1 << 30,
        // The ids of the events that made the tables grow are forgotten with them.
        dedup_max_ids: 0,
        ..ChannelPolicy::default()
    };
    let mut queue = Queue::new(Arc::new(policy), 1024, 1_800_000_000_000, Span::ZERO);
    for number in 0..2 * BATCH + 100 {
        let mut growth = event(number, bytes);
        if number % 2 == 0 {
            growth.kind = Some("growth".into());
            growth.id = Some(format!("growth-{number}").into());
        }
        let _ = queue.accept(NOW, growth);
    }
    queue.purge(NOW, Some("growth"), None);
    queue
}

fn accept(criterion: &mut Criterion) {
    let full = |number: u64| Event {
        kind: Some("quiz.answer".into()),
        key: Some(format!("key:{}", number % 50).into()),
        id: Some(format!("id-{number}").into()),
        ..event(number, 120)
    };
    let latest = move |number: u64| Event {
        merge: Some(Merge::Replace),
        ..full(number)
    };
    let vote = |_| Event {
        key: Some("votes".into()),
        merge: Some(Merge::Sum),
        ..Event::new(Data::Json("1".into()))
    };
    let mut bench = |name: &str, make: &dyn Fn(u64) -> Event| {
        criterion.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let mut spent = Duration::ZERO;
                let mut left = iterations;
                while left > 0 {
                    let count = left.min(BATCH);
                    let mut queue = queue(120);
                    let events: Vec<Event> = (0..count).map(make).collect();
                    let started = Instant::now();
                    for event in events {
                        let _ = black_box(queue.accept(NOW, black_box(event)));
                    }
                    spent += started.elapsed();
                    left -= count;
                }
                spent
            });
        });
    };
    bench("accept, 120 bytes", &|number| event(number, 120));
    bench("accept, 120 bytes with type, key and id", &full);
    bench("accept, 120 bytes into the last of 50 keys", &latest);
    bench("accept, a vote into a sum", &vote);
}

fn build(criterion: &mut Criterion) {
    for bytes in [120, 20] {
        criterion.bench_function(
            &format!("build a payload of events of {bytes} bytes"),
            |bencher| {
                bencher.iter_custom(|iterations| {
                    let mut spent = Duration::ZERO;
                    let mut queue = queue(bytes);
                    for _ in 0..iterations {
                        if queue.len() < 100 {
                            for number in 0..BATCH {
                                let _ = queue.accept(NOW, event(number, bytes));
                            }
                        }
                        let started = Instant::now();
                        let payload = black_box(queue.take(NOW));
                        spent += started.elapsed();
                        if let Some(payload) = payload {
                            queue.settle(NOW, payload.id, Outcome::Delivered);
                        }
                    }
                    spent
                });
            },
        );
    }
}

criterion_group!(benches, accept, build);
criterion_main!(benches);
