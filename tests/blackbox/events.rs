//! One event by its id: what became of it, and another in its place.

use serde_json::{Value, json};

use crate::support::http::{Response, check_problem, send};
use crate::support::payloads::all_items;
use crate::support::process::{Gateway, local};
use crate::support::{SOON, eventually};

fn path(id: &str) -> String {
    format!("/v1/channels/quiz/events/{id}")
}

fn put(gateway: &Gateway, id: &str, event: &Value) -> Response {
    put_text(gateway, id, "application/json", &event.to_string())
}

fn put_text(gateway: &Gateway, id: &str, media: &str, body: &str) -> Response {
    let headers = [("content-type", media)];
    send(
        gateway.producers,
        "PUT",
        &path(id),
        &headers,
        body.as_bytes(),
    )
}

fn state(gateway: &Gateway, id: &str) -> Value {
    let answer = gateway.request("GET", &path(id));
    assert_eq!(answer.status, 200, "{answer:?}");
    let report = answer.json();
    assert_eq!(report["id"], id);
    report
}

/// Milliseconds since 1970, that many from now.
fn from_now(ms: u64) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(now.expect("after 1970").as_millis()).expect("a moment") + ms
}

#[test]
fn a_cue_is_moved_and_its_fate_can_be_asked() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let later = from_now(3_600_000);
    gateway.publish("quiz", &format!(r#"{{"data":1,"id":"cue","at":{later}}}"#));
    let before = state(&gateway, "cue");
    assert_eq!(before["state"], "scheduled");
    // Without a new time it keeps its own.
    let answer = put(&gateway, "cue", &json!({"data": 2}));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        (&answer.json()["accepted"], &answer.json()["queued"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(state(&gateway, "cue"), before);
    let answer = put(
        &gateway,
        "cue",
        &json!({"data": 3, "id": "cue", "at": from_now(0)}),
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    gateway.drained("quiz");
    assert_eq!(all_items(&gateway.taken("quiz")), r#"{"d":3}"#);
    let after = state(&gateway, "cue");
    assert_eq!(after["state"], "delivered", "{after}");
    assert!(after["n"].is_u64() && after["at"].is_string(), "{after}");
    let gone = put(&gateway, "cue", &json!({"data": 4}));
    check_problem(&gone, 409, "already_sent");
    check_problem(
        &gateway.request("GET", &path("never")),
        404,
        "unknown_event",
    );
    // Of an id that is not known it is an event as any.
    let answer = put(&gateway, "new", &json!({"data": 5}));
    assert_eq!(answer.status, 202, "{answer:?}");
    gateway.drained("quiz");
    gateway.scrape().check_books(true);
}

#[test]
fn ends_are_told_by_their_names() {
    let gateway = Gateway::start(&local("", &[("quiz", "queue_max_events = 3")]));
    gateway.pause("quiz");
    gateway.publish(
        "quiz",
        r#"[{"data":1,"id":"first","key":"k","merge":"sum"},{"data":2,"id":"sum","key":"k","merge":"sum"},
            {"data":3,"id":"short","ttl_ms":1},{"data":4,"id":"low","priority":"low"}]"#,
    );
    eventually("it expires", || {
        (state(&gateway, "short")["state"] == "expired").then_some(())
    });
    gateway.publish("quiz", r#"[{"data":5,"id":"a"},{"data":6,"id":"b"}]"#);
    assert_eq!(gateway.request("DELETE", &path("a")).status, 204);
    for (id, expected) in [
        ("first", "merged"),
        ("sum", "waiting"),
        ("low", "evicted"),
        ("a", "cancelled"),
        ("b", "waiting"),
    ] {
        assert_eq!(state(&gateway, id)["state"], expected, "{id}");
    }
    check_problem(
        &put(&gateway, "first", &json!({"data": 7})),
        409,
        "already_sent",
    );
    // What ended otherwise is taken in again, if there is room.
    let low = json!({"data": 8, "priority": "low"});
    assert_eq!(put(&gateway, "short", &low).status, 202);
    check_problem(&put(&gateway, "a", &low), 429, "queue_full");
    assert_eq!(
        state(&gateway, "a")["state"],
        "cancelled",
        "a refusal changes nothing"
    );
    gateway.scrape().check_books(false);
}

#[test]
fn what_is_no_replacement_changes_nothing() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let later = from_now(3_600_000);
    gateway.publish("quiz", &format!(r#"{{"data":1,"id":"cue","at":{later}}}"#));
    let before = state(&gateway, "cue");
    let long = json!("x".repeat(1100)).to_string();
    for (media, body, status, code) in [
        (
            "application/json",
            r#"{"data":1,"id":"other"}"#,
            422,
            "invalid_event",
        ),
        ("application/json", r#"[{"data":1}]"#, 400, "malformed"),
        ("application/json", "{", 400, "malformed"),
        (
            "application/json",
            r#"{"data":1,"merge":"sum"}"#,
            422,
            "invalid_event",
        ),
        (
            "application/json",
            &format!(r#"{{"data":{long}}}"#),
            413,
            "event_too_large",
        ),
        (
            "application/x-ndjson",
            r#"{"data":1}"#,
            415,
            "unsupported_media_type",
        ),
    ] {
        let answer = put_text(&gateway, "cue", media, body);
        check_problem(&answer, status, code);
        assert_eq!(state(&gateway, "cue"), before, "after {body}");
    }
    let long = put(&gateway, &"x".repeat(600), &json!({"data": 1}));
    check_problem(&long, 422, "invalid_event");
    let path = path("cue") + "?atomic=true";
    let headers = [("content-type", "application/json")];
    let answer = send(gateway.producers, "PUT", &path, &headers, br#"{"data":1}"#);
    check_problem(&answer, 400, "malformed");
    gateway.scrape().check_books(false);
}

/// Killed in between: what was replaced stays so, and ends are remembered.
#[test]
fn it_survives_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let dir = directory.path().join("journal");
    let rest = format!("[journal]\ndir = \"{}\"\n", dir.display());
    let config = local(&rest, &[("quiz", "ttl_ms = 600000")]);
    let mut first = Gateway::start(&config);
    first.publish("quiz", r#"{"data":0,"id":"sent"}"#);
    first.drained("quiz");
    let sent = state(&first, "sent");
    assert_eq!(sent["state"], "delivered");
    first.pause("quiz");
    first.publish(
        "quiz",
        r#"[{"data":1,"id":"a"},{"data":2,"id":"b"},{"data":3,"id":"c"}]"#,
    );
    assert_eq!(put(&first, "a", &json!({"data": 10})).status, 200);
    assert_eq!(first.request("DELETE", &path("c")).status, 204);
    let cancelled = state(&first, "c");
    first.process.kill();
    first.process.wait(SOON);

    let second = Gateway::start(&config);
    assert_eq!(state(&second, "sent"), sent);
    assert_eq!(state(&second, "c"), cancelled);
    assert_eq!(state(&second, "a")["state"], "waiting");
    second.resume("quiz");
    second.drained("quiz");
    assert_eq!(all_items(&second.taken("quiz")), r#"{"d":10},{"d":2}"#);
}

fn list(gateway: &Gateway, query: &str) -> Value {
    let answer = gateway.request("GET", &format!("/v1/channels/quiz/events{query}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn ids(page: &Value) -> Vec<&str> {
    let events = page["events"].as_array().expect("a list").iter();
    events
        .map(|event| event["id"].as_str().unwrap_or("-"))
        .collect()
}

#[test]
fn what_is_queued_is_listed_in_its_order() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    assert_eq!(list(&gateway, ""), json!({"events": [], "next": null}));
    gateway.pause("quiz");
    let later = from_now(3_600_000);
    gateway.publish(
        "quiz",
        &format!(
            r#"[{{"data":{{"a":1}},"id":"low","priority":"low","key":"k","type":"t"}},
                {{"data":"x","id":"cue","at":{later},"type":"cue"}},
                {{"data":2,"id":"behind","priority":"high","key":"k","merge":"sum","ttl_ms":70000}},
                {{"data":3,"priority":"high"}},
                {{"data":"é","id":"raw","envelope":"raw","type":"t"}}]"#
        ),
    );
    let page = list(&gateway, "");
    assert_eq!(ids(&page), ["-", "raw", "low", "behind", "cue"]);
    assert_eq!(page["next"], Value::Null);
    let low = &page["events"][2];
    assert_eq!(
        low,
        &json!({"id": "low", "type": "t", "key": "k", "ttl_ms": 10000, "priority": "low", "state": "waiting", "eta_ms": null, "data": {"a": 1}})
    );
    let raw = &page["events"][1];
    assert_eq!(
        (&raw["data"], &raw["envelope"]),
        (&json!("é"), &json!("raw"))
    );
    let behind = &page["events"][3];
    assert_eq!(
        (&behind["merge"], &behind["ttl_ms"]),
        (&json!("sum"), &json!(70_000))
    );
    let cue = &page["events"][4];
    assert_eq!(cue["state"], "scheduled");
    assert_eq!(cue["at"], state(&gateway, "cue")["at"]);
    // A page at a time, and filtered.
    let mut after = String::new();
    let mut all = Vec::new();
    loop {
        let page = list(&gateway, &format!("?limit=2{after}"));
        all.extend(ids(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        after = format!("&after={next}");
    }
    assert_eq!(all, ["-", "raw", "low", "behind", "cue"]);
    assert_eq!(ids(&list(&gateway, "?type=t")), ["raw", "low"]);
    assert_eq!(ids(&list(&gateway, "?key=k")), ["low", "behind"]);
    assert_eq!(ids(&list(&gateway, "?key=k&type=t")), ["low"]);
    assert!(ids(&list(&gateway, "?type=none")).is_empty());
    for (query, detail) in [
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?limit=x", "limit"),
        ("?type=", "type is empty"),
        ("?key=", "key is empty"),
        ("?after=x", "after"),
        ("?after=1-2-3-4", "after"),
        ("?all=true", "all"),
        ("?limit=1&limit=1", "twice"),
    ] {
        let path = format!("/v1/channels/quiz/events{query}");
        let answer = gateway.request("GET", &path);
        check_problem(&answer, 400, "malformed");
        assert!(answer.text().contains(detail), "{query}: {}", answer.text());
    }
    gateway.resume("quiz");
    eventually("the rest leaves", || {
        let page = list(&gateway, "");
        (ids(&page) == ["cue"]).then(|| {
            let eta = page["events"][0]["eta_ms"].as_u64().expect("a number");
            assert!((3_000_000..=3_600_000).contains(&eta), "{eta}");
        })
    });
    gateway.scrape().check_books(false);
}
