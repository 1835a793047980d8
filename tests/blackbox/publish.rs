//! `POST …/events` and `POST /v1/events`: every form a body can have, and what is answered.

mod forms;

use serde_json::{Value, json};

use crate::support::http::{Response, check_problem, send};
use crate::support::payloads::all_items;
use crate::support::process::{Gateway, arn, local};
use forms::{CE, FORMS, Form, JSON, NDJSON};

fn check_form(gateway: &Gateway, form: &Form) {
    gateway.pause(form.name);
    let path = format!("/v1/channels/{}/events", form.name);
    let answer = send(
        gateway.producers,
        "POST",
        &path,
        form.headers,
        form.body.as_bytes(),
    );
    assert_eq!(answer.status, 202, "{}: {answer:?}", form.name);
    assert_eq!(answer.header("content-type"), "application/json");
    let body = answer.json();
    assert_eq!(body["accepted"], form.accepted, "{}: {body}", form.name);
    assert_eq!(
        (&body["duplicates"], &body["rejected"]),
        (&json!(0), &json!([])),
        "{body}"
    );
    // It is paused, and nobody knows for how long.
    assert!(
        body["queued"].is_u64() && body.get("eta_ms") == Some(&json!(null)),
        "{body}"
    );
    gateway.resume(form.name);
    gateway.drained(form.name);
    assert_eq!(
        all_items(&gateway.taken(form.name)),
        form.items,
        "{}",
        form.name
    );
}

#[test]
fn every_form_of_a_body() {
    let channels: Vec<_> = FORMS.iter().map(|form| (form.name, "")).collect();
    let fields = "[channel_defaults]\nenvelope_fields = [\"type\", \"key\", \"id\"]";
    let gateway = Gateway::start(&local(fields, &channels));
    for form in FORMS {
        check_form(&gateway, form);
    }
    gateway.scrape().check_books(true);
}

fn post(gateway: &Gateway, path: &str, kind: (&str, &str), body: &str) -> Response {
    send(gateway.producers, "POST", path, &[kind], body.as_bytes())
}

fn rejected(answer: &Response) -> Vec<(u64, String)> {
    let body = answer.json();
    let rejected = body["rejected"].as_array().expect("a list").clone();
    for one in &rejected {
        assert!(
            one["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty()),
            "{one}"
        );
    }
    let pair = |one: &Value| {
        (
            one["index"].as_u64().expect("index"),
            one["code"].as_str().expect("code").to_owned(),
        )
    };
    rejected.iter().map(pair).collect()
}

#[test]
fn a_bad_event_refuses_itself_and_no_other() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let path = "/v1/channels/quiz/events";
    let too_large = format!(r#"{{"data":"{}"}}"#, "x".repeat(1100));
    let body = format!(
        r#"[{{"data":1}},{{"data":2,"x":1}},{{"data":3,"ttl_ms":0}},{too_large},{{"data":4}}]"#
    );
    let answer = post(&gateway, path, JSON, &body);
    assert_eq!(
        (answer.status, &answer.json()["accepted"]),
        (202, &json!(2)),
        "{answer:?}"
    );
    let codes = ["malformed", "invalid_event", "event_too_large"];
    let expected: Vec<_> = (1..).zip(codes.map(str::to_owned)).collect();
    assert_eq!(rejected(&answer), expected);
    let detail = answer.json()["rejected"][2]["detail"]
        .as_str()
        .expect("text")
        .to_owned();
    assert!(
        detail.contains("1024") && detail.contains("11"),
        "gives its size and the limit: {detail}"
    );

    let answer = post(
        &gateway,
        path,
        NDJSON,
        "{\"data\":1}\nnonsense\n\n{\"data\":2}\n",
    );
    assert_eq!(
        (answer.status, rejected(&answer)),
        (202, vec![(1, "malformed".to_owned())])
    );

    // All refused: the first one's status, and each of them is named.
    let answer = post(
        &gateway,
        path,
        JSON,
        r#"[{"data":1,"ttl_ms":0},{"data":2,"x":1}]"#,
    );
    check_problem(&answer, 422, "invalid_event");
    assert_eq!(
        rejected(&answer),
        [(0, "invalid_event".to_owned()), (1, "malformed".to_owned())]
    );
    // A body that is not JSON is one refusal.
    check_problem(
        &post(&gateway, path, JSON, r#"[{"data":1},"#),
        400,
        "malformed",
    );
    gateway.scrape().check_books(true);
}

#[test]
fn events_that_name_their_channel() {
    let gateway = Gateway::start(&local("", &[("a", ""), ("b", "")]));
    let (path, of_b) = ("/v1/events", arn("b"));
    for (kind, body, expected) in [
        (
            JSON,
            r#"{"channel":"a","data":1}"#.to_owned(),
            (202, 1, vec![]),
        ),
        (
            JSON,
            format!(r#"[{{"channel":"a","data":2}},{{"channel":"{of_b}","data":3}}]"#),
            (202, 2, vec![]),
        ),
        (
            NDJSON,
            "{\"channel\":\"b\",\"data\":4}\n{\"channel\":\"c\",\"data\":5}\n{\"data\":6}\n"
                .to_owned(),
            (
                202,
                1,
                vec![
                    (1, "unknown_channel".to_owned()),
                    (2, "malformed".to_owned()),
                ],
            ),
        ),
        (
            CE,
            r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data":7,"cuechannel":"b"}"#
                .to_owned(),
            (202, 1, vec![]),
        ),
    ] {
        let answer = post(&gateway, path, kind, &body);
        let accepted = answer.json()["accepted"].as_u64().expect("a number");
        assert_eq!(
            (answer.status, accepted, rejected(&answer)),
            expected,
            "{body}"
        );
    }
    check_problem(
        &post(&gateway, path, JSON, r#"{"channel":"c","data":1}"#),
        404,
        "unknown_channel",
    );
    check_problem(
        &post(&gateway, path, JSON, r#"{"data":1}"#),
        400,
        "malformed",
    );
    // Where the path names the channel, the event must not.
    let answer = post(
        &gateway,
        "/v1/channels/a/events",
        JSON,
        r#"{"channel":"a","data":1}"#,
    );
    check_problem(&answer, 400, "malformed");
    gateway.drained("a");
    gateway.drained("b");
    assert_eq!(all_items(&gateway.taken("a")), r#"{"d":1},{"d":2}"#);
    assert_eq!(
        all_items(&gateway.taken("b")),
        r#"{"d":3},{"d":4},{"d":7,"t":"t"}"#
    );
}

#[test]
fn atomic_is_all_or_none() {
    let gateway = Gateway::start(&local("", &[("a", ""), ("b", "queue_max_events = 1")]));
    gateway.pause("a");
    gateway.pause("b");
    let path = "/v1/channels/a/events?atomic=true";
    let answer = post(
        &gateway,
        path,
        JSON,
        r#"[{"data":1},{"data":2,"ttl_ms":0},{"data":3,"x":1}]"#,
    );
    check_problem(&answer, 422, "invalid_event");
    assert_eq!(answer.json()["index"], 1);
    // What a queue refuses counts as much as what cannot be read, over all channels.
    let body = r#"[{"channel":"a","data":1},{"channel":"b","data":2},{"channel":"b","data":3}]"#;
    let answer = post(&gateway, "/v1/events?atomic=true", JSON, body);
    check_problem(&answer, 429, "queue_full");
    assert_eq!(answer.json()["index"], 2);
    for channel in ["a", "b"] {
        let status = gateway.status(channel);
        assert_eq!(
            (&status["queued"], &status["totals"]["accepted"]),
            (&json!(0), &json!(0)),
            "{status}"
        );
    }
    let answer = post(&gateway, path, JSON, r#"[{"data":1},{"data":2}]"#);
    assert_eq!(
        (answer.status, &answer.json()["accepted"]),
        (202, &json!(2))
    );
    gateway.scrape().check_books(true);
}

#[test]
fn waiting_for_the_end() {
    let gateway = Gateway::start(&local("", &[("quiz", ""), ("still", "")]));
    let path = |channel: &str, ms: u32| {
        format!("/v1/channels/{channel}/events?wait=delivered&timeout_ms={ms}")
    };
    let answer = post(
        &gateway,
        &path("quiz", 20_000),
        JSON,
        r#"[{"data":1},{"data":2}]"#,
    );
    let body = answer.json();
    assert_eq!(
        (answer.status, &body["delivered"], &body["pending"]),
        (200, &json!(2), &json!(0)),
        "{body}"
    );
    assert_eq!(
        all_items(&gateway.taken("quiz")),
        r#"{"d":1},{"d":2}"#,
        "it was sent when it was answered"
    );

    gateway.pause("still");
    let answer = post(
        &gateway,
        &path("still", 50),
        JSON,
        r#"{"data":1,"id":"one"}"#,
    );
    assert_eq!(
        (answer.status, &answer.json()["pending"]),
        (202, &json!(1)),
        "{answer:?}"
    );
    assert_eq!(gateway.status("still")["queued"], 1, "it stays queued");
    let answer = post(
        &gateway,
        &path("still", 20_000),
        JSON,
        r#"{"data":1,"ttl_ms":80}"#,
    );
    let body = answer.json();
    assert_eq!(
        (answer.status, &body["delivered"], &body["ended"]["expired"]),
        (200, &json!(0), &json!(1)),
        "{body}"
    );
    // A duplicate has no end of its own: nothing is waited for.
    let answer = post(
        &gateway,
        &path("still", 20_000),
        JSON,
        r#"{"data":1,"id":"one"}"#,
    );
    assert_eq!(
        (answer.status, &answer.json()["duplicates"]),
        (200, &json!(1)),
        "{answer:?}"
    );
}

/// A request that is sent again under its key is taken once, event by event.
#[test]
fn an_idempotency_key_names_events() {
    let gateway = Gateway::start(&local("", &[("quiz", "envelope_fields = [\"id\"]")]));
    gateway.pause("quiz");
    let post = |key: &str, body: &str| {
        let headers = [
            ("content-type", "application/x-ndjson"),
            ("idempotency-key", key),
        ];
        let path = "/v1/channels/quiz/events";
        send(gateway.producers, "POST", path, &headers, body.as_bytes())
    };
    let lines = "{\"data\":1}\nnonsense\n{\"data\":2,\"id\":\"own\"}\n{\"data\":3}\n";
    for (accepted, duplicate) in [(3, None), (0, Some(json!([0, 2, 3])))] {
        let answer = post("order-7", lines);
        let tally = answer.json();
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(tally["accepted"], accepted, "{tally}");
        assert_eq!(tally["duplicates"], 3 - accepted, "{tally}");
        assert_eq!(tally.get("duplicate"), duplicate.as_ref(), "{tally}");
        assert_eq!(tally["rejected"][0]["index"], 1, "{tally}");
    }
    // More events under the key: those that are new are taken.
    let more = post("order-7", &format!("{lines}{{\"data\":4}}\n")).json();
    assert_eq!(
        (&more["accepted"], &more["duplicate"]),
        (&json!(1), &json!([0, 2, 3])),
        "{more}"
    );
    let long = "k".repeat(101);
    for key in ["", &long] {
        check_problem(&post(key, lines), 400, "malformed");
    }
    assert_eq!(post(&"k".repeat(100), "{\"data\":5}").status, 202);
    gateway.resume("quiz");
    gateway.drained("quiz");
    let items = all_items(&gateway.taken("quiz"));
    let start = r#"{"d":1,"i":"order-7/0"},{"d":2,"i":"own"},{"d":3,"i":"order-7/3"},{"d":4,"i":"order-7/4"}"#;
    assert!(items.starts_with(start), "{items}");
    gateway.scrape().check_books(true);
}
