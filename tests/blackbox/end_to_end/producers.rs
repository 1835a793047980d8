//! Producers that keep the queues of all channels filled, over both doors.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::http;
use crate::support::process::Gateway;
use crate::support::ws::Client;

/// More than the 31 that the account's limit has room for.
pub const CHANNELS: usize = 40;
/// How long producers keep every queue filled.
const LOAD: Duration = Duration::from_secs(8);
/// A producer waits while its channel has this many events: about five payloads.
const BACKLOG: u64 = 60;

/// What was published to each channel: the number of events, which are numbered.
pub type Published = BTreeMap<String, u64>;

pub fn name(nth: usize) -> String {
    format!("c{nth}")
}

fn event(nth: u64, random: &mut fastrand::Rng) -> String {
    let filler = "é".repeat(random.usize(..40));
    format!(r#"{{"data":{{"i":{nth},"f":"{filler}"}},"id":"e-{nth}"}}"#)
}

/// Fills one channel over HTTP until it is time to stop; every request is repeated now and
/// then, as a client does that saw no answer.
fn over_http(
    gateway: &Gateway,
    channel: &str,
    stop: &AtomicBool,
    random: &mut fastrand::Rng,
) -> u64 {
    let path = format!("/v1/channels/{channel}/events");
    let headers = [("content-type", "application/x-ndjson")];
    let mut published = 0;
    let mut queued = 0;
    while !stop.load(Ordering::Relaxed) {
        if queued >= BACKLOG {
            std::thread::sleep(Duration::from_millis(50));
            queued = gateway.status(channel)["queued"]
                .as_u64()
                .expect("a number");
            continue;
        }
        let count = random.u64(1..30);
        let body: Vec<_> = (published..published + count)
            .map(|nth| event(nth, random))
            .collect();
        let body = body.join("\n");
        for again in [false, random.u8(..) < 25] {
            let answer =
                http::send(gateway.producers, "POST", &path, &headers, body.as_bytes()).json();
            assert_eq!(answer["rejected"], json!([]), "{answer}");
            let field = if again { "duplicates" } else { "accepted" };
            if again == (answer["duplicates"] != 0) {
                assert_eq!(answer[field], count, "{answer}");
            }
            queued = answer["queued"].as_u64().expect("a number");
        }
        published += count;
    }
    published
}

/// The same over a WebSocket.
fn over_websocket(
    gateway: &Gateway,
    channel: &str,
    stop: &AtomicBool,
    random: &mut fastrand::Rng,
) -> u64 {
    let mut client = Client::open(gateway.producers, &format!("/v1/channels/{channel}/ws"));
    let (mut published, mut messages) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let count = random.u64(1..30);
        for nth in published..published + count {
            client.send(&event(nth, random));
        }
        published += count;
        messages += count;
        let answers = client.until_ack(messages);
        assert!(
            answers.iter().all(|answer| answer["code"].is_null()),
            "{answers:?}"
        );
        let mut queued = answers
            .last()
            .and_then(|ack| ack["queued"].as_u64())
            .expect("a number");
        while queued >= BACKLOG && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50));
            queued = gateway.status(channel)["queued"]
                .as_u64()
                .expect("a number");
        }
    }
    published
}

/// Producers on every channel, and a scraper that holds every scrape to the books.
pub fn load(gateway: &Gateway, seed: u64) -> Published {
    let stop = AtomicBool::new(false);
    let scrapes = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let producers: Vec<_> = (0..CHANNELS)
            .map(|nth| {
                let stop = &stop;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed ^ nth as u64);
                    let channel = name(nth);
                    let produce = if nth % 2 == 0 {
                        over_http
                    } else {
                        over_websocket
                    };
                    let published = produce(gateway, &channel, stop, &mut random);
                    (channel, published)
                })
            })
            .collect();
        let start = Instant::now();
        while start.elapsed() < LOAD {
            gateway.scrape().check_books(false);
            scrapes.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(100));
        }
        stop.store(true, Ordering::Relaxed);
        assert!(scrapes.load(Ordering::Relaxed) > 10);
        producers
            .into_iter()
            .map(|producer| producer.join().expect("a producer"))
            .collect()
    })
}
