//! Requests at any node: one that does not own the account hands them to the one that does, and answers what that
//! one answers.

use serde_json::{Value, json};

use super::{Stage, TAKEN_WITHIN, ready};
use crate::support::http::{Response, send};
use crate::support::postgres::Cluster;
use crate::support::process::{Gateway, arn};
use crate::support::within;

/// The channels that requests go to: one's at the owner, the other's at a node that is not.
const CHANNELS: [&str; 2] = ["here", "there"];

impl Stage {
    /// The owner, and a node that hands events to it. The channels are live.
    fn pair(&self, keys: &str) -> (Gateway, Gateway) {
        let more = CHANNELS.map(|name| {
            self.emulator.api.stream(&arn(name), "live");
            format!(
                "[[channel]]\nname = \"{name}\"\narn = \"{}\"\n{keys}\n",
                arn(name)
            )
        });
        let node = |name: &str| {
            let configuration = self.configuration(name) + &more.concat();
            Gateway::spawn(&configuration, &[])
        };
        let owner = node("owner");
        within(TAKEN_WITHIN, "the owner answers", || owner.readiness());
        ready(&owner);
        let other = node("other");
        within(TAKEN_WITHIN, "the other node can hand events over", || {
            other.is_ready().then_some(())
        });
        (owner, other)
    }
}

fn post(node: &Gateway, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    send(node.producers, "POST", path, headers, body.as_bytes())
}

/// What a client can see of an answer that does not depend on the moment.
fn seen(answer: &Response) -> (u16, Value) {
    let mut body = answer.json();
    if let Some(body) = body.as_object_mut() {
        body.remove("eta_ms");
    }
    (answer.status, body)
}

#[test]
fn http_at_another_node_answers_as_at_the_owner() {
    let Some(stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let (owner, other) = stage.pair("queue_max_events = 6\nttl_ms = 60000");
    CHANNELS.iter().for_each(|channel| owner.pause(channel));
    let large = format!(r#"{{"data":"{}"}}"#, "x".repeat(2000));
    let (json, lines) = ("application/json", "application/x-ndjson");
    let events = "application/cloudevents+json";
    let steps: &[(&str, &str, &str)] = &[
        (
            "",
            json,
            r#"{"id":"a","data":1,"type":"t","key":"k","priority":"high","ttl_ms":50000}"#,
        ),
        ("", json, r#"{"id":"a","data":1}"#),
        (
            "",
            json,
            r#"[{"id":"a","data":1},{"id":"b","data":2},{"nothing":1},{"data":{"x":[1]}}]"#,
        ),
        ("", json, &large),
        ("", json, r#"{"data":1,"key":"n","merge":"sum"}"#),
        ("", json, r#"{"data":2,"key":"n","merge":"sum"}"#),
        ("", json, r#"{"data":2,"at":"2001-01-01T00:00:00Z"}"#),
        ("?atomic=true", json, r#"[{"id":"c","data":1},{"data":"#),
        (
            "?atomic=true",
            json,
            r#"[{"id":"c","data":1},{"id":"d","data":1}]"#,
        ),
        (
            "?atomic=true",
            json,
            r#"[{"data":1},{"data":2},{"data":3}]"#,
        ),
        ("", lines, "{\"data\":5}\nrubbish\n{\"data\":6}\n"),
        (
            "",
            events,
            r#"{"specversion":"1.0","id":"e","source":"s","type":"t","data":{"a":1}}"#,
        ),
        ("?wait=delivered&timeout_ms=50", json, r#"{"data":7}"#),
        ("", json, r#"{"data":8}"#),
        ("", json, "rubbish"),
    ];
    for (query, media, body) in steps {
        let [here, there] = [(&owner, "here"), (&other, "there")].map(|(node, channel)| {
            let path = format!("/v1/channels/{channel}/events{query}");
            seen(&post(node, &path, &[("content-type", *media)], body))
        });
        assert_eq!(here, there, "{query} {media} {body}");
    }
    let [here, there] = [(&owner, "here"), (&other, "there")].map(|(node, channel)| {
        let body = json!([{"channel": channel, "data": 1}, {"channel": "nobody", "data": 1}]);
        seen(&node.post("/v1/events", &body.to_string())).0
    });
    assert_eq!(here, there);
    for (body, query) in [(r#"{"id":"w","data":1}"#, ""), (r#"{"data":2}"#, "")] {
        let [here, there] = [(&owner, "here"), (&other, "there")].map(|(node, channel)| {
            let path = format!("/v1/channels/{channel}/events/w{query}");
            let headers = [("content-type", json)];
            seen(&send(
                node.producers,
                "PUT",
                &path,
                &headers,
                body.as_bytes(),
            ))
        });
        assert_eq!(here, there, "PUT {body}");
    }
    CHANNELS.iter().for_each(|channel| {
        owner.resume(channel);
        owner.drained(channel);
    });
    let answer = other.post(
        "/v1/channels/there/events?wait=delivered&timeout_ms=10000",
        r#"[{"data":1},{"data":2}]"#,
    );
    assert_eq!(
        (answer.status, &answer.json()["delivered"]),
        (200, &json!(2)),
        "{answer:?}"
    );
    let texts = |channel: &str| -> Vec<Value> {
        let taken = stage.emulator.api.metadata(&arn(channel));
        let payloads = taken
            .iter()
            .map(|taken| serde_json::from_str::<Value>(&taken.text));
        let events = payloads.flat_map(|payload| {
            payload.expect("JSON")["e"]
                .as_array()
                .expect("events")
                .clone()
        });
        events.collect()
    };
    let (here, there) = (texts("here"), texts("there"));
    assert!(there.starts_with(&here), "{here:?} {there:?}");
    let (entry, books) = (other.scrape(), owner.scrape());
    let received = entry.sum("cuegate_events_received_total");
    let forwarded = entry.sum("cuegate_cluster_forwarded_events_total");
    let rejected = entry.sum("cuegate_events_rejected_total");
    assert!(
        (received - forwarded - rejected).abs() < 0.5,
        "{received} {forwarded} {rejected}"
    );
    let cluster = books.get(r#"cuegate_events_received_total{transport="cluster"}"#);
    assert!((cluster - forwarded).abs() < 0.5, "{cluster} {forwarded}");
    assert!(entry.get("cuegate_cluster_nodes") > 1.5);
}

#[test]
fn events_at_another_node_outlive_the_owner() {
    let Some(stage) = Stage::set(Cluster::replicated()) else {
        return;
    };
    let (mut owner, other) = stage.pair("");
    let mut sent = std::collections::BTreeSet::new();
    let mut publish = |nth: usize| {
        let body = format!(r#"{{"id":"e-{nth}","data":{nth}}}"#);
        let answer = other.post("/v1/channels/quiz/events", &body);
        if answer.status == 202 {
            sent.insert(nth.to_string());
        } else {
            assert_eq!(answer.status, 503, "{answer:?}");
            assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
        }
        answer.status == 202
    };
    assert!((0..50).all(&mut publish));
    owner.process.kill();
    let mut nth = 50;
    within(TAKEN_WITHIN, "events are taken again", || {
        assert_eq!(
            other.readiness(),
            Some(200),
            "an owner that died makes no other node unready"
        );
        let taken = publish(nth);
        nth += usize::from(taken);
        taken.then_some(())
    });
    assert!((nth..nth + 20).all(&mut publish));
    other.drained("quiz");
    assert_eq!(stage.delivered(), sent);
}
