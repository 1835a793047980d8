//! Events in, payloads out, under every kind of trouble the API and the network can make:
//! nothing lost, nothing twice, in order, every payload within the limit, and never more than
//! 5 calls of a channel or 155 of the account in any second, as the API counts them.

mod producers;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::metrics::same;
use crate::support::payloads::{data, played};
use crate::support::process::{Gateway, local};
use crate::support::{seed, within};
use producers::{CHANNELS, Published, load, name};

struct Trouble {
    /// Rules of faults; a seed is added to each.
    rules: Value,
    call_timeout_ms: u32,
    /// The account's own limit must be reached: nothing but latency holds calls back.
    saturates: bool,
}

fn check(mut trouble: Trouble) {
    let seed = seed();
    let rest = format!(
        "call_timeout_ms = {}\n[channel_defaults]\nttl_ms = 600000\nqueue_max_bytes = 10000000\n[tuning]\nabandon_ms = 2500",
        trouble.call_timeout_ms
    );
    let names: Vec<_> = (0..CHANNELS).map(name).collect();
    let channels: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let gateway = Gateway::start(&local(&rest, &channels));
    for (nth, rule) in trouble
        .rules
        .as_array_mut()
        .expect("rules")
        .iter_mut()
        .enumerate()
    {
        rule["seed"] = json!(seed.wrapping_add(nth as u64) >> 1);
    }
    gateway.emulator.faults(&trouble.rules.to_string());
    let published = load(&gateway, seed);
    gateway.emulator.no_faults();
    within(Duration::from_mins(1), "all was sent", || {
        same(gateway.scrape().sum("cuegate_queue_events"), 0.0).then_some(())
    });
    check_payloads(&gateway, &published);
    check_rates(&gateway, trouble.saturates);
    check_metrics(&gateway, &published);
}

fn check_payloads(gateway: &Gateway, published: &Published) {
    for (channel, count) in published {
        let payloads = gateway.taken(channel);
        let texts = || payloads.iter().map(String::as_str);
        assert!(
            texts().all(|text| text.len() <= 1024),
            "{channel}: a payload over the limit"
        );
        let numbers: Vec<_> = played(texts())
            .iter()
            .map(|payload| payload["n"].as_u64())
            .collect();
        assert!(
            numbers.is_sorted_by(|a, b| a < b),
            "{channel}: n does not grow: {numbers:?}"
        );
        let shown: Vec<_> = data(texts())
            .iter()
            .map(|data| data["i"].as_u64().expect("its number"))
            .collect();
        // Lost, twice and out of order all at once: a player shows 0, 1, 2 … and no more.
        let wrong = shown
            .iter()
            .zip(0..)
            .find(|(shown, expected)| *shown != expected);
        assert_eq!(wrong, None, "{channel}: event, and the one expected here");
        assert_eq!(shown.len() as u64, *count, "{channel}");
    }
}

fn check_rates(gateway: &Gateway, saturates: bool) {
    let report = gateway.emulator.report();
    let all = &report["all"];
    println!("{all}, injected {}", report["injected"]);
    let of_channels: Vec<_> = report["channels"]
        .as_object()
        .expect("channels")
        .values()
        .map(|channel| channel["max_calls_per_second"].as_u64().expect("a number"))
        .collect();
    let (account, channel) = (
        all["max_calls_per_second"].as_u64(),
        of_channels.iter().max().copied(),
    );
    assert!(
        account <= Some(155) && channel <= Some(5),
        "{account:?} {channel:?}"
    );
    // How near a busy machine comes to the limits is its own affair.
    let hardly = if saturates { 100 } else { 20 };
    assert!(account > Some(hardly), "hardly a load: {account:?}");
    for wrong in [
        "throttled",
        "oversize",
        "malformed",
        "unauthenticated",
        "denied",
        "not_found",
    ] {
        assert_eq!(all[wrong], 0, "{wrong}: {all}");
    }
}

fn check_metrics(gateway: &Gateway, published: &Published) {
    let metrics = gateway.scrape();
    metrics.check_books(true);
    for (channel, count) in published {
        for name in [
            "cuegate_events_accepted_total",
            "cuegate_events_delivered_total",
        ] {
            let value = metrics.get(&format!(r#"{name}{{channel="{channel}"}}"#));
            let count: f64 = count.to_string().parse().expect("a number");
            assert!(same(value, count), "{name} of {channel}: {value}, {count}");
        }
    }
}

#[test]
fn with_latency_of_0_to_50_ms() {
    let rules = json!([{"kind": "latency", "latency": {"uniform_ms": [0, 50]}}]);
    check(Trouble {
        rules,
        call_timeout_ms: 2000,
        saturates: true,
    });
}

#[test]
fn with_a_heavy_tail_and_calls_given_up() {
    let tail = json!({"median_ms": 15, "p_stall": 0.02, "stall_ms": 1200});
    let rules = json!([{"kind": "latency", "latency": {"heavy_tail": tail}}]);
    check(Trouble {
        rules,
        call_timeout_ms: 400,
        saturates: false,
    });
}

#[test]
fn with_throttles_and_errors() {
    let rules = json!([
        {"kind": "latency", "latency": {"uniform_ms": [0, 50]}},
        {"kind": "throttle", "probability": 0.01},
        {"kind": "error", "status": 500, "code": "InternalServerException", "message": "x", "probability": 0.02, "when": "split"},
        {"kind": "error", "status": 503, "bare": true, "probability": 0.02, "when": "split"},
    ]);
    check(Trouble {
        rules,
        call_timeout_ms: 2000,
        saturates: false,
    });
}

#[test]
fn with_lost_answers_and_broken_connections() {
    let rules = json!([
        {"kind": "latency", "latency": {"uniform_ms": [0, 50]}},
        {"kind": "reply_lost", "probability": 0.03},
        {"kind": "reset", "probability": 0.03},
    ]);
    check(Trouble {
        rules,
        call_timeout_ms: 2000,
        saturates: false,
    });
}

#[test]
fn with_everything_at_once() {
    let tail = json!({"median_ms": 10, "p_stall": 0.005, "stall_ms": 1200});
    let rules = json!([
        {"kind": "latency", "latency": {"heavy_tail": tail}},
        {"kind": "latency", "latency": {"uniform_ms": [0, 50]}},
        {"kind": "throttle", "probability": 0.002},
        {"kind": "error", "status": 500, "code": "InternalServerException", "message": "x", "probability": 0.01},
        {"kind": "error", "status": 503, "bare": true, "probability": 0.01, "when": "split"},
        {"kind": "reply_lost", "probability": 0.01},
        {"kind": "reset", "probability": 0.01},
        {"kind": "hang", "probability": 0.002, "when": "split"},
    ]);
    check(Trouble {
        rules,
        call_timeout_ms: 500,
        saturates: false,
    });
}
