//! The numbers of the running program, each beside its floor, in one run.
//!
//! Every product figure is taken from the real binary over loopback, in turns with the floor
//! it is compared to, because machines are noisy: read the ratios and the CPU time, not the
//! seconds. `benches/run` calls this after the engine's own benches.
//!
//! `cargo bench --bench numbers [-- NAME…]` runs those whose name contains one of the NAMEs.

mod support {
    pub mod bare;
    pub mod cluster;
    pub mod crowd;
    pub mod journal;
    pub mod load;
    pub mod observed;
    pub mod process;
    pub mod report;
    pub mod viewers;
}

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use support::load::{self, Load};
use support::process::{Child, Gateway};
use support::report::Report;

/// Turns of product and floor; the median counts.
const TURNS: usize = 5;
/// How long one turn loads the server.
const TURN: Duration = Duration::from_secs(2);
/// Producers at once.
const CONNECTIONS: usize = 8;

const ARN: &str = "arn:aws:ivs:us-west-2:000000000000:channel";

/// One of the figures, or some that belong together.
type Bench = fn(&tokio::runtime::Runtime, &mut Report);

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with("--"))
        .collect();
    if arguments
        .first()
        .is_some_and(|first| first == "bare-server")
    {
        return support::bare::serve();
    }
    if arguments
        .first()
        .is_some_and(|first| first == support::observed::SERVER)
    {
        let observed = arguments.iter().any(|argument| argument == "observed");
        return support::observed::serve(&flood_config(), observed);
    }
    if let [first, address] = arguments.as_slice()
        && first == support::crowd::CROWD
    {
        return support::crowd::serve(address);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut report = Report::default();
    let benches: [(&str, Bench); 14] = [
        ("http", http),
        ("telemetry", telemetry),
        ("keys-cost", |runtime, report| {
            support::crowd::cost(runtime, report, &flood_config(), CONNECTIONS);
        }),
        ("keys-company", |runtime, report| {
            support::crowd::company(runtime, report, &flood_config());
        }),
        ("ndjson", ndjson),
        ("websocket", websocket),
        ("quota", quota),
        ("delay", delay),
        ("memory", memory),
        ("journal-acceptance", |runtime, report| {
            support::journal::acceptance(runtime, report, &flood_config());
        }),
        ("journal-latency", |runtime, report| {
            support::journal::latency(runtime, report, &flood_config());
        }),
        ("journal-recovery", |runtime, report| {
            support::journal::recovery(runtime, report, ARN);
        }),
        ("cluster", |runtime, report| {
            support::cluster::acceptance(runtime, report, ARN, &flood_config());
        }),
        ("viewers", |runtime, report| {
            support::viewers::state(runtime, report, ARN);
        }),
    ];
    for (name, bench) in benches {
        if arguments.is_empty()
            || arguments
                .iter()
                .any(|wanted| name.contains(wanted.as_str()))
        {
            bench(&runtime, &mut report);
        }
    }
    report.print();
}

/// Channels that take everything, as many as there are connections: what is measured is
/// acceptance, not the API's quota.
fn flood_config() -> String {
    let mut config =
        "[upstream]\nmode = \"local\"\n[channel_defaults]\noverflow = \"drop_oldest\"\n".to_owned();
    for channel in 0..CONNECTIONS {
        let _ = write!(
            config,
            "[[channel]]\nname = \"flood{channel}\"\narn = \"{ARN}/flood{channel}\"\n"
        );
    }
    config
}

/// One request for each connection, to a channel of its own.
fn requests(content_type: &str, body: &str) -> Vec<Vec<u8>> {
    let one = |channel| {
        load::post(
            &format!("/v1/channels/flood{channel}/events"),
            content_type,
            body.as_bytes(),
        )
    };
    (0..CONNECTIONS).map(one).collect()
}

/// One 150-byte event a request, against a bare axum handler that parses the same JSON.
fn http(runtime: &tokio::runtime::Runtime, report: &mut Report) {
    let gateway = Gateway::start(&flood_config());
    let bare = Child::start(&["bare-server"]);
    let event = load::event(150);
    let one = |address, requests| {
        runtime.block_on(
            Load {
                address,
                requests,
                per_request: 1,
            }
            .run(TURN),
        )
    };
    let bare_request = load::post("/", "application/json", event.as_bytes());
    let (mut ratios, mut cpu_ratios, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let floor_cpu = bare.cpu();
        let floor = one(bare.address, vec![bare_request.clone(); CONNECTIONS]);
        let floor_cpu = bare.cpu().saturating_sub(floor_cpu).as_secs_f64() / floor.events;
        let product_cpu = gateway.cpu();
        let product = one(gateway.producers, requests("application/json", &event));
        let product_cpu = gateway.cpu().saturating_sub(product_cpu).as_secs_f64() / product.events;
        ratios.push(product.rate() / floor.rate());
        cpu_ratios.push(product_cpu / floor_cpu);
        rates.push(product.rate());
    }
    report.at_least(
        "HTTP, one event a request: rate / bare axum",
        &mut ratios,
        0.85,
    );
    report.plain(
        "HTTP, one event a request: CPU a request / bare axum",
        &mut cpu_ratios,
    );
    report.plain("HTTP, one event a request: events/s", &mut rates);
}

/// What metrics and tracing cost without an exporter: the same program with and without them, a
/// process each, in short turns, because the difference is smaller than what a machine's pace
/// changes within a minute.
fn telemetry(runtime: &tokio::runtime::Runtime, report: &mut Report) {
    let servers = [
        Child::start(&[support::observed::SERVER, "observed"]),
        Child::start(&[support::observed::SERVER]),
    ];
    let event = load::event(150);
    let one = |server: &Child| {
        let load = Load {
            address: server.address,
            requests: requests("application/json", &event),
            per_request: 1,
        };
        let before = server.cpu();
        let done = runtime.block_on(load.run(TURN / 2));
        let cpu = server.cpu().saturating_sub(before).as_nanos_f64();
        (done.rate(), cpu / done.events)
    };
    let (mut rates, mut cpu, mut costs) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..8 * TURNS {
        // The first of two is warmer or colder than the second: each is so half of the time.
        let first = turn % 2;
        let mut done = [(0.0, 0.0); 2];
        done[first] = one(&servers[first]);
        done[1 - first] = one(&servers[1 - first]);
        let [with, without] = done;
        rates.push(with.0 / without.0);
        cpu.push(with.1 / without.1);
        costs.push(with.1 - without.1);
    }
    report.at_least(
        "metrics and tracing, no exporter: rate / without them",
        &mut rates,
        0.95,
    );
    report.at_most(
        "metrics and tracing, no exporter: CPU a request / without them",
        &mut cpu,
        1.05,
    );
    report.plain(
        "metrics and tracing, no exporter: CPU ns a request",
        &mut costs,
    );
}

/// NDJSON of 100 events a request.
fn ndjson(runtime: &tokio::runtime::Runtime, report: &mut Report) {
    let gateway = Gateway::start(&flood_config());
    let body = format!("{}\n", load::event(150)).repeat(100);
    let (mut rates, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let before = gateway.cpu();
        let requests = requests("application/x-ndjson", &body);
        let load = Load {
            address: gateway.producers,
            requests,
            per_request: 100,
        };
        let done = runtime.block_on(load.run(TURN));
        rates.push(done.rate());
        cpu.push(gateway.cpu().saturating_sub(before).as_nanos_f64() / done.events);
    }
    report.at_least("HTTP, NDJSON of 100: events/s", &mut rates, 1_000_000.0);
    report.plain("HTTP, NDJSON of 100: CPU ns an event", &mut cpu);
}

/// One event a message, pipelined.
fn websocket(runtime: &tokio::runtime::Runtime, report: &mut Report) {
    let gateway = Gateway::start(&flood_config());
    let event = load::event(150);
    let (mut rates, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let before = gateway.cpu();
        let paths = ["/v1/channels/flood0/ws", "/v1/channels/flood1/ws"];
        let done = runtime.block_on(load::websocket(
            gateway.producers,
            &paths,
            event.as_bytes(),
            TURN,
        ));
        rates.push(done.rate());
        cpu.push(gateway.cpu().saturating_sub(before).as_nanos_f64() / done.events);
    }
    report.at_least(
        "WebSocket, one event a message: events/s",
        &mut rates,
        500_000.0,
    );
    report.plain("WebSocket, one event a message: CPU ns an event", &mut cpu);
}

/// 40 saturated channels, the emulator at 20 ms: the share of the quota that is used, and
/// what the process costs at the full pace.
fn quota(runtime: &tokio::runtime::Runtime, report: &mut Report) {
    let mut config =
        "[upstream]\nmode = \"local\"\n[channel_defaults]\noverflow = \"drop_oldest\"\n".to_owned();
    for channel in 0..40 {
        let _ = write!(
            config,
            "[[channel]]\nname = \"c{channel}\"\narn = \"{ARN}/c{channel}\"\n"
        );
    }
    // The emulator on its own, so that the gateway's CPU is the gateway's.
    let emulator = support::process::Emulator::start();
    for channel in 0..40 {
        emulator.post(
            &format!("/_local/channels/{ARN}%2Fc{channel}/stream")
                .replace(":channel", "%3Achannel"),
            r#"{"state":"live"}"#,
        );
    }
    emulator.post(
        "/_local/faults",
        r#"{"kind":"latency","probability":1.0,"latency":{"fixed_ms":20}}"#,
    );
    let config = config.replace(
        "mode = \"local\"",
        &format!(
            "mode = \"aws\"\nregion = \"us-west-2\"\nendpoint_url = \"http://{}\"",
            emulator.address
        ),
    );
    let gateway = Gateway::start(&config);
    let fill = |runtime: &tokio::runtime::Runtime| {
        for channel in 0..40 {
            let body = format!("{}\n", load::event(150)).repeat(400);
            let path = format!("/v1/channels/c{channel}/events");
            let request = load::post(&path, "application/x-ndjson", body.as_bytes());
            runtime.block_on(load::once(gateway.producers, &request));
        }
    };
    fill(runtime);
    std::thread::sleep(Duration::from_secs(3));
    fill(runtime);
    let (calls, started) = (gateway.delivered_calls(), Instant::now());
    let cpu = gateway.cpu();
    std::thread::sleep(Duration::from_secs(5));
    // Halfway, so that no queue runs dry; its cost is in the figure.
    fill(runtime);
    std::thread::sleep(Duration::from_secs(5));
    // The clock before the scrape, which costs more than a second of calls.
    let cpu = gateway.cpu().saturating_sub(cpu).as_secs_f64() / started.elapsed().as_secs_f64();
    let calls = gateway.delivered_calls() - calls;
    let took = started.elapsed();
    let ideal = 155.0 / (1.0 + 0.020 + 0.002);
    let rate = calls / took.as_secs_f64();
    report.plain("40 saturated channels: calls/s", &mut [rate]);
    report.at_least(
        "40 saturated channels: quota used / (155 / (1 + RTT + grace))",
        &mut [rate / ideal],
        0.97,
    );
    report.at_most(
        "40 saturated channels: throttled calls",
        &mut [emulator.throttled()],
        0.0,
    );
    report.at_most("CPU at the full pace, of one core", &mut [cpu], 0.05);
    report.at_most(
        "memory of the process at the full pace, MB",
        &mut [gateway.memory_mb()],
        60.0,
    );
}

/// A lone event on an idle channel: from the producer's send to the emulator's clock.
fn delay(runtime: &tokio::runtime::Runtime, report: &mut Report) {
    let gateway = Gateway::start(&flood_config());
    let (mut delays, mut floors) =
        runtime.block_on(load::delays(&gateway, &format!("{ARN}/flood1"), 120));
    delays.sort_by(f64::total_cmp);
    floors.sort_by(f64::total_cmp);
    let p99 = |sorted: &[f64]| sorted[sorted.len() * 99 / 100];
    report.plain("lone event to the API, p99 ms", &mut [p99(&delays)]);
    report.plain(
        "floor: a PutMetadata straight to the emulator, p99 ms",
        &mut [p99(&floors)],
    );
    report.at_most(
        "lone event on an idle channel: added, p99 ms",
        &mut [p99(&delays) - p99(&floors)],
        2.0,
    );
}

/// What a known channel costs while it is idle.
fn memory(runtime: &tokio::runtime::Runtime, report: &mut Report) {
    let config = "[upstream]\nmode = \"local\"\n[channels]\nallow_unlisted = true\n";
    let gateway = Gateway::start(config);
    let touch = |range: std::ops::Range<usize>| {
        for channel in range {
            let path = format!("/v1/channels/{ARN}%2Fm{channel}");
            let request = load::get(&path);
            runtime.block_on(load::once(gateway.producers, &request));
        }
    };
    touch(0..200);
    let before = gateway.memory_mb();
    let count = 20_000;
    touch(200..200 + count);
    let each = (gateway.memory_mb() - before) * 1_048_576.0 / load::float(count);
    report.at_most("an idle known channel, bytes", &mut [each], 1024.0);
}

/// `Duration` in float nanoseconds.
trait Nanos {
    fn as_nanos_f64(&self) -> f64;
}

impl Nanos for Duration {
    fn as_nanos_f64(&self) -> f64 {
        self.as_secs_f64() * 1e9
    }
}
