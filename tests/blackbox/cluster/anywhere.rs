//! Requests at any node: one that does not own the account hands them to the one that does, and answers what that
//! one answers.

use serde_json::{Value, json};

use super::{Stage, TAKEN_WITHIN, ready};
use crate::support::http::{Response, send};
use crate::support::postgres::Cluster;
use crate::support::process::{Gateway, arn};
use crate::support::within;
use crate::support::ws;

/// The channels that requests go to: one's at the owner, the other's at a node that is not.
pub(super) const CHANNELS: [&str; 2] = ["here", "there"];

/// Stands for an event that fits no payload.
const TOO_LARGE: &str = "too large";

const JSON: &str = "application/json";

/// Queries, media types and bodies, one after the other.
const STEPS: &[(&str, &str, &str)] = &[
    (
        "",
        JSON,
        r#"{"id":"a","data":1,"type":"t","key":"k","priority":"high","ttl_ms":50000}"#,
    ),
    ("", JSON, r#"{"id":"a","data":1}"#),
    (
        "",
        JSON,
        r#"[{"id":"a","data":1},{"id":"b","data":2},{"nothing":1},{"data":{"x":[1]}}]"#,
    ),
    ("", JSON, TOO_LARGE),
    ("", JSON, r#"{"data":1,"key":"n","merge":"sum"}"#),
    ("", JSON, r#"{"data":2,"key":"n","merge":"sum"}"#),
    ("", JSON, r#"{"data":2,"at":"2001-01-01T00:00:00Z"}"#),
    ("?atomic=true", JSON, r#"[{"id":"c","data":1},{"data":"#),
    (
        "?atomic=true",
        JSON,
        r#"[{"id":"c","data":1},{"id":"d","data":1}]"#,
    ),
    (
        "?atomic=true",
        JSON,
        r#"[{"data":1},{"data":2},{"data":3}]"#,
    ),
    (
        "",
        "application/x-ndjson",
        "{\"data\":5}\nrubbish\n{\"data\":6}\n",
    ),
    (
        "",
        "application/cloudevents+json",
        r#"{"specversion":"1.0","id":"e","source":"s","type":"t","data":{"a":1}}"#,
    ),
    ("?wait=delivered&timeout_ms=50", JSON, r#"{"data":7}"#),
    ("", JSON, r#"{"data":8}"#),
    ("", JSON, "rubbish"),
];

impl Stage {
    /// The owner, and a node that hands events to it. The channels are live.
    pub(super) fn pair(&self, keys: &str) -> (Gateway, Gateway) {
        self.pair_with(keys, String::new)
    }

    /// The same with tables of each node's own.
    pub(super) fn pair_with(
        &self,
        keys: &str,
        mut own: impl FnMut() -> String,
    ) -> (Gateway, Gateway) {
        let more = CHANNELS.map(|name| {
            self.emulator.api.stream(&arn(name), "live");
            format!(
                "[[channel]]\nname = \"{name}\"\narn = \"{}\"\n{keys}\n",
                arn(name)
            )
        });
        let mut node = |name: &str| {
            let configuration = own() + &self.configuration(name) + &more.concat();
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
pub(super) fn seen(answer: &Response) -> (u16, Value) {
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
    for channel in CHANNELS {
        owner.pause(channel);
    }
    let large = format!(r#"{{"data":"{}"}}"#, "x".repeat(2000));
    for (query, media, body) in STEPS {
        let body = body.replace(TOO_LARGE, &large);
        let [here, there] = [(&owner, "here"), (&other, "there")].map(|(node, channel)| {
            let path = format!("/v1/channels/{channel}/events{query}");
            seen(&post(node, &path, &[("content-type", *media)], &body))
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
            let headers = [("content-type", JSON)];
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
    for channel in CHANNELS {
        owner.resume(channel);
        owner.drained(channel);
    }
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
    check_books(&owner, &other);
}

/// The books of a node that handed events over, and of the owner.
fn check_books(owner: &Gateway, other: &Gateway) {
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

#[test]
fn a_websocket_and_an_aws_client_at_another_node_are_answered_as_at_the_owner() {
    let Some(stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let (owner, other) = stage.pair("queue_max_events = 4\nttl_ms = 60000");
    for channel in CHANNELS {
        owner.pause(channel);
    }
    let [here, there] = [(&owner, "here"), (&other, "there")].map(|(node, channel)| {
        let mut socket = ws::Client::open(node.producers, &format!("/v1/channels/{channel}/ws"));
        socket.send(r#"[{"id":"a","data":1},{"id":"a","data":1},{"nothing":1}]"#);
        let mut answers = socket.until_ack(1);
        socket.send(r#"[{"data":2},{"data":3},{"data":4},{"data":5},{"data":6}]"#);
        answers.extend(socket.until_ack(2));
        for answer in &mut answers {
            if let Some(answer) = answer.as_object_mut() {
                answer.remove("retry_after_ms");
            }
        }
        let large = "x".repeat(2000);
        let put = ["", "text", &large].map(|metadata| {
            let body = json!({"channelArn": arn(channel), "metadata": metadata}).to_string();
            let answer = post(node, "/PutMetadata", &[("content-type", JSON)], &body);
            (answer.status, answer.header("x-amzn-errortype").to_owned())
        });
        (answers, put)
    });
    assert_eq!(here, there);
    let refused = here
        .0
        .iter()
        .filter(|answer| answer["code"] == "queue_full");
    assert!(refused.count() > 0, "{here:?}");
    let entry = other.scrape();
    assert!(entry.get("cuegate_cluster_forwarded_events_total") > 7.5);
}
