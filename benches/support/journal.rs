//! What the journal costs beside none, and how long a start takes that finds a million events.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::load::{self, Load};
use super::process::Gateway;
use super::report::Report;

const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(1);

/// Channels of the flood: one each for as many producers.
const CHANNELS: usize = 8;

const FULL: (usize, usize) = (100, 10_000);

/// Acceptance with the journal, single and batched, from 1 and 64 producers, in turns with none.
pub fn acceptance(runtime: &tokio::runtime::Runtime, report: &mut Report, config: &str) {
    let modes = ["off", "os", "fsync"].map(|mode| (mode, Gateway::journaled(config, mode)));
    let event = load::event(150);
    let batch = format!("{event}\n").repeat(100);
    let shapes = [
        ("single", "application/json", &event, 1),
        ("batched", "application/x-ndjson", &batch, 100),
    ];
    for (shape, content_type, body, per_request) in shapes {
        for producers in [1, 64] {
            let one = |gateway: &Gateway| {
                let request = |nth: usize| {
                    let path = format!("/v1/channels/flood{}/events", nth % CHANNELS);
                    load::post(&path, content_type, body.as_bytes())
                };
                let load = Load {
                    address: gateway.producers,
                    requests: (0..producers).map(request).collect(),
                    per_request,
                };
                runtime.block_on(load.run(TURN)).rate()
            };
            let mut rates: [Vec<f64>; 3] = Default::default();
            for _ in 0..TURNS {
                for ((_, gateway), rates) in modes.iter().zip(&mut rates) {
                    rates.push(one(gateway));
                }
            }
            let [off, os, fsync] = rates;
            let name = format!("journal, {shape}, {producers} producers");
            let ratios = |rates: &[f64]| -> Vec<f64> {
                rates
                    .iter()
                    .zip(&off)
                    .map(|(rate, off)| rate / off)
                    .collect()
            };
            report.at_least(&format!("{name}: os / off"), &mut ratios(&os), 0.7);
            report.plain(&format!("{name}: fsync / off"), &mut ratios(&fsync));
            report.plain(&format!("{name}: os, events/s"), &mut os.clone());
        }
    }
}

/// The slowest of a hundred single events while the storage writes tables and merges them.
pub fn latency(runtime: &tokio::runtime::Runtime, report: &mut Report, config: &str) {
    let gateway = Gateway::journaled(config, "os");
    let body = format!("{}\n", load::event(150)).repeat(100);
    let flood = |nth: usize| {
        let path = format!("/v1/channels/flood{nth}/events");
        load::post(&path, "application/x-ndjson", body.as_bytes())
    };
    let flood = Load {
        address: gateway.producers,
        requests: (1..3).map(flood).collect(),
        per_request: 100,
    };
    let event = load::event(150);
    let single = load::post(
        "/v1/channels/flood0/events",
        "application/json",
        event.as_bytes(),
    );
    let probe = async {
        let mut connection = load::Connection::open(gateway.producers).await;
        let (mut took, until) = (Vec::new(), Instant::now() + 10 * TURN);
        while Instant::now() < until {
            let started = Instant::now();
            connection.request(&single).await;
            took.push(started.elapsed().as_secs_f64() * 1000.0);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        took
    };
    let (_, mut took) = runtime.block_on(async { tokio::join!(flood.run(10 * TURN), probe) });
    took.sort_by(f64::total_cmp);
    let at = |part: usize| took[(took.len() - 1) * part / 1000];
    report.plain("journal, one event beside a flood: p50 ms", &mut [at(500)]);
    report.plain("journal, one event beside a flood: p99 ms", &mut [at(990)]);
    report.plain(
        "journal, one event beside a flood: most ms",
        &mut [at(1000)],
    );
}

/// From the start of the process to its first answer, with a million events in the journal.
pub fn recovery(runtime: &tokio::runtime::Runtime, report: &mut Report, arn: &str) {
    use std::fmt::Write as _;
    let mut config = "[upstream]\nmode = \"local\"\n[limits]\nqueue_total_bytes = 4294967296\n[channel_defaults]\nttl_ms = 3600000\nqueue_max_bytes = 8388608\n".to_owned();
    for channel in 0..FULL.0 {
        let _ = write!(
            config,
            "[[channel]]\nname = \"c{channel}\"\narn = \"{arn}/c{channel}\"\n"
        );
    }
    let mut gateway = Gateway::journaled(&config, "os");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a date");
    // None of them goes before the bench is over.
    let at = now.as_millis() + 3_600_000;
    let event = format!(
        "{{\"type\":\"quiz.answer\",\"at\":{at},\"data\":\"{}\"}}\n",
        "x".repeat(90)
    );
    let body = event.repeat(1000);
    runtime.block_on(async {
        for channel in 0..FULL.0 {
            let path = format!("/v1/channels/c{channel}/events");
            let request = load::post(&path, "application/x-ndjson", body.as_bytes());
            let mut connection = load::Connection::open(gateway.producers).await;
            for _ in 0..FULL.1 / 1000 {
                connection.request(&request).await;
            }
        }
    });
    let mut seconds = Vec::new();
    for _ in 0..3 {
        let started = gateway.kill_and_start();
        seconds.push(started.as_secs_f64());
        let kept = gateway.sum("cuegate_queue_events{");
        let events = f64::from(u32::try_from(FULL.0 * FULL.1).expect("a million"));
        assert!((kept - events).abs() < 0.5, "{kept} events came back");
    }
    report.at_most("journal, start with 1,000,000 events: s", &mut seconds, 5.0);
}
