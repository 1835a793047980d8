//! Keys and limits: what they cost on the way of every event, and what they are worth among
//! strangers, slow ones and one that floods.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use super::load::{self, Connection, Load};
use super::process::{Child, Gateway};
use super::report::Report;

/// The argument that makes this program the crowd; the gateway's address follows.
pub const CROWD: &str = "crowd";

/// Connections that never ask for anything.
const IDLE: usize = 2000;
/// Connections whose requests come a byte at a time.
const SLOW: usize = 200;
/// Connections of the key that floods.
const FLOODING: usize = 4;

/// Requests that are timed, and how far apart they are sent.
const SAMPLES: usize = 1500;
const APART: Duration = Duration::from_millis(4);

/// Above any rate here: the limits are looked at and never reached.
const ENDLESS: &str = "events_per_second = 100000000\nbytes_per_second = 1000000000000\n\
    channel_events_per_second = 100000000\nchannel_bytes_per_second = 1000000000000\nmax_connections = 1000\n";

fn key(owner: &str, limits: &str) -> String {
    let hash = Sha256::digest(owner.as_bytes());
    let mut lines =
        format!("[[api_key]]\nname = \"{owner}\"\nchannels = [\"*\"]\n{limits}sha256 = \"");
    for byte in hash {
        let _ = write!(lines, "{byte:02x}");
    }
    lines + "\"\n"
}

fn bearer(owner: &str) -> String {
    format!("authorization: Bearer {owner}\r\n")
}

/// The ingest rate with keys and limits on, of that with them off: the same binary, a process
/// each, in short turns.
pub fn cost(runtime: &Runtime, report: &mut Report, config: &str, connections: usize) {
    let without = Gateway::start(config);
    let with = Gateway::start(&format!("{config}{}", key("producer", ENDLESS)));
    let event = load::event(150);
    let lines = format!("{event}\n").repeat(100);
    for (name, content_type, body, events) in [
        ("one event a request", "application/json", &event, 1),
        ("NDJSON of 100", "application/x-ndjson", &lines, 100),
    ] {
        let one = |gateway: &Gateway, header: &str| {
            let request = |channel| {
                let path = format!("/v1/channels/flood{channel}/events");
                load::post_with(&path, content_type, header, body.as_bytes())
            };
            let load = Load {
                address: gateway.producers,
                requests: (0..connections).map(request).collect(),
                per_request: events,
            };
            let before = gateway.cpu();
            let done = runtime.block_on(load.run(Duration::from_secs(1)));
            let cpu = gateway.cpu().saturating_sub(before).as_secs_f64();
            (done.rate(), cpu / done.events)
        };
        let (mut rates, mut costs) = (Vec::new(), Vec::new());
        for turn in 0..24 {
            // Whichever is first is warmer or colder: each is so half of the time.
            let (on, off) = if turn % 2 == 0 {
                let on = one(&with, &bearer("producer"));
                (on, one(&without, ""))
            } else {
                let off = one(&without, "");
                (one(&with, &bearer("producer")), off)
            };
            rates.push(on.0 / off.0);
            costs.push(on.1 / off.1);
        }
        report.at_least(
            &format!("keys and limits, {name}: rate / without them"),
            &mut rates,
            0.95,
        );
        report.plain(
            &format!("keys and limits, {name}: CPU / without them"),
            &mut costs,
        );
    }
}

/// How long a well-behaved producer waits alone, and among the crowd.
pub fn company(runtime: &Runtime, report: &mut Report, config: &str) {
    let flood = key("flood", "events_per_second = 1000\nmax_connections = 10\n");
    let gateway = Gateway::start(&format!("{config}{flood}{}", key("quiet", ENDLESS)));
    let (mut ratios, mut alone, mut among) = (Vec::new(), Vec::new(), Vec::new());
    let mut memory = 0.0_f64;
    for _ in 0..5 {
        alone.push(runtime.block_on(p99_ms(gateway.producers)));
        let crowd = Child::start(&[CROWD, &gateway.producers.to_string()]);
        among.push(runtime.block_on(p99_ms(gateway.producers)));
        memory = memory.max(gateway.memory_mb());
        drop(crowd);
        ratios.push(among[among.len() - 1] / alone[alone.len() - 1]);
        // Its connections are closed, and the machine is quiet again.
        std::thread::sleep(Duration::from_secs(1));
    }
    report.plain("a quiet producer alone: p99 ms", &mut alone);
    report.plain("a quiet producer in a crowd: p99 ms", &mut among);
    report.at_most(
        "a quiet producer's p99 in a crowd / alone",
        &mut ratios,
        2.0,
    );
    report.at_most("memory of the process in a crowd, MB", &mut [memory], 150.0);
}

async fn p99_ms(address: SocketAddr) -> f64 {
    let event = load::event(150);
    let path = "/v1/channels/flood1/events";
    let request = load::post_with(path, "application/json", &bearer("quiet"), event.as_bytes());
    let mut connection = Connection::open(address).await;
    let mut times = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let started = Instant::now();
        connection.request(&request).await;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        sleep(APART).await;
    }
    times.sort_by(f64::total_cmp);
    times[times.len() * 99 / 100]
}

/// Is the crowd until the process is ended; says so once it is whole.
pub fn serve(address: &str) {
    let address: SocketAddr = address.parse().expect("an address");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut idle = Vec::with_capacity(IDLE);
        for _ in 0..IDLE {
            idle.push(TcpStream::connect(address).await.expect("a connection"));
        }
        for nth in 0..SLOW {
            tokio::spawn(drip(address, nth));
        }
        for _ in 0..FLOODING {
            tokio::spawn(flood(address));
        }
        println!("{address}");
        std::future::pending::<()>().await;
        drop(idle);
    });
}

/// A request that never ends, a byte each quarter of a second; then another one.
async fn drip(address: SocketAddr, nth: usize) {
    loop {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let head: &[u8] = if nth.is_multiple_of(2) {
            b"POST /v1/channels/flood0/events HTTP/1.1\r\nhost: h\r\nx-slow: "
        } else {
            b"POST /v1/channels/flood0/events HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n\
              authorization: Bearer quiet\r\ncontent-length: 100000\r\n\r\n"
        };
        let mut written = stream.write_all(head).await;
        while written.is_ok() {
            sleep(Duration::from_millis(250)).await;
            written = stream.write_all(b"x").await;
        }
    }
}

/// As fast as it is answered, most of it with 429.
async fn flood(address: SocketAddr) {
    let body = format!("{}\n", load::event(150)).repeat(100);
    let path = "/v1/channels/flood0/events";
    let request = load::post_with(
        path,
        "application/x-ndjson",
        &bearer("flood"),
        body.as_bytes(),
    );
    let mut connection = Connection::open(address).await;
    loop {
        connection.exchange(&request).await;
    }
}
