//! One process after another on the same channels: what the API and players see of that.

use std::net::SocketAddr;

use crate::support::SOON;
use crate::support::emulator::Emulator;
use crate::support::payloads::{data, played};
use crate::support::process::{Gateway, arn};

fn start(emulator: SocketAddr) -> Gateway {
    let quiz = arn("quiz");
    Gateway::start(&format!(
        "[upstream]\nmode = \"aws\"\nendpoint_url = \"http://{emulator}\"\n\
        [[channel]]\nname = \"quiz\"\narn = \"{quiz}\"\nttl_ms = 60000\n"
    ))
}

/// Five events, each in a payload of its own.
fn five(gateway: &Gateway) {
    for nth in 0..5 {
        let path = "/v1/channels/quiz/events?wait=delivered";
        let body = format!(r#"{{"data":"{nth}"}}"#);
        assert_eq!(gateway.post(path, &body).status, 200);
    }
}

#[test]
fn a_restart_keeps_the_limit_and_n_grows() {
    let emulator = Emulator::start(&[]);
    emulator.api.stream(&arn("quiz"), "live");
    for _ in 0..2 {
        let mut gateway = start(emulator.api.0);
        five(&gateway);
        gateway.process.signal("TERM");
        assert_eq!(gateway.process.wait(SOON).0.code(), Some(0));
    }
    let taken = emulator.api.metadata(&arn("quiz"));
    let texts = || taken.iter().map(|taken| taken.text.as_str());
    assert_eq!(data(texts()).len(), 10, "a player drops none");
    let numbers: Vec<_> = played(texts())
        .iter()
        .map(|payload| payload["n"].as_u64())
        .collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let report = emulator.api.report();
    let most = report["all"]["max_calls_per_second"].as_u64();
    assert!(most <= Some(5), "in one second of both processes: {report}");
}
