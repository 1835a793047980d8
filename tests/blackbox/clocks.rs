//! A wall clock that is set by an hour before, while and after events wait: what is promised in
//! time holds. Needs libfaketime, as `run-tests` has it; without it there is nothing to see.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::support::http::send;
use crate::support::metrics::same;
use crate::support::payloads::{data, played};
use crate::support::process::{Gateway, local};
use crate::support::wall_clock::WallClock;
use crate::support::{SOON, eventually};

/// In seconds.
const HOUR: i32 = 3600;

/// Lives of a gateway on one journal, under one wall clock.
struct Lives {
    clock: WallClock,
    directory: tempfile::TempDir,
}

impl Lives {
    fn new() -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = WallClock::new(directory.path().join("clock"))?;
        Some(Self { clock, directory })
    }

    fn start(&self) -> Gateway {
        let dir = self.directory.path().join("journal");
        let rest = format!(
            "[journal]\ndir = \"{}\"\n[channel_defaults]\nttl_ms = 600000\n",
            dir.display()
        );
        let config = local(&rest, &[("quiz", "")]);
        Gateway::start_with(&config, &self.clock.environment())
    }

    /// Sets the clock so many seconds off under a gateway, and waits until it says so.
    fn set(&self, gateway: &Gateway, seconds: i32) {
        let told = || {
            gateway
                .process
                .log()
                .matches("the wall clock was set")
                .count()
        };
        let before = told();
        self.clock.set(seconds);
        eventually("it says that the clock was set", || {
            (told() > before).then_some(())
        });
    }
}

fn kill(mut gateway: Gateway) {
    gateway.process.kill();
    gateway.process.wait(SOON);
}

/// The true wall clock, in ms.
fn real_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_millis()).expect("this century")
}

fn ten(nth: i64) -> String {
    let events = (0..10).map(|i| format!(r#"{{"data":{0},"id":"i{0}"}}"#, nth * 10 + i));
    format!("[{}]", events.collect::<Vec<_>>().join(","))
}

/// Events and ids of before and after the step are there in the next life, and in the one after.
#[test]
fn events_and_ids_outlive_a_clock_that_is_set() {
    for (before, during, after) in [(-HOUR, 0, 0), (0, HOUR, -HOUR)] {
        let Some(lives) = Lives::new() else { return };
        lives.clock.set(before);
        let first = lives.start();
        first.pause("quiz");
        first.publish("quiz", &ten(0));
        lives.set(&first, during);
        first.publish("quiz", &ten(1));
        kill(first);
        lives.clock.set(after);
        let second = lives.start();
        second.pause("quiz");
        let metrics = second.scrape();
        let expired = metrics.get(r#"cuegate_events_expired_total{channel="quiz"}"#);
        assert!(
            expired < 0.5,
            "{before} {during} {after}: {expired} expired"
        );
        for nth in 0..2 {
            let again = second.publish("quiz", &ten(nth));
            assert_eq!(
                again["duplicates"], 10,
                "{before} {during} {after}: {again}"
            );
        }
        second.resume("quiz");
        second.drained("quiz");
        let taken = second.taken("quiz");
        assert_eq!(data(taken.iter().map(String::as_str)).len(), 20);
        kill(second);
        let third = lives.start();
        let again = third.publish("quiz", &ten(0));
        assert_eq!(
            again["duplicates"], 10,
            "{before} {during} {after}: {again}"
        );
    }
}

/// `at` is a moment of the wall clock, and stays so.
#[test]
fn a_scheduled_event_follows_a_clock_that_is_set() {
    let Some(lives) = Lives::new() else { return };
    let hour = i64::from(HOUR) * 1000;
    lives.clock.set(-HOUR);
    let gateway = lives.start();
    // Half an hour ahead by the wrong clock: by the right one it is overdue.
    let overdue = real_ms() - hour / 2;
    gateway.publish("quiz", &format!(r#"{{"data":"overdue","at":{overdue}}}"#));
    assert_eq!(gateway.status("quiz")["queued"], 1);
    lives.set(&gateway, 0);
    let set = Instant::now();
    gateway.drained("quiz");
    assert!(
        set.elapsed() < Duration::from_secs(5),
        "{:?}",
        set.elapsed()
    );
    assert_eq!(gateway.taken("quiz").len(), 1);

    // One that comes soon, and then only in an hour: over a kill, too.
    let soon = real_ms() + 3000;
    gateway.publish("quiz", &format!(r#"{{"data":"soon","at":{soon}}}"#));
    lives.set(&gateway, -HOUR);
    let wait = u64::try_from(soon + 300 - real_ms()).unwrap_or(0);
    std::thread::sleep(Duration::from_millis(wait));
    assert_eq!(gateway.taken("quiz").len(), 1, "it is an hour ahead");
    kill(gateway);
    let gateway = lives.start();
    assert_eq!(gateway.status("quiz")["queued"], 1);
    lives.set(&gateway, 0);
    gateway.drained("quiz");
    assert_eq!(gateway.taken("quiz").len(), 1);
}

/// When an event died is right once the clock is: while the process lives, and in the next one.
#[test]
fn dead_letters_follow_a_clock_that_is_set() {
    for (before, during, after) in [(-HOUR, 0, HOUR), (0, HOUR, -HOUR)] {
        let Some(lives) = Lives::new() else { return };
        lives.clock.set(before);
        let first = lives.start();
        let refusal = r#"{"kind":"error","status":403,"code":"AccessDeniedException"}"#;
        first.emulator.faults(refusal);
        first.publish("quiz", r#"[{"data":"dead","id":"a"}]"#);
        first.drained("quiz");
        let died = real_ms();
        lives.set(&first, during);
        is_dead_since(&first, died + i64::from(during) * 1000);
        kill(first);
        lives.clock.set(after);
        let second = lives.start();
        is_dead_since(&second, died + i64::from(after) * 1000);
        lives.set(&second, 0);
        is_dead_since(&second, died);
        let replayed = send(second.admin, "POST", "/admin/dead-letters", &[], b"").json();
        assert_eq!(replayed["replayed"], 1, "{replayed}");
        second.drained("quiz");
        assert_eq!(second.taken("quiz").len(), 1);
        kill(second);
        let third = lives.start();
        assert!(same(third.scrape().get("cuegate_dead_letters"), 0.0));
        let again = third.publish("quiz", r#"{"data":"dead","id":"a"}"#);
        assert_eq!(again["duplicates"], 1, "{again}");
    }
}

/// The only dead letter died at about that moment, by the gateway's own clock.
fn is_dead_since(gateway: &Gateway, expected_ms: i64) {
    // The letters are corrected a moment after the clock was set.
    eventually("the letter has its moment", || {
        let letters = send(gateway.admin, "GET", "/admin/dead-letters", &[], b"").json();
        let at = letters["dead_letters"][0]["at_ms"].as_i64();
        ((at.expect("a letter") - expected_ms).abs() < 60_000).then_some(())
    });
}

#[test]
fn numbers_of_payloads_never_go_back() {
    let Some(lives) = Lives::new() else { return };
    lives.clock.set(HOUR);
    let mut texts = Vec::new();
    for off in [0, -HOUR, HOUR] {
        let gateway = lives.start();
        gateway.publish("quiz", r#"{"data":1}"#);
        gateway.drained("quiz");
        lives.set(&gateway, off);
        gateway.publish("quiz", r#"{"data":2}"#);
        gateway.drained("quiz");
        texts.extend(gateway.taken("quiz"));
        kill(gateway);
    }
    let numbers: Vec<_> = played(texts.iter().map(String::as_str))
        .iter()
        .map(|payload: &Value| payload["n"].as_u64())
        .collect();
    assert_eq!(numbers.len(), 6, "{numbers:?}");
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

/// AWS's SDKs correct their own clock by the `Date` of an answer, and sign by that.
#[test]
fn the_date_of_answers_follows_a_clock_that_is_set() {
    let Some(lives) = Lives::new() else { return };
    let gateway = lives.start();
    // In seconds behind the true clock.
    let behind = || {
        let answer = gateway.request("GET", "/v1/channels/quiz");
        let date = httpdate::parse_http_date(answer.header("date")).expect("a date");
        let since = date.duration_since(UNIX_EPOCH).expect("after 1970");
        real_ms() / 1000 - i64::try_from(since.as_secs()).expect("this century")
    };
    let hour = i64::from(HOUR);
    // Of every thread, in case each has a clock of its own.
    assert!((0..100).all(|_| (0..60).contains(&behind())));
    lives.set(&gateway, -HOUR);
    assert!((0..100).all(|_| (hour..hour + 60).contains(&behind())));
}
