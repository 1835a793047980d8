//! One process after another on the same channels: what the API and players see of that.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::support::emulator::Emulator;
use crate::support::payloads::{data, played};
use crate::support::process::{Gateway, arn};
use crate::support::{SOON, eventually, seed, within};

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

/// Lives of a gateway that is killed, on one journal and before one API.
struct Killed {
    emulator: Emulator,
    dir: tempfile::TempDir,
    /// `[tuning]`.
    max_in_flight: u32,
    abandon_ms: u32,
}

impl Killed {
    fn new(max_in_flight: u32, abandon_ms: u32) -> Self {
        let emulator = Emulator::start(&[]);
        emulator.api.stream(&arn("quiz"), "live");
        Self {
            emulator,
            dir: tempfile::tempdir().expect("a directory"),
            max_in_flight,
            abandon_ms,
        }
    }

    fn journal(&self) -> PathBuf {
        self.dir.path().join("journal")
    }

    /// A life that holds back for so long if the journal does not tell of the one before.
    fn start(&self, restart_hold_ms: u32) -> Gateway {
        Gateway::start(&format!(
            "[upstream]\nmode = \"aws\"\nendpoint_url = \"http://{}\"\ncall_timeout_ms = 4000\n\
            [tuning]\nrestart_hold_ms = {restart_hold_ms}\nabandon_ms = {}\n\
            max_in_flight_per_channel = {}\n[journal]\ndir = \"{}\"\n\
            [[channel]]\nname = \"quiz\"\narn = \"{}\"\nttl_ms = 600000\n",
            self.emulator.api.0,
            self.abandon_ms,
            self.max_in_flight,
            self.journal().display(),
            arn("quiz"),
        ))
    }

    /// The first life: nothing is known of what was before, so it is held for a second.
    fn begin(&self) -> Gateway {
        let gateway = self.start(1000);
        let answer = gateway.post(
            "/v1/channels/quiz/events?wait=delivered",
            r#"{"data":"first"}"#,
        );
        assert_eq!(answer.status, 200, "{answer:?}");
        gateway
    }

    fn most_in_a_second(&self) -> u64 {
        let report = self.emulator.api.report();
        let most = report["all"]["max_calls_per_second"].as_u64();
        most.unwrap_or_else(|| panic!("{report}"))
    }
}

/// Events that fill a payload each.
fn fill(gateway: &Gateway, count: usize) {
    let event = format!(r#"{{"data":"{}"}}"#, "x".repeat(900));
    gateway.publish("quiz", &format!("[{}]", vec![event; count].join(",")));
}

fn kill(mut gateway: Gateway) {
    gateway.process.kill();
    gateway.process.wait(SOON);
}

fn tokens(gateway: &Gateway) -> u64 {
    let status = gateway.status("quiz");
    let available = status["tokens"]["available"].as_u64();
    available.unwrap_or_else(|| panic!("{status}"))
}

/// The journal tells which calls may still be handled, so that only their tokens are withheld for
/// longer than a second.
#[test]
fn a_killed_process_is_followed_after_a_second() {
    let lives = Killed::new(2, 5000);
    let first = lives.begin();
    eventually("the token is back", || (tokens(&first) == 5).then_some(()));
    let late = r#"{"kind":"latency","when":"before","latency":{"fixed_ms":3500}}"#;
    lives.emulator.api.faults(late);
    fill(&first, 2);
    eventually("the API has two calls", || {
        (lives.emulator.api.faults_hit() == 2).then_some(())
    });
    kill(first);
    lives.emulator.api.no_faults();

    // If it had to hold back blindly it would make no call before this test ends.
    let second = lives.start(60_000);
    second.process.logged("open=2");
    fill(&second, 20);
    second.drained("quiz");
    // Its own, and the two of before, which were handled after they were sent again.
    let taken = lives.emulator.api.metadata(&arn("quiz"));
    assert_eq!(taken.len(), 1 + 2 + 2 + 20);
    let most = lives.most_in_a_second();
    assert!(most <= 5, "{most} calls in one second of both processes");
    eventually("every token is back", || {
        (tokens(&second) == 5).then_some(())
    });
}

/// Whenever it is killed, with calls under way that are handled later, and others that are retried.
#[test]
fn many_kills_keep_the_limit() {
    let mut random = fastrand::Rng::with_seed(seed());
    let lives = Killed::new(3, 3000);
    let mut gateway = lives.begin();
    // Nothing is handled later than `abandon_ms` after a kill.
    lives.emulator.api.faults(
        r#"[{"kind":"latency","when":"before","latency":{"uniform_ms":[0,2500]}},
        {"kind":"error","status":500,"code":"InternalServerException","probability":0.2}]"#,
    );
    for _ in 0..6 {
        fill(&gateway, 6);
        std::thread::sleep(Duration::from_millis(random.u64(..3000)));
        kill(gateway);
        gateway = lives.start(60_000);
    }
    lives.emulator.api.no_faults();
    within(3 * SOON, "everything has left", || {
        (gateway.status("quiz")["queued"] == 0).then_some(())
    });
    let most = lives.most_in_a_second();
    assert!(most <= 5, "{most} calls in one second of two processes");
}
