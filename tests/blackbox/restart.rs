//! One process after another on the same channels: what the API and players see of that.

use std::net::SocketAddr;

use crate::support::emulator::Emulator;
use crate::support::payloads::{data, played};
use crate::support::process::{Gateway, arn};
use crate::support::{SOON, eventually};

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

/// A process that cannot know whether the last one ended cleanly holds its tokens: without a
/// journal always, with a fresh one once. The emulator of local mode begins with its process.
#[test]
fn who_knows_of_no_past_holds_its_tokens() {
    let emulator = Emulator::start(&[]);
    let quiz = arn("quiz");
    emulator.api.stream(&quiz, "live");
    let held = |gateway: &Gateway| gateway.status("quiz")["tokens"]["available"] == 0;
    let dir = tempfile::tempdir().expect("a directory");
    let journal = dir.path().join("journal");
    let start = |mode: &str, journal_mode: &str, hold_ms: u32| {
        Gateway::start(&format!(
            "[upstream]\nmode = \"{mode}\"\n{}\
            [journal]\nmode = \"{journal_mode}\"\ndir = \"{}\"\n\
            [tuning]\nrestart_hold_ms = {hold_ms}\n\
            [[channel]]\nname = \"quiz\"\narn = \"{quiz}\"\n",
            if mode == "aws" {
                format!("endpoint_url = \"http://{}\"\n", emulator.api.0)
            } else {
                String::new()
            },
            journal.display(),
        ))
    };
    let ended = |mut gateway: Gateway| {
        gateway.process.signal("TERM");
        assert_eq!(gateway.process.wait(SOON).0.code(), Some(0));
    };
    for _ in 0..2 {
        let gateway = start("aws", "off", 60_000);
        assert!(held(&gateway));
        ended(gateway);
    }
    let gateway = start("local", "off", 60_000);
    assert!(!held(&gateway));
    ended(gateway);
    let gateway = start("aws", "os", 4000);
    assert!(held(&gateway), "a fresh directory");
    // An end while tokens are out is no clean one.
    eventually("they are back", || (!held(&gateway)).then_some(()));
    ended(gateway);
    let gateway = start("aws", "os", 60_000);
    assert!(!held(&gateway), "the last one ended cleanly");
    ended(gateway);
    std::fs::remove_dir_all(&journal).expect("removed");
    assert!(!held(&start("local", "os", 60_000)));
}
