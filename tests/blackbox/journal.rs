//! What is accepted is there after the process was killed: events as they were, ids, merges,
//! order; and what the journal's tools say of it.

mod damage;
mod disk;
mod fixture;
mod replays;
mod shim;
mod texts;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::http::send;
use crate::support::metrics::same;
use crate::support::process::{Ended, Gateway, arn, command, local, run};
use crate::support::{SOON, eventually};

/// Lives of a gateway on one journal.
struct Journal {
    directory: tempfile::TempDir,
    /// Where it is, if not in the directory.
    at: Option<PathBuf>,
    rest: String,
}

impl Journal {
    fn new(rest: &str) -> Self {
        Self {
            directory: tempfile::tempdir().expect("a directory"),
            at: None,
            rest: rest.to_owned(),
        }
    }

    fn path(&self) -> PathBuf {
        self.at
            .clone()
            .unwrap_or_else(|| self.directory.path().join("journal"))
    }

    fn config(&self) -> String {
        let config = format!(
            "[journal]\ndir = \"{}\"\n[channel_defaults]\nttl_ms = 600000\n{}",
            self.path().display(),
            self.rest
        );
        local(&config, &[("quiz", ""), ("b", "")])
    }

    fn start(&self) -> Gateway {
        Gateway::start(&self.config())
    }

    fn tool(&self, what: &str) -> Ended {
        run(command().args(["journal", what]).arg(self.path()), "")
    }

    fn exported(&self) -> Vec<Value> {
        let exported = self.tool("export");
        assert_eq!(exported.code, Some(0), "{exported:?}");
        let lines = exported.out.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }
}

fn kill(mut gateway: Gateway) {
    gateway.process.signal("KILL");
    gateway.process.wait(SOON);
}

#[test]
fn events_come_back_as_they_were() {
    let journal = Journal::new("");
    let first = journal.start();
    first.pause("quiz");
    first.publish("quiz", r#"{"data":1,"id":"a"}"#);
    for votes in [1, 2, 3] {
        let event = format!(r#"{{"data":{{"n":{votes}.50}},"key":"votes","merge":"sum"}}"#);
        first.publish("quiz", &event);
    }
    first.publish("quiz", r#"{"data":"low","priority":"low"}"#);
    first.publish("quiz", r#"{"data":"high","priority":"high","type":"t"}"#);
    first.publish("quiz", r#"{"data":"gone","id":"gone"}"#);
    let cancel = first.request("DELETE", "/v1/channels/quiz/events/gone");
    assert_eq!(cancel.status, 204, "{cancel:?}");
    first.publish("quiz", r#"{"data":"over","ttl_ms":1}"#);
    kill(first);

    let listed = journal.tool("list");
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert!(listed.out.contains("channel/quiz"), "{}", listed.out);
    let checked = journal.tool("check");
    assert_eq!(checked.code, Some(0), "{checked:?}");
    // Four, or five with the one whose time is over, if nobody looked at it since.
    let kept = checked.out.strip_prefix("ok: ").and_then(|rest| {
        let (number, _) = rest.split_once(' ')?;
        number.parse::<f64>().ok()
    });
    let kept = kept.unwrap_or_else(|| panic!("{}", checked.out));
    let exported: Vec<Value> = journal
        .exported()
        .iter()
        .map(|event| event["data"].clone())
        .collect();
    assert_eq!(
        exported,
        [json!(1), json!({"n": 7.5}), json!("low"), json!("high")]
    );

    let second = journal.start();
    let duplicate = second.publish("quiz", r#"{"data":1,"id":"a"}"#);
    assert_eq!(duplicate["duplicates"], 1, "{duplicate}");
    let cancelled = second.request("DELETE", "/v1/channels/quiz/events/gone");
    assert_eq!(cancelled.status, 204, "it is remembered: {cancelled:?}");
    second.resume("quiz");
    second.drained("quiz");
    let items: Vec<Value> = second
        .taken("quiz")
        .iter()
        .flat_map(|payload| {
            let payload: Value = serde_json::from_str(payload).expect("JSON");
            payload["e"].as_array().expect("items").clone()
        })
        .collect();
    let expected = json!([
        {"t": "t", "d": "high"},
        {"d": 1},
        {"k": "votes", "m": "sum", "d": {"n": 7.5}},
        {"d": "low"},
    ]);
    assert_eq!(Value::from(items), expected);
    let metrics = second.scrape();
    assert!(same(
        metrics.get(r#"cuegate_events_recovered_total{channel="quiz"}"#),
        kept
    ));
    metrics.check_books(true);
    kill(second);
    assert_eq!(journal.exported(), Vec::<Value>::new());
    kill(journal.start());
}

#[test]
fn what_a_drain_leaves_goes_out_at_the_next_start() {
    let journal = Journal::new("[server]\ndrain_timeout_ms = 100\n");
    let mut first = journal.start();
    first.pause("quiz");
    first.publish("quiz", r#"[{"data":1},{"data":2}]"#);
    first.process.signal("TERM");
    let (status, log) = first.process.wait(SOON);
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("kept=2"), "{log}");
    let second = journal.start();
    second.resume("quiz");
    second.drained("quiz");
    assert_eq!(second.taken("quiz").len(), 1);
}

#[test]
fn one_process_holds_it() {
    let journal = Journal::new("");
    let holder = journal.start();
    let refused = journal.tool("check");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let pid = holder.process.id().to_string();
    assert!(refused.err.contains(&pid), "{}", refused.err);
    drop(holder);
    let checked = journal.tool("check");
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

#[test]
fn dead_letters_are_kept_replayed_and_purged() {
    let journal = Journal::new("");
    let first = journal.start();
    first
        .emulator
        .faults(r#"{"kind":"error","status":403,"code":"AccessDeniedException","probability":1}"#);
    first.publish("quiz", r#"{"data":{"a":1.0},"id":"x","key":"k"}"#);
    first.publish("b", r#"{"data":2}"#);
    first.drained("quiz");
    first.drained("b");
    kill(first);

    let second = journal.start();
    let dead = |gateway: &Gateway, what: &[&str]| {
        let admin = format!("http://{}", gateway.admin);
        let ended = run(
            command()
                .arg("dead-letters")
                .args(what)
                .args(["--admin-url", &admin]),
            "",
        );
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.out
    };
    let listed = dead(&second, &["list", "--channel", "quiz"]);
    let letter: Value = serde_json::from_str(&listed).unwrap_or_else(|e| panic!("{e}: {listed}"));
    assert_eq!(letter["reason"], "access_denied", "{letter}");
    assert_eq!(letter["error"]["code"], "AccessDeniedException", "{letter}");
    assert_eq!(letter["channel"], arn("quiz"), "{letter}");
    assert_eq!(letter["alias"], "quiz", "{letter}");
    // The same moment, for people and for programs.
    let at = letter["at"].as_str().expect("RFC 3339");
    let ms = letter["at_ms"].as_u64().expect("milliseconds");
    let seconds = format!("{:02}.{:03}Z", ms / 1000 % 60, ms % 1000);
    assert!(at.starts_with("20") && at.len() == 24, "{at}");
    assert!(at.ends_with(&seconds), "{at} {ms}");
    assert!(listed.contains(r#""data":{"a":1.0}"#), "{listed}");
    assert!(same(second.scrape().get("cuegate_dead_letters"), 2.0));
    let replayed = dead(&second, &["replay", "--channel", "quiz"]);
    assert_eq!(replayed.trim(), r#"{"replayed":1,"refused":[]}"#);
    second.drained("quiz");
    assert_eq!(second.taken("quiz").len(), 1);
    assert_eq!(dead(&second, &["purge"]).trim(), r#"{"purged":1}"#);
    kill(second);

    let third = journal.start();
    assert!(same(third.scrape().get("cuegate_dead_letters"), 0.0));
    third.scrape().check_books(true);
}

/// What the API said before a restart is with an event that dies after it: no call is made in
/// between that could say it again.
#[test]
fn the_last_error_survives_a_restart() {
    let journal = Journal::new("");
    let first = journal.start();
    first
        .emulator
        .faults(r#"{"kind":"error","status":503,"code":"ServiceUnavailable","probability":1}"#);
    first.publish("quiz", r#"{"data":1,"ttl_ms":4000}"#);
    let code = |gateway: &Gateway| {
        let error = &gateway.status("quiz")["last_error"];
        (error["code"] == "ServiceUnavailable").then_some(())
    };
    eventually("a call failed", || code(&first));
    // Neither process calls any more.
    first.pause("quiz");
    // What was said before is on the disk with it.
    first.publish("b", r#"{"data":2}"#);
    kill(first);
    let second = journal.start();
    eventually("the channel's status has it", || code(&second));
    let letters = || {
        let path = "/admin/dead-letters?channel=quiz";
        send(second.admin, "GET", path, &[], b"").json()["dead_letters"].clone()
    };
    let letters = eventually("the event is dead", || {
        let letters = letters();
        letters[0].is_object().then_some(letters)
    });
    assert_eq!(
        letters[0]["error"]["code"], "ServiceUnavailable",
        "{letters}"
    );
}

/// A start that finds much on the disk and little alive writes the journal anew.
#[test]
fn dead_letters_outlive_a_start_that_saves_space() {
    let journal = Journal::new("queue_max_bytes = 4194304\n");
    let small = [("CUEGATE__JOURNAL__MAX_BYTES", "1048576")];
    let start = || Gateway::start_with(&journal.config(), &small);
    let first = start();
    let refusal = r#"{"kind":"error","status":403,"code":"AccessDeniedException"}"#;
    first.emulator.faults(refusal);
    first.publish("b", r#"{"data":"dead"}"#);
    first.drained("b");
    first.pause("quiz");
    let event = format!(r#"{{"data":"{}"}}"#, "x".repeat(900));
    let body = format!("[{}]", vec![event; 50].join(","));
    for _ in 0..9 {
        first.publish("quiz", &body);
    }
    let purged = first.request("DELETE", "/v1/channels/quiz/events?all=true");
    assert_eq!(purged.json()["cancelled"], 450, "{purged:?}");
    kill(first);
    for _ in 0..2 {
        let next = start();
        assert!(same(next.scrape().get("cuegate_dead_letters"), 1.0));
        kill(next);
    }
}

/// Nothing more is accepted, deliveries go on, and acceptance comes back by itself.
#[test]
fn a_full_journal_is_overload_and_passes() {
    let journal = Journal::new("");
    let config = format!(
        "[journal]\ndir = \"{}\"\nmax_bytes = 1048576\n[channel_defaults]\nttl_ms = 600000\nqueue_max_bytes = 4194304",
        journal.path().display()
    );
    let gateway = Gateway::start(&local(&config, &[("quiz", "")]));
    gateway.pause("quiz");
    let event = format!(r#"{{"data":"{}"}}"#, "x".repeat(900));
    let body = format!("[{}]", vec![event; 50].join(","));
    let mut accepted = 0;
    let refused = loop {
        let answer = gateway.post("/v1/channels/quiz/events", &body);
        if answer.status != 202 {
            break answer;
        }
        accepted += 50;
        assert!(accepted < 5000, "it never fills");
    };
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.json()["code"], "overloaded", "{refused:?}");
    assert!(refused.header("retry-after").parse::<u64>().is_ok());
    let ready = send(gateway.metrics, "GET", "/readyz", &[], b"");
    assert_eq!(ready.status, 503, "{ready:?}");
    assert!(ready.json()["journal"].is_string(), "{ready:?}");
    let used = gateway.scrape().get("cuegate_journal_bytes");
    assert!(used <= 1_048_576.0 * 1.25, "{used} bytes");
    let purged = gateway.request("DELETE", "/v1/channels/quiz/events?all=true");
    assert_eq!(purged.json()["cancelled"], accepted, "{purged:?}");
    eventually("events are accepted again", || {
        let answer = gateway.post("/v1/channels/quiz/events", r#"{"data":1}"#);
        (answer.status == 202).then_some(())
    });
    gateway.scrape().check_books(false);
}

/// Every byte of the log but the last write's: the start says so and changes nothing.
#[test]
fn damage_stops_the_start() {
    let journal = Journal::new("");
    let first = journal.start();
    first.pause("quiz");
    for n in 0..20 {
        first.publish("quiz", &format!(r#"{{"data":"event-{n}"}}"#));
    }
    kill(first);
    let log = log_file(&journal.path());
    let whole = std::fs::read(&log).expect("the log");
    let at = memchr_str(&whole, b"event-3").expect("its text");
    let mut damaged = whole.clone();
    damaged[at] ^= 0xff;
    std::fs::write(&log, &damaged).expect("written");
    for what in ["check", "list"] {
        let refused = journal.tool(what);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.err.contains("damaged"), "{}", refused.err);
        assert!(refused.err.contains("move"), "{}", refused.err);
    }
    assert_eq!(std::fs::read(&log).expect("the log"), damaged);
    std::fs::write(&log, &whole).expect("written");
    assert_eq!(journal.exported().len(), 20);
}

pub fn log_file(journal: &Path) -> PathBuf {
    let generation = std::fs::read_to_string(journal.join("current")).expect("a generation");
    let directory = std::fs::read_dir(journal.join(generation.trim())).expect("its files");
    directory
        .map(|entry| entry.expect("a file").path())
        .find(|path| path.extension().is_some_and(|e| e == "jnl"))
        .expect("a log")
}

fn memchr_str(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// With one more write that was cut off at any byte, which nobody was promised: it opens, and
/// everything before is there.
#[test]
fn a_torn_write_loses_nothing_else() {
    let journal = Journal::new("");
    let first = journal.start();
    first.pause("quiz");
    first.publish("quiz", r#"{"data":"promised"}"#);
    let before = used(&std::fs::read(log_file(&journal.path())).expect("the log"));
    first.publish("quiz", r#"{"data":"last"}"#);
    kill(first);
    let log = log_file(&journal.path());
    let whole = std::fs::read(&log).expect("the log");
    let end = used(&whole);
    assert!(before < end, "{before} {end}");
    for length in (1..end - before).step_by(29) {
        let mut torn = whole.clone();
        torn.copy_within(before..before + length, end);
        std::fs::write(&log, &torn).expect("written");
        let checked = journal.tool("check");
        assert!(checked.out.contains("torn"), "{checked:?}");
        let events = journal.exported();
        let texts: Vec<_> = events.iter().map(|event| event["data"].clone()).collect();
        assert_eq!(texts, ["promised", "last"], "cut after {length} bytes");
        assert_eq!(std::fs::read(&log).expect("the log"), torn);
    }
    let second = journal.start();
    assert_eq!(second.status("quiz")["queued"], 2);
}

/// Bytes before the zeros that are laid out ahead.
pub fn used(log: &[u8]) -> usize {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut end = log.len();
    while end >= ZEROS.len() && log[end - ZEROS.len()..end] == ZEROS {
        end -= ZEROS.len();
    }
    let last = log[..end].iter().rposition(|b| *b != 0);
    last.map_or(0, |last| last + 1)
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("its files") {
        let entry = entry.expect("a file");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("its type").is_dir() {
            copy_all(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("copied");
        }
    }
}

/// The next process waits until the API counts no call of the one that was killed.
#[test]
fn a_killed_process_leaves_its_tokens_out() {
    // Two seconds in all, so that a slow start sees it.
    let journal = Journal::new("[tuning]\ngrace_ms = 1000\n");
    let first = journal.start();
    first.publish("quiz", r#"{"data":1}"#);
    first.drained("quiz");
    kill(first);
    let second = journal.start();
    let tokens = |gateway: &Gateway| gateway.status("quiz")["tokens"]["available"].clone();
    assert_eq!(tokens(&second), 0);
    eventually("they are back", || (tokens(&second) == 5).then_some(()));
    // A clean end does not make the next start wait.
    let mut second = second;
    second.process.signal("TERM");
    let (status, log) = second.process.wait(SOON + Duration::from_secs(2));
    assert_eq!(status.code(), Some(0), "{log}");
    let third = journal.start();
    assert_eq!(tokens(&third), 5);
}
