//! The state of a channel is the fold of what its stream took, whatever happened on the way: payloads
//! that are packed anew, refused, replayed, lost, late or sent again, and a gateway that is killed.

mod taken_over;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::support::emulator::Emulator;
use crate::support::http::send;
use crate::support::process::{Gateway, arn};
use crate::support::{SOON, eventually};

type State = BTreeMap<String, Value>;

/// A gateway, and an emulator that outlives it. A kilobyte has 1,000 bytes there.
struct Stage {
    emulator: Emulator,
    directory: tempfile::TempDir,
    gateway: Gateway,
    sent: u64,
}

fn config(emulator: &Emulator, directory: &tempfile::TempDir) -> String {
    format!(
        "[upstream]\nmode = \"aws\"\nendpoint_url = \"http://{}\"\n[journal]\ndir = \"{}\"\n\
         [[channel]]\nname = \"quiz\"\narn = \"{}\"\nttl_ms = 60000\nkeyframes = true\nstate_idle_ms = 100\n",
        emulator.api.0,
        directory.path().join("journal").display(),
        arn("quiz")
    )
}

impl Stage {
    fn new() -> Self {
        let emulator = Emulator::start(&["--payload-max-bytes", "1000"]);
        emulator.api.stream(&arn("quiz"), "live");
        let directory = tempfile::tempdir().expect("a directory");
        let gateway = Gateway::start(&config(&emulator, &directory));
        Self {
            emulator,
            directory,
            gateway,
            sent: 0,
        }
    }

    /// Events of every merge, over a few keys.
    fn publish(&mut self, events: u64, ttl_ms: u64) {
        let mut body = String::new();
        for _ in 0..events {
            let nth = self.sent;
            self.sent += 1;
            let (merge, data) = match nth % 5 {
                0 => ("sum", format!(r#"{{"a":{nth},"b":1}}"#)),
                1 => ("max", (nth % 17).to_string()),
                2 => ("min", (100 - nth % 13).to_string()),
                3 => (
                    "patch",
                    format!(r#"{{"f{}":{nth},"f{}":null}}"#, nth % 4, nth % 3),
                ),
                _ => ("replace", format!(r#""{nth} {}""#, "x".repeat(90))),
            };
            let key = format!("{merge} {}", nth % 7);
            let comma = if body.is_empty() { "" } else { "," };
            let _ = write!(
                body,
                r#"{comma}{{"data":{data},"key":"{key}","merge":"{merge}","ttl_ms":{ttl_ms}}}"#
            );
        }
        self.gateway.publish("quiz", &format!("[{body}]"));
    }

    fn is_state(&self, state: &str) {
        eventually(&format!("the channel is {state}"), || {
            (self.gateway.status("quiz")["state"] == state).then_some(())
        });
    }

    /// Nothing is on its way any more, and both say the same.
    fn check(&self, after: &str) {
        self.gateway.drained("quiz");
        let answer = self.gateway.request("GET", "/v1/channels/quiz/state");
        assert_eq!(answer.status, 200, "{answer:?}");
        let told = answer.json();
        let entries = told["s"].as_array().expect("entries").iter();
        let state: State = entries
            .map(|entry| (text(&entry["k"]), entry["d"].clone()))
            .collect();
        assert!(!state.is_empty(), "{after}");
        let taken = self.emulator.api.metadata(&arn("quiz"));
        let taken = taken.iter().map(|taken| taken.text.as_str());
        assert_eq!(state, fold(taken), "after {after}");
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// What these payloads make, each number once.
fn fold<'a>(payloads: impl Iterator<Item = &'a str>) -> State {
    let (mut state, mut seen) = (State::new(), BTreeSet::new());
    for payload in payloads {
        let payload: Value = serde_json::from_str(payload).expect("JSON");
        if !seen.insert(payload["n"].as_u64().expect("a number")) {
            continue;
        }
        for entry in payload["s"].as_array().into_iter().flatten() {
            if entry["x"] == 1 {
                state.remove(&text(&entry["k"]));
            }
        }
        for item in payload["e"].as_array().expect("items") {
            let (key, data) = (text(&item["k"]), &item["d"]);
            let merge = item["m"].as_str().unwrap_or("replace");
            let value = merged(merge, state.get(&key), data);
            state.insert(key, value);
        }
    }
    state
}

fn merged(merge: &str, held: Option<&Value>, data: &Value) -> Value {
    let number = |a: &Value, b: &Value| {
        let (a, b) = (a.as_u64().expect("a number"), b.as_u64().expect("a number"));
        match merge {
            "sum" => json!(a + b),
            "max" => json!(a.max(b)),
            _ => json!(a.min(b)),
        }
    };
    match (merge, held, data) {
        ("replace", ..) => data.clone(),
        ("patch", held, Value::Object(patch)) => {
            let held = held.and_then(Value::as_object);
            let mut made: Map<String, Value> = held.cloned().unwrap_or_default();
            for (name, value) in patch {
                if value.is_null() {
                    made.remove(name);
                } else {
                    made.insert(name.clone(), value.clone());
                }
            }
            Value::Object(made)
        }
        (_, None, data) => data.clone(),
        (_, Some(Value::Object(held)), Value::Object(data)) => {
            let mut made = held.clone();
            for (name, value) in data {
                let sum = made.get(name).map(|held| number(held, value));
                made.insert(name.clone(), sum.unwrap_or_else(|| value.clone()));
            }
            Value::Object(made)
        }
        (_, Some(held), data) => number(held, data),
    }
}

#[test]
fn the_state_is_the_fold_of_what_the_stream_took() {
    let mut stage = Stage::new();
    let api = stage.emulator.api;

    stage.gateway.pause("quiz");
    stage.publish(60, 60_000);
    stage.is_state("paused");
    stage.gateway.resume("quiz");
    stage.check("a pause, and payloads packed anew for 1,000 bytes");
    assert!(api.report()["all"]["oversize"].as_u64() >= Some(1));

    api.faults(r#"{"kind":"error","status":403,"code":"AccessDeniedException"}"#);
    stage.publish(20, 60_000);
    stage.check("a refusal");
    api.no_faults();
    let replayed = send(stage.gateway.admin, "POST", "/admin/dead-letters", &[], b"");
    assert_eq!(replayed.status, 200, "{replayed:?}");
    assert!(
        replayed.json()["replayed"].as_u64() >= Some(1),
        "{replayed:?}"
    );
    stage.check("a replay");

    api.stream(&arn("quiz"), "offline");
    stage.publish(10, 60_000);
    stage.is_state("offline");
    stage.publish(10, 300);
    eventually("those with a short life are over", || {
        (stage
            .gateway
            .scrape()
            .get(r#"cuegate_events_expired_total{channel="quiz"}"#)
            > 0.5)
            .then_some(())
    });
    api.stream(&arn("quiz"), "live");
    stage.check("an encoder that left and came back");

    api.faults(r#"{"kind":"reply_lost"}"#);
    let calls = api.faults_hit();
    stage.publish(20, 60_000);
    eventually("calls whose answers are lost", || {
        (api.faults_hit() > calls + 1).then_some(())
    });
    stage.gateway.process.signal("KILL");
    stage.gateway.process.wait(SOON);
    api.no_faults();
    stage.gateway = Gateway::start(&config(&stage.emulator, &stage.directory));
    stage.check("a kill, with payloads that are sent again");
    stage.publish(20, 60_000);
    stage.check("all of it");
    stage.gateway.scrape().check_books(true);
}
