//! The hot path of a queue: one event in, one payload out.
//!
//! Goals: below 300 ns to accept an event of 120 bytes, below 5 µs to build a full payload, below
//! 0.5 ms to fill one that leaves compressed (155 a second are 8 % of a core then), and about 3 DEFLATEs of it
//! for an event of 64 KiB in slices. What a
//! call costs does not grow with what is queued: the same calls with 1,000, 10,000 and 100,000.

#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::num::NonZeroU32;

use engine::{
    ChannelPolicy, Compress, Content, Data, Event, Merge, Outcome, Overflow, Producer, Queue, Span,
    Time, Wall,
};
use zlib_rs::{Deflate, DeflateConfig, DeflateFlush};

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
            growth.content.kind = Some("growth".into());
            growth.content.id = Some(format!("growth-{number}").into());
        }
        let _ = queue.accept(NOW, growth);
    }
    queue.purge(NOW, Some("growth"), None);
    queue
}

fn accept(criterion: &mut Criterion) {
    let full = |number: u64| {
        Event::from(Content {
            kind: Some("quiz.answer".into()),
            key: Some(format!("key:{}", number % 50).into()),
            id: Some(format!("id-{number}").into()),
            ..event(number, 120).content
        })
    };
    let latest = move |number: u64| {
        Event::from(Content {
            merge: Some(Merge::Replace),
            ..full(number).content
        })
    };
    let vote = |_| {
        Event::from(Content {
            key: Some("votes".into()),
            merge: Some(Merge::Sum),
            ..Content::new(Data::Json("1".into()))
        })
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

/// A number without any order, from a number.
fn mixed(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 8
}

/// Events of about 86 bytes in a payload, of a few shapes.
fn varied(number: u64) -> Event {
    let words = [
        "goal", "which", "river", "hello", "song", "first", "luck", "again",
    ];
    let word = |at: u64| words[usize::try_from(mixed(number + at) % 8).unwrap_or(0)];
    let (one, other) = (mixed(number) % 10_000, mixed(number + 1) % 1000);
    let (kind, data) = match number % 4 {
        0 => (
            "chat.message",
            format!(
                r#"{{"user":"{}{other}","text":"{} {} {} {} {}"}}"#,
                word(1),
                word(2),
                word(3),
                word(4),
                word(5),
                word(6)
            ),
        ),
        1 => (
            "quiz.answer",
            format!(r#"{{"question":{one},"answer":"B","correct":true,"share":0.{other}}}"#),
        ),
        2 => (
            "product.show",
            format!(
                r#"{{"sku":"{:08x}","price":{other}.99,"stock":{one},"url":"/p/{other}"}}"#,
                mixed(number) & 0xffff_ffff
            ),
        ),
        _ => (
            "reaction",
            format!(
                r#"{{"name":"{}","count":{one},"x":0.{},"y":0.{other}}}"#,
                word(1),
                other % 97
            ),
        ),
    };
    Event::from(Content {
        kind: Some(kind.into()),
        ..Content::new(Data::Json(data.into()))
    })
}

/// Payloads that leave compressed: of varied events, of what hardly compresses, of events that are
/// all alike, of one that is large, and of few events.
fn compress(criterion: &mut Criterion) {
    let noise = |number| {
        let digits: Vec<String> = (0..5)
            .map(|at| format!("{:014x}", mixed(8 * number + at)))
            .collect();
        Event::new(Data::Json(format!("\"{}\"", digits.concat()).into()))
    };
    let alike = |_| Event::new(Data::Json(r#"{"a":1}"#.into()));
    let large = |number| {
        let items: Vec<String> = (0..20)
            .map(|at| varied(20 * number + at).content.data.text().to_string())
            .collect();
        Event::new(Data::Json(format!("[{}]", items.join(",")).into()))
    };
    let mut bench = |name: &str, depth: u64, make: &dyn Fn(u64) -> Event| {
        criterion.bench_function(&format!("fill a compressed payload: {name}"), |bencher| {
            bencher.iter_custom(|iterations| {
                let policy = ChannelPolicy {
                    compress: Compress::Deflate,
                    queue_max_bytes: 1 << 30,
                    queue_max_events: 1 << 20,
                    ..ChannelPolicy::default()
                };
                let mut queue = Queue::new(Arc::new(policy), 1024, 1_800_000_000_000, Span::ZERO);
                let (mut spent, mut number) = (Duration::ZERO, 0);
                for _ in 0..iterations {
                    while (queue.len() as u64) < depth {
                        let _ = queue.accept(NOW, make(number));
                        number += 1;
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
        });
    };
    bench("varied events", 100, &varied);
    bench("noise", 100, &noise);
    bench("events all alike", 6000, &alike);
    bench("large events", 3, &large);
    bench("one event", 1, &varied);
}

/// An event of 64 KiB, from its acceptance to the settlement of its last slice. The floor is one DEFLATE of it: it is compressed to see
/// whether it can leave, and again when it does.
fn large(criterion: &mut Criterion) {
    let rows: Vec<String> = (0..1300)
        .map(|rank| {
            let points = mixed(rank) % 100_000;
            let name = mixed(rank + 7919) % 5000;
            format!(r#"{{"rank":{rank},"name":"player {name}","points":{points}}}"#)
        })
        .collect();
    let data = format!("[{}]", rows.join(","));
    let event = || Event::new(Data::Json(data.as_str().into()));
    let policy = ChannelPolicy {
        compress: Compress::Deflate,
        event_max_bytes: 65_536,
        queue_max_bytes: 1 << 30,
        ..ChannelPolicy::default()
    };
    let queue = || Queue::new(Arc::new(policy.clone()), 1024, 1, Span::ZERO);
    let leave = |queue: &mut Queue| {
        let accepted = queue.accept(NOW, event());
        let mut slices = 0;
        while let Some(payload) = queue.take(NOW) {
            queue.settle(NOW, payload.id, Outcome::Delivered);
            slices += 1;
        }
        (accepted, slices)
    };
    let (_, slices) = leave(&mut queue());
    assert!(slices > 1, "it leaves in slices");
    let size = data.len();
    criterion.bench_function(
        &format!("an event of {size} bytes in {slices} slices"),
        |bencher| {
            bencher.iter_batched_ref(queue, leave, BatchSize::SmallInput);
        },
    );
    criterion.bench_function("floor: one DEFLATE of it", |bencher| {
        let config = DeflateConfig {
            level: 9,
            window_bits: -15,
            ..DeflateConfig::default()
        };
        let mut deflate = Deflate::new_with_config(config);
        let mut output = vec![0; 65_536];
        bencher.iter(|| {
            deflate.reset();
            let _ = black_box(deflate.compress(data.as_bytes(), &mut output, DeflateFlush::Finish));
        });
    });
}

/// A queue with so many events by that policy, and whether there is room for more.
fn filled(overflow: Overflow, events: u32, room: bool, make: &dyn Fn(u32) -> Event) -> Queue {
    let policy = ChannelPolicy {
        overflow,
        queue_max_events: events as usize * (1 + usize::from(room)),
        queue_max_bytes: 1 << 30,
        dedup_max_ids: 0,
        ttl_ms: 86_400_000,
        ..ChannelPolicy::default()
    };
    let mut queue = Queue::new(Arc::new(policy), 1024, 1, Span::ZERO);
    for number in 0..events {
        let _ = queue.accept(NOW, make(number));
    }
    queue
}

fn sizes(criterion: &mut Criterion) {
    let plain = |number: u32| {
        Event::from(Content {
            kind: Some("quiz.answer".into()),
            key: Some(format!("key:{}", number % 50).into()),
            ..event(number.into(), 40).content
        })
    };
    let scheduled = |number: u32| Event {
        at: Some(Wall::from_micros(3_600_000_000)),
        ..plain(number)
    };
    let shared = |number: u32| Event {
        producer: Some(Producer {
            id: NonZeroU32::MIN,
            percent: 50,
        }),
        ..plain(number)
    };
    let mut group = criterion.benchmark_group("by what is queued");
    group.sample_size(20);
    let mut bench = |name: &str, events: u32, mut queue: Queue, call: &dyn Fn(&mut Queue)| {
        group.bench_function(format!("{name}/{events}"), |bencher| {
            bencher.iter(|| call(black_box(&mut queue)));
        });
    };
    for events in [1000, 10_000, 100_000] {
        bench(
            "full of scheduled events, drop_oldest",
            events,
            filled(Overflow::DropOldest, events, false, &scheduled),
            &|queue| {
                let _ = black_box(queue.accept(NOW, scheduled(0)));
            },
        );
        let mut queue = filled(Overflow::DropOldest, events, true, &shared);
        queue.take(NOW);
        bench(
            "a full share, a payload in flight",
            events,
            queue,
            &|queue| {
                let _ = black_box(queue.accept(NOW, shared(0)));
            },
        );
        bench(
            "a purge that matches nothing",
            events,
            filled(Overflow::Reject, events, true, &plain),
            &|queue| {
                queue.purge(NOW, Some("none"), Some("key:1"));
            },
        );
        bench(
            "a batch of 10, taken back",
            events,
            filled(Overflow::Reject, events, true, &plain),
            &|queue| {
                queue.begin(NOW);
                for number in 0..10 {
                    let _ = queue.accept(NOW, plain(number));
                }
                queue.roll_back();
            },
        );
    }
}

criterion_group!(benches, accept, build, compress, large, sizes);
criterion_main!(benches);
