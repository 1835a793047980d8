//! What it costs that a show survives its machine: one node on PostgreSQL, and one that hands its events to that, beside
//! the journal on this machine's disk. The database is a primary with its synchronous standby, and both wait for the disk.

use std::time::{Duration, Instant};

use super::load::{self, Load};
use super::process::{Emulator, Gateway, free_port};
use super::report::Report;

#[path = "../../tests/blackbox/support/ports.rs"]
mod ports;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/blackbox/support/postgres.rs"]
mod postgres;

const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(1);

/// Channels of the flood: one each for as many producers.
const CHANNELS: usize = 8;

/// Who accepts, in the order of the report: the first is the floor.
const PLACES: [&str; 4] = ["fjall os", "fjall fsync", "owner", "other node"];

/// One event at a time, 64 producers, and batches, at each place in turns.
pub fn acceptance(runtime: &tokio::runtime::Runtime, report: &mut Report, arn: &str, flood: &str) {
    let Some(database) = postgres::Cluster::replicated_as(|primary| primary, &["fsync=on"]) else {
        return;
    };
    let emulator = Emulator::start();
    for channel in 0..CHANNELS {
        let path = format!("/_local/channels/{arn}%2Fflood{channel}/stream");
        let path = path.replace(":channel", "%3Achannel");
        emulator.post(&path, r#"{"state":"live"}"#);
    }
    let mode = format!(
        "mode = \"aws\"\nregion = \"us-west-2\"\nendpoint_url = \"http://{}\"",
        emulator.address
    );
    let config = flood.replace("mode = \"local\"", &mode);
    let url = format!("{}&sslmode=disable", database.url());
    let clustered = format!("{config}[cluster]\nurl = \"{url}\"\n");
    Gateway::command(&clustered, &["cluster", "init"]);
    let node = |name: &str| {
        let listen = free_port().to_string();
        let own = [
            ("CUEGATE__CLUSTER__NODE", name),
            ("CUEGATE__CLUSTER__LISTEN", &listen),
        ];
        Gateway::of_cluster(&clustered, &own)
    };
    // The first owns the account before the second is there.
    let owner = node("owner");
    let other = node("other");
    let places = [
        Gateway::journaled(&config, "os"),
        Gateway::journaled(&config, "fsync"),
        owner,
        other,
    ];
    lone(runtime, report, &places);
    let event = load::event(150);
    let batch = format!("{event}\n").repeat(100);
    for (shape, content_type, body, per_request) in [
        ("single", "application/json", &event, 1),
        ("batches of 100", "application/x-ndjson", &batch, 100),
    ] {
        let mut rates: [Vec<f64>; PLACES.len()] = Default::default();
        for _ in 0..TURNS {
            for (gateway, rates) in places.iter().zip(&mut rates) {
                let request = |nth: usize| {
                    let path = format!("/v1/channels/flood{}/events", nth % CHANNELS);
                    load::post(&path, content_type, body.as_bytes())
                };
                let load = Load {
                    address: gateway.producers,
                    requests: (0..64).map(request).collect(),
                    per_request,
                };
                rates.push(runtime.block_on(load.run(TURN)).rate());
            }
        }
        let of_fjall = rates[0].clone();
        for (place, rates) in PLACES.iter().zip(rates) {
            let name = format!("cluster, {shape}, 64 producers, {place}");
            let mut ratios: Vec<f64> = rates.iter().zip(&of_fjall).map(|(a, b)| a / b).collect();
            if place != &PLACES[0] {
                report.plain(&format!("{name}: of {}", PLACES[0]), &mut ratios);
            }
            let what = format!("{name}: events/s");
            if per_request > 1 && place == &"owner" {
                report.at_least(&what, &mut rates.clone(), 200_000.0);
            } else {
                report.plain(&what, &mut rates.clone());
            }
        }
    }
}

/// How long one producer waits for each of its events, one after another.
fn lone(runtime: &tokio::runtime::Runtime, report: &mut Report, places: &[Gateway]) {
    let event = load::event(150);
    let path = "/v1/channels/flood0/events";
    let single = load::post(path, "application/json", event.as_bytes());
    let mut took: [Vec<f64>; PLACES.len()] = Default::default();
    for _ in 0..TURNS {
        for (gateway, took) in places.iter().zip(&mut took) {
            let until = Instant::now() + TURN;
            runtime.block_on(async {
                let mut connection = load::Connection::open(gateway.producers).await;
                while Instant::now() < until {
                    let started = Instant::now();
                    connection.request(&single).await;
                    took.push(started.elapsed().as_secs_f64() * 1000.0);
                }
            });
        }
    }
    for (place, mut took) in PLACES.iter().zip(took) {
        took.sort_by(f64::total_cmp);
        let at = |part: usize| took[(took.len() - 1) * part / 100];
        let name = format!("cluster, one event after another, {place}");
        let p50 = format!("{name}: p50 ms");
        if place == &"owner" {
            report.at_most(&p50, &mut [at(50)], 3.0);
        } else {
            report.plain(&p50, &mut [at(50)]);
        }
        report.plain(&format!("{name}: p99 ms"), &mut [at(99)]);
    }
}
