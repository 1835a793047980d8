//! The state of a channel's keys: what operators read of it, what viewers are sent, and that a
//! restart, an offline stream and a deletion leave all of them with the same.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::http::check_problem;
use crate::support::process::{Gateway, arn, local};
use crate::support::{SOON, eventually};

const KEYFRAMES: &str = "keyframes = true\nstate_idle_ms = 100";

/// A gateway with a journal in that directory; `quiz` keeps its state, `plain` does not.
fn gateway(directory: &tempfile::TempDir) -> Gateway {
    let journal = directory.path().join("journal");
    let rest = format!("[journal]\ndir = \"{}\"\n", journal.display());
    Gateway::start(&local(&rest, &[("quiz", KEYFRAMES), ("plain", "")]))
}

/// The values that `GET …/state` tells, by key.
fn state(gateway: &Gateway) -> BTreeMap<String, Value> {
    let answer = gateway.request("GET", "/v1/channels/quiz/state");
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["v"], 1, "{body}");
    let entries = body["s"].as_array().expect("entries").iter();
    entries
        .map(|entry| {
            (
                entry["k"].as_str().expect("a key").to_owned(),
                entry["d"].clone(),
            )
        })
        .collect()
}

fn payloads(gateway: &Gateway) -> Vec<Value> {
    let texts = gateway.taken("quiz");
    let parsed = texts
        .iter()
        .map(|text| serde_json::from_str(text).expect("JSON"));
    parsed.collect()
}

/// What somebody knows who joins at this payload, and whether it is whole: entries and cycles alone.
fn joined(payloads: &[Value]) -> Option<BTreeMap<String, Value>> {
    let mut known = BTreeMap::new();
    let mut parts = Vec::new();
    for payload in payloads {
        for entry in payload["s"].as_array().into_iter().flatten() {
            let key = entry["k"].as_str().expect("a key").to_owned();
            if entry["x"] == 1 {
                known.remove(&key);
            } else {
                known.insert(key, entry["d"].clone());
            }
        }
        if let Some([_, part, last]) = payload["c"].as_array().map(Vec::as_slice) {
            if *part == 0 {
                parts.clear();
            }
            parts.push(part.as_u64().expect("a number"));
            if *last == 1 && parts.iter().copied().eq(0..parts.len() as u64) {
                return Some(known);
            }
        }
    }
    None
}

/// What came after the payloads that there are now tells all of the state, and it is this.
fn told_from_now_on(gateway: &Gateway, expected: &BTreeMap<String, Value>) {
    let before = payloads(gateway).len();
    let told = eventually("a whole cycle", || joined(&payloads(gateway)[before..]));
    assert_eq!(&told, expected);
}

fn expected(pairs: &[(&str, Value)]) -> BTreeMap<String, Value> {
    let pairs = pairs.iter().cloned();
    pairs.map(|(key, value)| (key.to_owned(), value)).collect()
}

#[test]
fn viewers_and_operators_are_told_the_same_over_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut first = gateway(&directory);
    for body in [
        r#"{"data":1,"key":"votes","merge":"sum","type":"vote"}"#,
        r#"{"data":{"home":2},"key":"score","merge":"patch"}"#,
        r#"{"data":"no state","key":"votes"}"#,
    ] {
        first.publish("quiz", body);
        first.drained("quiz");
    }
    first.publish(
        "quiz",
        r#"{"data":41.5,"key":"votes","merge":"sum","type":"vote"}"#,
    );
    first.publish(
        "quiz",
        r#"{"data":{"guest":1},"key":"score","merge":"patch"}"#,
    );
    first.drained("quiz");
    let all = expected(&[
        ("score", json!({"home": 2, "guest": 1})),
        ("votes", json!(42.5)),
    ]);
    assert_eq!(state(&first), all);
    told_from_now_on(&first, &all);
    let metrics = first.scrape();
    assert!(metrics.get(r#"cuegate_state_keys{channel="quiz"}"#) > 1.5);
    assert!(metrics.get(r#"cuegate_state_payloads_total{channel="quiz"}"#) > 0.5);
    assert!(metrics.get(r#"cuegate_state_entries_total{channel="quiz"}"#) > 1.5);
    metrics.check_books(false);
    first.process.signal("KILL");
    first.process.wait(SOON);

    let second = gateway(&directory);
    assert_eq!(state(&second), all);
    told_from_now_on(&second, &all);
    second.publish("quiz", r#"{"data":1,"key":"votes","merge":"sum"}"#);
    second.drained("quiz");
    assert_eq!(state(&second)["votes"], json!(43.5));
}

#[test]
fn keys_are_deleted_one_by_one_or_all() {
    let directory = tempfile::tempdir().expect("a directory");
    let gateway = gateway(&directory);
    gateway.publish(
        "quiz",
        r#"[{"data":1,"key":"a","merge":"max"},{"data":2,"key":"b","merge":"max"},{"data":3,"key":"c","merge":"max"}]"#,
    );
    gateway.drained("quiz");
    let path = "/v1/channels/quiz/state";
    for wrong in ["", "?all=false", "?key=", "?key=a&all=true", "?keys=a"] {
        let refused = gateway.request("DELETE", &format!("{path}{wrong}"));
        check_problem(&refused, 400, "malformed");
    }
    let deleted = gateway.request("DELETE", &format!("{path}?key=a"));
    assert_eq!(deleted.status, 204, "{deleted:?}");
    eventually("the key to be gone", || {
        (!state(&gateway).contains_key("a")).then_some(())
    });
    let told = payloads(&gateway);
    let is_told = |payload: &Value| {
        let entries = payload["s"].as_array();
        entries.is_some_and(|entries| entries.contains(&json!({"k": "a", "x": 1})))
    };
    assert!(told.iter().any(is_told), "{told:?}");

    let deleted = gateway.request("DELETE", &format!("{path}?all=true"));
    assert_eq!(deleted.status, 204, "{deleted:?}");
    assert_eq!(state(&gateway), BTreeMap::new());
    told_from_now_on(&gateway, &BTreeMap::new());
    let last = payloads(&gateway).pop().expect("a payload");
    assert!(last["r"].as_u64() > told[0]["n"].as_u64(), "{last}");
    gateway.publish("quiz", r#"{"data":7,"key":"b","merge":"sum"}"#);
    gateway.drained("quiz");
    assert_eq!(state(&gateway), expected(&[("b", json!(7))]));

    for method in ["GET", "DELETE"] {
        let query = if method == "GET" { "" } else { "?all=true" };
        let none = gateway.request(method, &format!("/v1/channels/plain/state{query}"));
        check_problem(&none, 404, "not_found");
    }
}

#[test]
fn what_never_reached_the_stream_changes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let gateway = gateway(&directory);
    gateway.publish("quiz", r#"{"data":1,"key":"a","merge":"sum"}"#);
    gateway.drained("quiz");
    let emulator = gateway.emulator;
    emulator.stream(&arn("quiz"), "offline");
    gateway.publish(
        "quiz",
        r#"{"data":10,"key":"a","merge":"sum","ttl_ms":60000}"#,
    );
    eventually("the channel to be offline", || {
        (gateway.status("quiz")["state"] == "offline").then_some(())
    });
    assert_eq!(state(&gateway), expected(&[("a", json!(1))]));
    gateway.publish(
        "quiz",
        r#"{"data":100,"key":"a","merge":"sum","ttl_ms":60000}"#,
    );
    emulator.stream(&arn("quiz"), "live");
    gateway.drained("quiz");
    let all = expected(&[("a", json!(111))]);
    assert_eq!(state(&gateway), all);
    told_from_now_on(&gateway, &all);
}
