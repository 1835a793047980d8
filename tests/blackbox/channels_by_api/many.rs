//! Many channels made by API, restarted, and listed a page at a time.

use std::fmt::Write as _;
use std::io::{BufReader, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Lives, kill};
use crate::support::http::{connect, read_response};
use crate::support::process::{Gateway, arn};
use crate::support::within;

/// Requests that are on their way at once over one connection.
const PIPELINE: usize = 50;

/// A hundred thousand take a build without optimisation longer than other starts take.
const PATIENCE: Duration = Duration::from_mins(3);

/// Connections that make channels.
const CONNECTIONS: usize = 8;

fn alias(nth: usize) -> String {
    format!("c-{nth:06}")
}

/// Makes those channels over one connection that stays.
fn make(address: SocketAddr, nths: &[usize]) {
    let mut stream = connect(address).expect("a connection");
    let mut reader = BufReader::new(stream.try_clone().expect("the other half"));
    for some in nths.chunks(PIPELINE) {
        let mut requests = String::new();
        for nth in some {
            let alias = alias(*nth);
            let body = format!("{{\"arn\":\"{}\"}}", arn(&alias));
            let _ = write!(
                requests,
                "PUT /v1/channels/{alias} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
        }
        stream.write_all(requests.as_bytes()).expect("to send");
        for nth in some {
            let answer = read_response(&mut reader, false).expect("an answer");
            assert_eq!(answer.status, 201, "{nth}: {answer:?}");
        }
    }
}

/// Every alias, a page at a time.
fn all(gateway: &Gateway) -> Vec<String> {
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page = gateway
            .request("GET", &format!("/v1/channels?limit=1000{after}"))
            .json();
        for channel in page["channels"].as_array().expect("channels") {
            names.push(channel["channel"].as_str().expect("a name").to_owned());
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return names,
        }
    }
}

fn check(count: usize) {
    let lives = Lives::new();
    let limits = format!("[limits]\nchannels_max = {}\n", count + 1);
    let config = lives.config(&["file"], &limits);
    let first = Gateway::start(&config);
    let began = Instant::now();
    let nths: Vec<usize> = (0..count).collect();
    std::thread::scope(|scope| {
        for some in nths.chunks(count.div_ceil(CONNECTIONS)) {
            scope.spawn(|| make(first.producers, some));
        }
    });
    let made = began.elapsed();
    let expected: Vec<String> = nths
        .iter()
        .map(|nth| alias(*nth))
        .chain(["file".to_owned()])
        .collect();
    let began = Instant::now();
    assert_eq!(all(&first), expected);
    let listed = began.elapsed();
    let series = first.scrape().series.len();
    kill(first);
    let began = Instant::now();
    let second = Gateway::spawn(&config, &[]);
    within(PATIENCE, "the gateway is ready", || {
        second.is_ready().then_some(())
    });
    let started = began.elapsed();
    assert_eq!(all(&second), expected);
    let last = alias(count - 1);
    second.publish(&last, r#"{"data":1}"#);
    second.drained(&last);
    assert_eq!(second.taken(&last).len(), 1);
    let metrics = second.scrape();
    metrics.check_books(true);
    println!(
        "{count} channels: made in {made:?}, listed in {listed:?}, {series} series, ready after a kill in {started:?}"
    );
}

#[test]
fn three_thousand() {
    check(3000);
}

/// By hand: `cargo test --test blackbox a_hundred_thousand -- --ignored --nocapture`.
#[test]
#[ignore = "it takes minutes"]
fn a_hundred_thousand() {
    check(100_000);
}
