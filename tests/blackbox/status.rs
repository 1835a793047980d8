//! What a channel says of itself, and the list of all.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::http::{check_problem, send};
use crate::support::process::{ACCOUNT, Gateway, arn, local};

#[test]
fn a_channel_in_full() {
    let rest = "[quota]\nchannel_tps = 3\naccount_tps = 100\npayload_max_bytes = 512";
    let keys = "ttl_ms = 60000\nqueue_max_events = 5\nqueue_max_bytes = 4096\nenvelope = \"array\"";
    let gateway = Gateway::start(&local(rest, &[("quiz", keys)]));
    gateway.pause("quiz");
    gateway.publish("quiz", r#"[{"data":"abc","id":"1"},{"data":2}]"#);
    let before = gateway.status("quiz");
    assert_eq!(
        gateway
            .post("/v1/channels/quiz/events", r#"{"data":1,"id":"1"}"#)
            .json()["duplicates"],
        1
    );
    let status = gateway.status("quiz");
    for (pointer, expected) in [
        ("/channel", json!("quiz")),
        ("/arn", json!(arn("quiz"))),
        ("/state", json!("paused")),
        ("/queued", json!(2)),
        ("/tokens", json!({"available": 3, "limit": 3})),
        (
            "/limits",
            json!({"channel_tps": 3, "account_tps": 100, "payload_max_bytes": 512, "queue_max_events": 5,
                "queue_max_bytes": 4096, "ttl_ms": 60000, "envelope": "array"}),
        ),
        ("/last_error", Value::Null),
        ("/totals/accepted", json!(2)),
        ("/totals/duplicates", json!(1)),
        ("/totals/delivered", json!(0)),
    ] {
        assert_eq!(
            status.pointer(pointer),
            Some(&expected),
            "{pointer} of {status}"
        );
    }
    assert!(
        status["bytes"].as_u64() > Some(0) && status.get("eta_ms") == Some(&Value::Null),
        "{status}"
    );
    assert!(
        status["oldest_age_ms"].as_u64() >= before["oldest_age_ms"].as_u64(),
        "{status}"
    );

    // By its ARN, in whatever way that is encoded.
    let encoded = arn("quiz").replace(':', "%3a").replace('/', "%2F");
    assert_eq!(gateway.status(&encoded)["channel"], "quiz");
    check_problem(
        &gateway.request("GET", "/v1/channels/nowhere"),
        404,
        "unknown_channel",
    );
    check_problem(
        &gateway.request("GET", "/v1/channels/%ff"),
        404,
        "unknown_channel",
    );
    let head = crate::support::http::send(gateway.producers, "HEAD", "/v1/channels/quiz", &[], b"");
    assert_eq!(
        (head.status, head.header("content-type")),
        (200, "application/json")
    );
}

#[test]
fn the_last_error_is_told() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    gateway
        .emulator
        .faults(r#"{"kind":"error","status":503,"code":"ServiceUnavailable","message":"no"}"#);
    gateway.publish("quiz", r#"{"data":1}"#);
    let status = crate::support::eventually("a call failed", || {
        let status = gateway.status("quiz");
        status["last_error"].is_object().then_some(status)
    });
    let text = status["last_error"].to_string();
    assert!(
        text.contains("ServiceUnavailable") || text.contains("503"),
        "{text}"
    );
    gateway.emulator.no_faults();
    gateway.drained("quiz");
    assert_eq!(gateway.taken("quiz").len(), 1);
}

#[test]
fn the_list_comes_in_pages() {
    let names: Vec<String> = (0..25).map(|nth| format!("show-{nth:02}")).collect();
    let channels: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let gateway = Gateway::start(&local("[channels]\nallow_unlisted = true", &channels));
    // One that nobody listed shows by its ARN once it was used.
    let unlisted = format!("arn:aws:ivs:eu-west-1:{ACCOUNT}:channel/guest");
    gateway.publish(
        &crate::support::emulator::encoded(&unlisted),
        r#"{"data":1}"#,
    );
    for limit in [1, 10, 25, 26, 1000] {
        let mut seen = Vec::new();
        let mut after = String::new();
        loop {
            let answer = gateway.request("GET", &format!("/v1/channels?limit={limit}{after}"));
            assert_eq!(answer.status, 200, "{answer:?}");
            let page = answer.json();
            let channels = page["channels"].as_array().expect("a list");
            assert!(channels.len() <= limit);
            seen.extend(
                channels
                    .iter()
                    .map(|channel| channel["channel"].as_str().expect("a name").to_owned()),
            );
            let Some(next) = page["next"].as_str() else {
                break;
            };
            after = format!("&after={}", crate::support::emulator::encoded(next));
        }
        let mut expected = names.clone();
        expected.insert(0, unlisted.clone());
        assert_eq!(seen, expected, "limit {limit}");
    }
    let all = gateway.request("GET", "/v1/channels").json();
    assert_eq!(
        all["upstream"],
        serde_json::json!({"mode": "local", "local_ivs": format!("http://{}", gateway.emulator.0)})
    );
    assert_eq!(
        all["channels"][3],
        gateway.status("show-02"),
        "the same as one by itself"
    );
    for query in [
        "?limit=0",
        "?limit=1001",
        "?limit=x",
        "?page=2",
        "?limit=1&limit=2",
    ] {
        check_problem(
            &gateway.request("GET", &format!("/v1/channels{query}")),
            400,
            "malformed",
        );
    }
}

/// What a channel waits for after failures, and what all wait for while nothing gets through, is in
/// the time that events are said to take.
#[test]
fn the_eta_counts_what_the_next_call_waits_for() {
    let names: Vec<String> = (0..30).map(|nth| format!("c{nth}")).collect();
    let channels: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), "ttl_ms = 60000"))
        .collect();
    let gateway = Gateway::start(&local("", &channels));
    gateway.emulator.faults(r#"{"kind":"error","status":500}"#);
    gateway.publish("c0", r#"{"data":1}"#);
    // A payload takes 0.2 s; pauses grow up to 10 s.
    eventually("its backoff counts", || {
        let eta = gateway.status("c0")["eta_ms"].as_u64();
        (eta > Some(1500)).then_some(())
    });
    for name in &names[1..8] {
        gateway.publish(name, r#"{"data":1}"#);
    }
    eventually("most calls fail", || {
        let ready = send(gateway.metrics, "GET", "/readyz", &[], b"");
        let reason = ready.json()["accounts"][0]["reason"].to_string();
        reason.contains("probes").then_some(())
    });
    // Channels that have not called: only the circuit is in their way.
    let mut fresh = names[8..].iter();
    eventually("the open circuit counts", || {
        let name = fresh.next().expect("a channel that has not called");
        let eta = gateway.publish(name, r#"{"data":1}"#)["eta_ms"].as_u64();
        std::thread::sleep(Duration::from_millis(300));
        (eta > Some(800)).then_some(())
    });
    gateway.emulator.no_faults();
    for name in &names {
        gateway.drained(name);
        let status = gateway.status(name);
        assert_eq!(status["eta_ms"], 0, "{status}");
    }
}
