//! What viewers who join late cost: the state over HTTP, as a CDN in front of them asks for it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use super::load::{self, Connection, Load};
use super::process::{Gateway, free_port};
use super::report::Report;

const PATH: &str = "/v1/channels/quiz/state";
/// Keys of the state, of about 40 bytes each.
const KEYS: usize = 100;
/// While payloads go on, a page is made anew every second.
const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(2);
const CONNECTIONS: usize = 8;

/// Requests that a second of processor time answers.
pub fn state(runtime: &tokio::runtime::Runtime, report: &mut Report, arn: &str) {
    let address = free_port();
    let config = format!(
        "[upstream]\nmode = \"local\"\n[state]\nlisten = \"{address}\"\n\
         [[channel]]\nname = \"quiz\"\narn = \"{arn}/quiz\"\nkeyframes = true\nstate_http = true\nstate_delay_ms = 100\n"
    );
    let gateway = Gateway::journaled(&config, "os");
    let mut events = String::new();
    for key in 0..KEYS {
        // Writing to a String cannot fail.
        let _ = writeln!(
            events,
            r#"{{"data":{{"points":{key}}},"key":"player {key}","merge":"replace"}}"#
        );
    }
    let events = load::post(
        "/v1/channels/quiz/events",
        "application/x-ndjson",
        events.as_bytes(),
    );
    runtime.block_on(async {
        load::once(gateway.producers, &events).await;
        told(address).await;
    });
    let mut rates = Vec::new();
    for _ in 0..TURNS {
        let before = gateway.cpu();
        let load = Load {
            address,
            requests: vec![load::get(PATH); CONNECTIONS],
            per_request: 1,
        };
        let done = runtime.block_on(load.run(TURN));
        let cpu = gateway.cpu().saturating_sub(before).as_secs_f64();
        rates.push(done.events / cpu);
    }
    let what = "the state over HTTP, 100 keys: requests a second of one core";
    report.at_least(what, &mut rates, 10_000.0);
}

/// Returns when there is something to tell.
async fn told(address: SocketAddr) {
    let mut connection = Connection::open(address).await;
    while !connection
        .exchange(&load::get(PATH))
        .await
        .0
        .starts_with("http/1.1 200")
    {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
