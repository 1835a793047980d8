//! `POST …/events`: what is accepted, and what is refused with which code.

use super::*;
use serde_json::json;

const JSON: Option<&str> = Some("application/json");
const NDJSON: Option<&str> = Some("application/x-ndjson");
const TO_QUIZ: &str = "/v1/channels/quiz/events";

#[tokio::test]
#[rustfmt::skip] // a table
async fn refusals() {
    let stand = Stand::with("server.max_body_bytes = 2000\nchannels.allow_unlisted = false").await;
    stand.pause("small");
    // They are still there at the end, however slow the machine is.
    let full = stand.publish("small", r#"[{"data":1,"ttl_ms":600000},{"data":2,"ttl_ms":600000}]"#).await;
    assert_eq!(full.status, 202, "{}", full.text);
    let big = format!(r#"{{"data":"{}"}}"#, "x".repeat(1100));
    let huge = " ".repeat(2001);
    for (path, media, body, status, code) in [
        (TO_QUIZ, JSON, "", 400, "malformed"),
        (TO_QUIZ, JSON, "{", 400, "malformed"),
        (TO_QUIZ, JSON, "[]", 400, "malformed"),
        (TO_QUIZ, JSON, r#"{"data":1,"x":1}"#, 400, "malformed"),
        (TO_QUIZ, JSON, r#"{"data":1,"channel":"quiz"}"#, 400, "malformed"),
        (TO_QUIZ, NDJSON, "\n\n", 400, "malformed"),
        (TO_QUIZ, JSON, r#"{"data":1,"ttl_ms":0}"#, 422, "invalid_event"),
        (TO_QUIZ, JSON, r#"{"data":"a","key":"k","merge":"sum"}"#, 422, "invalid_event"),
        (TO_QUIZ, JSON, &big, 413, "event_too_large"),
        (TO_QUIZ, JSON, &huge, 413, "body_too_large"),
        (TO_QUIZ, None, r#"{"data":1}"#, 415, "unsupported_media_type"),
        (TO_QUIZ, Some("text/plain"), r#"{"data":1}"#, 415, "unsupported_media_type"),
        ("/v1/channels/nope/events", JSON, r#"{"data":1}"#, 404, "unknown_channel"),
        ("/v1/channels/nope/events", None, "", 404, "unknown_channel"),
        ("/v1/channels/%ff/events", JSON, r#"{"data":1}"#, 404, "unknown_channel"),
        ("/v1/channels/arn:aws:ivs:us-west-2:1:channel%2Fx/events", JSON, r#"{"data":1}"#, 404, "unknown_channel"),
        ("/v1/channels/small/events", JSON, r#"{"data":1}"#, 429, "queue_full"),
        ("/v1/events", JSON, r#"{"data":1}"#, 400, "malformed"),
        ("/v1/events", JSON, r#"{"data":1,"channel":"nope"}"#, 404, "unknown_channel"),
        ("/v1/events", JSON, r#"{"data":1,"channel":"small"}"#, 429, "queue_full"),
        ("/v1/channels/quiz/events?atomic=yes", JSON, r#"{"data":1}"#, 400, "malformed"),
        ("/v1/channels/quiz/events?wait=sent", JSON, r#"{"data":1}"#, 400, "malformed"),
        ("/v1/channels/quiz/events?wait=delivered&timeout_ms=30001", JSON, r#"{"data":1}"#, 400, "malformed"),
        ("/v1/channels/quiz/events?atomc=true", JSON, r#"{"data":1}"#, 400, "malformed"),
        ("/v1/channels/quiz/events?atomic=true&atomic=true", JSON, r#"{"data":1}"#, 400, "malformed"),
    ] {
        let before = stand.count("cuegate_events_rejected_total");
        let answer = stand.send("POST", path, media, body.to_owned()).await;
        let what = format!("{path} {body:.60} -> {}", answer.text);
        assert_eq!((answer.status.as_u16(), &*answer.code()), (status, code), "{what}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{what}");
        let problem = answer.json();
        assert_eq!(problem["type"], format!("urn:cuegate:problem:{code}"), "{what}");
        assert_eq!(problem["status"], status, "{what}");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{what}");
        let retries = status == 429;
        assert_eq!(problem["retry_after_ms"].is_u64(), retries, "{what}");
        let retry_after = answer.headers.get("retry-after").map(|value| value.to_str().unwrap().parse::<u64>().unwrap());
        assert_eq!(retry_after.is_some_and(|seconds| seconds >= 1), retries, "{what}");
        assert_eq!(stand.count("cuegate_events_rejected_total"), before + 1, "{what}");
        stand.check_books();
    }
}

#[tokio::test]
async fn draining_comes_before_everything() {
    let stand = Stand::new().await;
    stand.gateway.drain(tokio::time::Duration::from_secs(5));
    for (path, media) in [
        (TO_QUIZ, JSON),
        ("/v1/channels/nope/events", None),
        ("/v1/events", None),
    ] {
        let answer = stand.send("POST", path, media, r#"{"data":1}"#).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (503, "draining"));
        assert!(answer.headers.contains_key("retry-after"));
    }
    stand.check_books();
}

#[tokio::test]
#[rustfmt::skip] // a table
async fn what_is_accepted() {
    let stand = Stand::new().await;
    stand.pause("quiz");
    let arn = QUIZ.replace('/', "%2F");
    let mut queued = 0;
    for (path, media, body, accepted) in [
        (TO_QUIZ, JSON, r#"{"data":1}"#, 1),
        (TO_QUIZ, Some("application/json; charset=utf-8"), r#"[{"data":1},{"data":2}]"#, 2),
        (TO_QUIZ, NDJSON, "{\"data\":1}\r\n\r\n{\"data\":2}", 2),
        (&*format!("/v1/channels/{arn}/events"), JSON, r#"{"data":1}"#, 1),
        ("/v1/events", JSON, r#"{"channel":"quiz","data":1}"#, 1),
        (TO_QUIZ, Some("application/cloudevents+json"), r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1}"#, 1),
        (TO_QUIZ, Some("application/cloudevents-batch+json"), r#"[{"specversion":"1.0","id":"2","source":"/s","type":"t","data":1}]"#, 1),
        ("/v1/events", Some("application/cloudevents+json"), r#"{"specversion":"1.0","id":"3","source":"/s","type":"t","cuechannel":"quiz","data":1}"#, 1),
    ] {
        queued += accepted;
        let answer = stand.send("POST", path, media, body.to_owned()).await;
        assert_eq!(answer.status, 202, "{path} {body}: {}", answer.text);
        let body = answer.json();
        assert_eq!(
            (&body["accepted"], &body["duplicates"], &body["rejected"], &body["queued"], body["eta_ms"].is_null()),
            (&json!(accepted), &json!(0), &json!([]), &json!(queued), true),
            "{}", answer.text
        );
        stand.check_books();
    }
    let binary = Request::post(TO_QUIZ)
        .header("content-type", "application/json")
        .header("ce-specversion", "1.0")
        .header("ce-id", "4")
        .header("ce-source", "/s")
        .header("ce-type", "t");
    assert_eq!(stand.ask(binary.body("[1]".into()).unwrap()).await.status, 202);
}

#[tokio::test]
async fn a_bad_event_refuses_itself_in_its_place() {
    let stand = Stand::new().await;
    stand.pause("quiz");
    let big = "x".repeat(1100);
    let body = format!(
        r#"[{{"data":1,"id":"a"}},5,{{"data":"{big}"}},{{"data":2,"id":"a"}},{{"data":3,"ttl_ms":0}},{{"data":4}}]"#
    );
    let answer = stand.publish("quiz", body).await;
    let body = answer.json();
    assert_eq!(
        (&body["accepted"], &body["duplicates"]),
        (&json!(2), &json!(1)),
        "{}",
        answer.text
    );
    let rejected: Vec<_> = (body["rejected"].as_array().unwrap().iter())
        .map(|one| {
            (
                one["index"].as_u64().unwrap(),
                one["code"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let expected = [
        (1, "malformed"),
        (2, "event_too_large"),
        (4, "invalid_event"),
    ];
    assert_eq!(
        rejected,
        expected.map(|(index, code)| (index, code.to_owned()))
    );
    stand.check_books();

    let answer = stand.publish("quiz", r#"{"data":9,"id":"a"}"#).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["duplicates"]),
        (202, &json!(1))
    );
    let answer = stand.publish("quiz", r#"[{"data":9,"ttl_ms":0},7]"#).await;
    assert_eq!(
        (answer.status.as_u16(), &*answer.code()),
        (422, "invalid_event")
    );
    assert_eq!(answer.json()["rejected"][1]["code"], "malformed");
    stand.check_books();
}

#[tokio::test]
async fn events_that_name_their_channels() {
    let stand = Stand::new().await;
    stand.pause("quiz");
    stand.pause("small");
    let body = format!(
        r#"[{{"channel":"small","data":1}},{{"channel":"quiz","data":2}},{{"channel":"nope","data":3}},
            {{"channel":"{SMALL}","data":4}},{{"channel":"small","data":5}},{{"channel":"quiz","data":6}}]"#
    );
    let answer = stand.send("POST", "/v1/events", JSON, body).await;
    let body = answer.json();
    assert_eq!(
        (&body["accepted"], &body["queued"]),
        (&json!(4), &json!(4)),
        "{}",
        answer.text
    );
    assert_eq!(body["rejected"][0]["index"], 2);
    assert_eq!(body["rejected"][0]["code"], "unknown_channel");
    assert_eq!(body["rejected"][1]["index"], 4);
    assert_eq!(body["rejected"][1]["code"], "queue_full");
    stand.check_books();
}

#[tokio::test]
#[rustfmt::skip] // a table
async fn all_or_none() {
    let stand = Stand::new().await;
    stand.pause("quiz");
    stand.pause("small");
    let path = "/v1/events?atomic=true";
    for (body, status, code, index) in [
        (r#"[{"channel":"quiz","data":1},{"channel":"quiz","data":1,"ttl_ms":0},5]"#, 422, "invalid_event", 1),
        (r#"[{"channel":"quiz","data":1},{"channel":"nope","data":1}]"#, 404, "unknown_channel", 1),
        (r#"[{"channel":"quiz","data":1},{"channel":"small","data":1},{"channel":"small","data":2},{"channel":"small","data":3}]"#, 429, "queue_full", 3),
    ] {
        let answer = stand.send("POST", path, JSON, body).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (status, code), "{}", answer.text);
        assert_eq!(answer.json()["index"], index);
        assert_eq!(stand.count("cuegate_queue_events"), 0, "nothing has changed");
        stand.check_books();
    }
    let answer = stand.send("POST", path, JSON, r#"[{"channel":"quiz","data":1},{"channel":"small","data":1}]"#).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["queued"]), (202, &json!(2)));
    stand.check_books();
}

#[tokio::test]
async fn waiting_for_the_ends() {
    let stand = Stand::new().await;
    let path = "/v1/channels/quiz/events?wait=delivered&timeout_ms=5000";
    let answer = stand
        .send("POST", path, JSON, r#"[{"data":1},{"data":2}]"#)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert_eq!(
        (
            &body["delivered"],
            &body["pending"],
            &body["ended"]["expired"]
        ),
        (&json!(2), &json!(0), &json!(0))
    );

    stand.pause("quiz");
    let path = "/v1/channels/quiz/events?wait=delivered&timeout_ms=50";
    let answer = stand
        .send("POST", path, JSON, r#"[{"data":1,"ttl_ms":1},{"data":2}]"#)
        .await;
    let body = answer.json();
    assert_eq!(
        (
            answer.status.as_u16(),
            &body["pending"],
            &body["ended"]["expired"]
        ),
        (202, &json!(1), &json!(1)),
        "{}",
        answer.text
    );
    stand.check_books();
}
