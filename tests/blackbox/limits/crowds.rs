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

/// Publishes one event after another until `done`; how long each took, sorted.
fn published_until(gateway: &Gateway, done: impl Fn() -> bool) -> Vec<Duration> {
    let mut took = Vec::new();
    while !done() {
        let start = Instant::now();
        gateway.publish("c0", r#"{"data":1,"key":"k","merge":"replace"}"#);
        took.push(start.elapsed());
    }
    took.sort_unstable();
    took
}

/// While metrics of many channels are read, again and again, producers go on: nobody waits for a scrape.
#[test]
fn a_scrape_of_many_channels_holds_up_nobody() {
    let names: Vec<String> = (0..20_000).map(|nth| format!("c{nth}")).collect();
    let channels: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let rest = "[limits]\nchannels_max = 30000\n[journal]\nmode = \"off\"\n";
    let gateway = Gateway::start(&local(rest, &channels));
    let scrape = || {
        let start = Instant::now();
        let answer = send(gateway.metrics, "GET", "/metrics", &[], b"");
        assert_eq!(answer.status, 200);
        assert!(answer.body.len() > 1_000_000, "of every channel");
        start.elapsed()
    };
    scrape();
    let is_over = AtomicBool::new(false);
    let (scrapes, publishes) = std::thread::scope(|scope| {
        let publisher =
            scope.spawn(|| published_until(&gateway, || is_over.load(Ordering::Relaxed)));
        let scrapes: Vec<_> = (0..8).map(|_| scrape()).collect();
        is_over.store(true, Ordering::Relaxed);
        (scrapes, publisher.join().expect("it ends"))
    });
    let shortest = *scrapes.iter().min().expect("some");
    let typical = publishes[publishes.len() / 2];
    let late = publishes[publishes.len() * 95 / 100];
    println!(
        "scrapes {scrapes:?}; {} publishes, {typical:?}, {late:?}",
        publishes.len()
    );
    // Were they to wait for a scrape, or for a part of it, most would take as long.
    assert!(
        publishes.len() > 4 * scrapes.len(),
        "{} publishes",
        publishes.len()
    );
    assert!(late < shortest / 2, "{late:?} of {shortest:?}");
    assert!(typical < shortest / 8, "{typical:?} of {shortest:?}");
}
