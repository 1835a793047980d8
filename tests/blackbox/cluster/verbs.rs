//! What is asked of one channel at a node that does not have its account: the owner answers, through that node.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::Stage;
use super::anywhere::{CHANNELS, seen};
use crate::support::http::{self, Response, check_problem, send};
use crate::support::postgres::Cluster;
use crate::support::process::{Gateway, arn};
use crate::support::{eventually, ports};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Of an answer, what does not depend on the moment or the channel.
fn told(answer: &Response) -> (u16, Value) {
    const OF_THE_MOMENT: [&str; 9] = [
        "at",
        "eta_ms",
        "n",
        "channel",
        "arn",
        "next",
        "oldest_age_ms",
        "paused_ms",
        "available",
    ];
    fn timeless(value: &mut Value) {
        match value {
            Value::Object(members) => {
                for name in OF_THE_MOMENT {
                    if let Some(value) = members.get_mut(name) {
                        *value = value.is_null().into();
                    }
                }
                members.values_mut().for_each(timeless);
            }
            Value::Array(items) => items.iter_mut().for_each(timeless),
            _ => {}
        }
    }
    if answer.body.is_empty() {
        return (answer.status, Value::Null);
    }
    let (status, mut body) = seen(answer);
    timeless(&mut body);
    (status, body)
}

#[test]
fn a_channel_is_asked_and_told_at_any_node() {
    let Some(stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let (owner, other) = stage.pair("ttl_ms = 60000\nkeyframes = true\n");
    let ask = |method: &str, what: &str, body: &str| {
        let [here, there] = [(&owner, "here"), (&other, "there")].map(|(node, channel)| {
            let path = format!("/v1/channels/{channel}{what}");
            let headers = if body.is_empty() { &[][..] } else { &[JSON] };
            told(&send(
                node.producers,
                method,
                &path,
                headers,
                body.as_bytes(),
            ))
        });
        assert_eq!(here, there, "{method} {what}");
        there
    };
    assert_eq!(ask("POST", "/pause", "").0, 204);
    let events = r#"[{"id":"a","data":1,"key":"k","merge":"replace"},{"id":"b","data":2,"type":"t"},
        {"id":"c","data":3},{"id":"d","data":4,"type":"t"}]"#;
    assert_eq!(ask("POST", "/events", events).0, 202);
    let (_, page) = ask("GET", "/events?limit=2", "");
    assert_eq!(page["events"].as_array().map(Vec::len), Some(2));
    assert_eq!(ask("GET", "/events?limit=x", "").0, 400);
    assert_eq!(ask("GET", "/events/a", "").1["state"], "waiting");
    assert_eq!(ask("GET", "/events/nobody", "").0, 404);
    assert_eq!(ask("PUT", "/events/c", r#"{"data":33}"#).0, 200);
    assert_eq!(ask("DELETE", "/events/b", "").0, 204);
    assert_eq!(ask("DELETE", "/events/nobody", "").0, 404);
    assert_eq!(ask("DELETE", "/events", "").0, 400);
    assert_eq!(
        ask("DELETE", "/events?type=t", "").1,
        json!({"cancelled": 1})
    );
    assert_eq!(ask("GET", "", "").1["queued"], 2);
    assert_eq!(ask("POST", "/resume", "").0, 204);
    for channel in CHANNELS {
        other.drained(channel);
    }
    let (_, kept) = ask("GET", "/state", "");
    assert_eq!(kept["s"][0]["k"], "k", "{kept}");
    assert_eq!(ask("DELETE", "/state", "").0, 400);
    assert_eq!(ask("DELETE", "/state?all=true", "").0, 204);
    assert_eq!(ask("GET", "/state", "").1["s"], json!([]));
    assert_eq!(ask("PUT", "", r#"{"ttl_ms":1}"#).0, 409);
    assert_eq!(ask("PATCH", "", "").0, 405);
    let nobody = other.request("GET", "/v1/channels/ther");
    check_problem(&nobody, 404, "unknown_channel");
    assert!(nobody.text().contains("did you mean"), "{}", nobody.text());
    let told = send(other.producers, "HEAD", "/v1/channels/there", &[], b"");
    assert_eq!((told.status, told.body.len()), (200, 0));
}

/// What a key may not is said by the node that it came to; what it may is noted under its name at the owner.
#[test]
fn rights_are_looked_at_where_a_request_comes_in() {
    let Some(stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let key = format!(
        "[[api_key]]\nname = \"desk\"\nsha256 = \"{hash}\"\nscopes = [\"control\"]\nchannels = [\"there\"]\n"
    );
    let (owner, other) = stage.pair_with("", || key.clone());
    let bearer = ("authorization", "Bearer test");
    let ask = |path: &str, more: &[(&str, &str)]| {
        let headers = [&[bearer], more].concat();
        send(other.producers, "POST", path, &headers, b"").status
    };
    assert_eq!(
        ask("/v1/channels/there/pause", &[("x-request-id", "r-17")]),
        204
    );
    owner.process.logged("key=\"desk\" request_id=\"r-17\"");
    assert_eq!(ask("/v1/channels/here/pause", &[]), 403);
    let read = send(other.producers, "GET", "/v1/channels/there", &[bearer], b"");
    check_problem(&read, 403, "forbidden");
    let nobody = send(
        other.producers,
        "POST",
        "/v1/channels/there/pause",
        &[],
        b"",
    );
    check_problem(&nobody, 401, "unauthenticated");
}

/// A stream of server-sent events that has begun.
fn follow(node: &Gateway, what: &str, last: &str) -> BufReader<TcpStream> {
    let mut connection = http::connect(node.producers).expect("a connection");
    let path = format!("/v1/channels/there/{what}");
    let last = [("last-event-id", last)];
    let headers = if last[0].1.is_empty() { &[][..] } else { &last };
    let request = http::encode("GET", &path, headers, b"");
    connection.write_all(&request).expect("written");
    let mut reader = BufReader::new(connection);
    let head = http::read_head(&mut reader).expect("an answer");
    let media = head.header("content-type");
    assert_eq!((head.status, media), (200, "text/event-stream"));
    reader
}

fn until(reader: &mut BufReader<TcpStream>, word: &str) -> String {
    let mut text = String::new();
    while !text.contains(word) {
        let chunk = http::read_chunk(reader).expect("a chunk").expect("no end");
        text.push_str(&String::from_utf8(chunk).expect("UTF-8"));
    }
    text
}

#[test]
fn streams_come_through_another_node_and_end_with_the_owner() {
    let Some(stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let (mut owner, other) = stage.pair("");
    let mut payloads = follow(&other, "payloads", "");
    let mut ends = follow(&other, "ends", "");
    other.publish("there", r#"{"id":"a","data":"first"}"#);
    let text = until(&mut payloads, "first");
    assert!(text.contains("id: ") && text.contains("data: {"), "{text}");
    let text = until(&mut ends, "delivered");
    let id = text
        .split("id: ")
        .nth(1)
        .and_then(|rest| rest.lines().next());
    other.publish("there", r#"{"id":"b","data":"second"}"#);
    until(&mut ends, r#""id":"b""#);
    // Whoever comes back hears what it missed, and nothing twice.
    let mut back = follow(&other, "ends", id.expect("a number"));
    let missed = until(&mut back, r#""id":"b""#);
    assert!(!missed.contains(r#""id":"a""#), "{missed}");
    owner.process.kill();
    for reader in [&mut payloads, &mut ends, &mut back] {
        eventually("the stream ends", || match http::read_chunk(reader) {
            Ok(Some(_)) => None,
            Ok(None) | Err(_) => Some(()),
        });
    }
}

#[test]
fn viewers_are_told_the_state_at_any_node() {
    let Some(stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let doors = [ports::free(), ports::free()];
    let mut doors_left = doors.iter();
    let keys = "keyframes = true\nstate_http = true\nstate_idle_ms = 100\nstate_delay_ms = 300";
    let (_owner, other) = stage.pair_with(keys, || {
        let door = doors_left.next().expect("two nodes");
        format!("[state]\nlisten = \"{door}\"\nwindow_ms = 2000\n")
    });
    other.publish(
        "there",
        r#"{"data":{"home":1},"key":"score","merge":"replace"}"#,
    );
    let path = "/v1/channels/there/state";
    let told = doors.map(|door| {
        eventually("the state is told", || {
            let answer = send(door, "GET", path, &[], b"");
            assert!([200, 503].contains(&answer.status), "{answer:?}");
            let told = answer.status == 200 && answer.text().contains("score");
            told.then(|| answer.header("etag").to_owned())
        })
    });
    let known = [("if-none-match", told[1].as_str())];
    let again = send(doors[1], "GET", path, &known, b"");
    assert!([200, 304].contains(&again.status), "{again:?}");
    assert_eq!(
        send(doors[1], "GET", "/v1/channels/quiz/state", &[], b"").status,
        404
    );
}

#[test]
fn a_notice_about_a_stream_reaches_the_owner() {
    let Some(stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let secret = "0123456789abcdef";
    let table = format!("[eventbridge]\nsecret = \"{secret}\"\n");
    let (_owner, other) = stage.pair_with("", || table.clone());
    let notice = json!({
        "id": "98a31fbd-0000-0000-0000-000000000000", "detail-type": "IVS Stream State Change",
        "source": "aws.ivs", "time": "2026-01-01T00:00:00Z", "resources": [arn("there")],
        "detail": {"event_name": "Stream Start"},
    });
    let headers = [JSON, ("x-cuegate-secret", secret)];
    // The second says nothing new.
    for applied in [1, 0] {
        let body = notice.to_string();
        let answer = send(
            other.producers,
            "POST",
            "/v1/eventbridge",
            &headers,
            body.as_bytes(),
        );
        let expected = json!({"applied": applied, "ignored": 1 - applied});
        assert_eq!(seen(&answer), (200, expected));
    }
}
