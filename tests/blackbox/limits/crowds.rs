//! What many channels cost those who do not look at them.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::support::http::send;
use crate::support::process::{Gateway, arn, local};

/// Events for so many channels that nobody listed, from the one of that number on.
fn batch(first: usize, count: usize, fields: &str) -> String {
    let mut body = String::from("[");
    for nth in first..first + count {
        let arn = arn(&format!("c{nth}"));
        let _ = write!(body, r#"{{"channel":"{arn}","data":1{fields}}},"#);
    }
    body.pop();
    body + "]"
}

/// A gateway whose channels are as many as it may have, each with an event that waits.
fn full(channels: usize) -> Gateway {
    let rest = format!(
        "[channels]\nallow_unlisted = true\n[limits]\nchannels_max = {}\n[journal]\nmode = \"off\"\n",
        channels + 1
    );
    let gateway = Gateway::start(&local(&rest, &[("quiz", "")]));
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let later = since.expect("after 1970").as_millis() + 3_600_000;
    let at = format!(r#","at":{later}"#);
    for first in (0..channels).step_by(500) {
        let count = 500.min(channels - first);
        let answer = gateway.post("/v1/events", &batch(first, count, &at));
        assert_eq!(answer.json()["accepted"], count, "{answer:?}");
    }
    gateway
}

/// A batch for channels that nobody knows costs what its events cost, and not a look at all channels for each.
#[test]
fn invented_channels_cost_the_same_whatever_is_there() {
    let (few, many) = (full(100), full(5000));
    let body = batch(1_000_000, 1000, "");
    let took = |gateway: &Gateway| {
        let start = Instant::now();
        let answer = gateway.post("/v1/events", &body);
        let took = start.elapsed();
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.code(), "overloaded", "{answer:?}");
        took
    };
    // In turn, so that both meet the same of whatever else this machine does.
    let rounds: Vec<_> = (0..7).map(|_| (took(&few), took(&many))).collect();
    let least = |of: fn(&(Duration, Duration)) -> Duration| rounds.iter().map(of).min();
    let (floor, most) = (least(|it| it.0), least(|it| it.1));
    let (floor, most) = (floor.expect("some"), most.expect("some"));
    println!("of 100 channels: {floor:?}, of 5000: {most:?}");
    assert!(most < 3 * floor, "{floor:?} and {most:?}: {rounds:?}");
}

/// A reload looks at each channel once: eight times the channels take about eight times as long, and not 64 times.
#[test]
fn a_reload_takes_as_long_as_there_are_channels() {
    let config = |count: usize, ttl_ms: usize| {
        let names: Vec<String> = (0..count).map(|nth| format!("c{nth}")).collect();
        let ttl = format!("ttl_ms = {ttl_ms}");
        let channels: Vec<_> = names.iter().map(|name| (name.as_str(), &*ttl)).collect();
        local("[journal]\nmode = \"off\"\n", &channels)
    };
    let counts = [1000, 8000];
    let gateways = counts.map(|count| Gateway::start(&config(count, 1000)));
    let took = |nth: usize, round: usize| {
        let (gateway, text) = (&gateways[nth], config(counts[nth], 1001 + round));
        std::fs::write(gateway.config_file(), text).expect("a file");
        let start = Instant::now();
        let answer = send(gateway.admin, "POST", "/admin/reload", &[], b"");
        assert_eq!(answer.status, 200, "{answer:?}");
        start.elapsed()
    };
    let rounds: Vec<_> = (0..4)
        .map(|round| [took(0, round), took(1, round)])
        .collect();
    let least = |nth: usize| rounds.iter().map(|it| it[nth]).min().expect("some");
    let (few, many) = (least(0), least(1));
    println!("{counts:?} channels: {few:?} and {many:?}");
    assert!(many < 24 * few, "{few:?} and {many:?}: {rounds:?}");
}

/// Publishes one event after another until `done`; how long each took.
fn published_until(gateway: &Gateway, done: impl Fn() -> bool) -> Vec<Duration> {
    let mut took = Vec::new();
    while !done() {
        let start = Instant::now();
        gateway.publish("c0", r#"{"data":1,"key":"k","merge":"replace"}"#);
        took.push(start.elapsed());
    }
    took
}

fn scrape(gateway: &Gateway) -> Duration {
    let start = Instant::now();
    let answer = send(gateway.metrics, "GET", "/metrics", &[], b"");
    assert_eq!(answer.status, 200);
    assert!(answer.body.len() > 500_000, "of every channel");
    start.elapsed()
}

/// How long publishes take beside scrapes: the mean of what somebody meets who comes at any moment. And how long
/// a scrape takes, at least. Both in s.
fn held_up(gateway: &Gateway) -> (f64, f64) {
    let is_over = AtomicBool::new(false);
    let (took, scrapes) = std::thread::scope(|scope| {
        let producer = scope.spawn(|| {
            let done = || is_over.load(Ordering::Relaxed);
            published_until(gateway, done)
        });
        let scrapes = (0..4).map(|_| scrape(gateway).as_secs_f64());
        let least = scrapes.fold(f64::MAX, f64::min);
        is_over.store(true, Ordering::Relaxed);
        (producer.join().expect("it ends"), least)
    });
    let sum = |of: fn(f64) -> f64| took.iter().map(|it| of(it.as_secs_f64())).sum::<f64>();
    (sum(|it| it * it) / sum(|it| it), scrapes)
}

/// While metrics of many channels are read, again and again, producers go on: nobody waits for a scrape. Who did
/// would wait for as long as one takes.
#[test]
fn a_scrape_of_many_channels_holds_up_nobody() {
    let names: Vec<String> = (0..8000).map(|nth| format!("c{nth}")).collect();
    let channels: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let gateway = Gateway::start(&local("[journal]\nmode = \"off\"\n", &channels));
    scrape(&gateway);
    let rounds: Vec<_> = (0..8).map(|_| held_up(&gateway)).collect();
    let least = |of: fn(&(f64, f64)) -> f64| rounds.iter().map(of).fold(f64::MAX, f64::min);
    let (wait, scrape) = (least(|it| it.0), least(|it| it.1));
    println!("a publish takes {wait:.4} s beside scrapes of {scrape:.4} s: {rounds:.4?}");
    assert!(wait < scrape / 3.0, "{wait} s of {scrape} s: {rounds:?}");
}
