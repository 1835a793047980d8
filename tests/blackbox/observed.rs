//! What operators see of a request beside metrics: its id in the answer and in the log, lines that
//! parse, and nothing of what producers send. Traces have their tests in `tests/interop`.

use std::io::{BufReader, Write as _};

use serde_json::Value;

use crate::support::http::{Response, connect, encode, read_response, send};
use crate::support::process::{Gateway, arn, local};
use crate::support::ws::Client;
use crate::support::{SOON, eventually};

const ID: &str = "x-request-id";

/// What no log may show: data, types, keys and ids of events, and what lets somebody in.
const PRIVATE: [&str; 5] = [
    "data-of-an-event",
    "type-of-an-event",
    "key-of-an-event",
    "id-of-an-event",
    "a-secret-of-eventbridge",
];

fn event() -> String {
    let [data, kind, key, id, _] = PRIVATE;
    format!(r#"{{"data":"{data}","type":"{kind}","key":"{key}","id":"{id}"}}"#)
}

#[test]
fn every_answer_has_a_request_id() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let json = ("content-type", "application/json");
    let raw = format!(r#"{{"channelArn":"{}","metadata":"x"}}"#, arn("quiz"));
    let (producers, metrics, admin) = (gateway.producers, gateway.metrics, gateway.admin);
    for (address, method, path, body, status) in [
        (
            producers,
            "POST",
            "/v1/channels/quiz/events",
            r#"{"data":1}"#,
            202,
        ),
        (producers, "POST", "/v1/channels/quiz/events", "{", 400),
        (producers, "POST", "/v1/channels/nope/events", "{}", 404),
        (producers, "PATCH", "/v1/channels/quiz/events", "", 405),
        (producers, "GET", "/v1/channels", "", 200),
        (producers, "GET", "/v1/channels/quiz/payloads", "", 200),
        (producers, "GET", "/nowhere", "", 404),
        (producers, "POST", "/PutMetadata", &raw, 204),
        (producers, "POST", "/GetStream", "{}", 404),
        (producers, "GET", "/v1/ws", "", 400),
        (metrics, "GET", "/metrics", "", 200),
        (metrics, "GET", "/nowhere", "", 404),
        (admin, "GET", "/nowhere", "", 404),
    ] {
        let mut fresh = Vec::new();
        for (own, kept) in [
            (None, false),
            (None, false),
            (Some("quiz-backend/4711"), true),
            (Some("two words"), false),
            (Some(""), false),
        ] {
            let mut headers = vec![json];
            headers.extend(own.map(|own| (ID, own)));
            // The head alone: server-sent events have no end.
            let answer = head(address, method, path, &headers, body.as_bytes());
            assert_eq!(answer.status, status, "{method} {path}");
            let id = answer.header(ID).to_owned();
            if kept {
                assert_eq!(Some(id.as_str()), own, "{method} {path}");
            } else {
                let fit = (1..=128).contains(&id.len());
                assert!(fit && id.bytes().all(|c| c.is_ascii_graphic()), "{id:?}");
                fresh.push(id);
            }
        }
        fresh.sort_unstable();
        let all = fresh.len();
        fresh.dedup();
        assert_eq!(fresh.len(), all, "{method} {path}: {fresh:?}");
    }
    let socket = Client::open(gateway.producers, "/v1/ws");
    assert!(!socket.handshake.headers()[ID].is_empty());
}

fn head(
    address: std::net::SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let mut stream = connect(address).expect("a connection");
    stream
        .write_all(&encode(method, path, headers, body))
        .expect("to send");
    // As of a HEAD: without the body.
    read_response(&mut BufReader::new(stream), true).expect("an answer")
}

/// Everything producers can send, well and badly.
fn traffic(gateway: &Gateway) {
    let json = ("content-type", "application/json");
    let secret = ("x-cuegate-secret", PRIVATE[4]);
    let id = (ID, "the-producers-own-id");
    let event = event();
    let many = format!("[{event},{event},{{\"data\":\"{}\"}}]", PRIVATE[0]);
    let raw = format!(
        r#"{{"channelArn":"{}","metadata":"{}"}}"#,
        arn("quiz"),
        PRIVATE[0]
    );
    for (path, body) in [
        ("/v1/channels/quiz/events", event.as_str()),
        ("/v1/channels/quiz/events", &many),
        ("/v1/channels/gone/events", &event),
        ("/v1/channels/quiz/events", &event[1..]),
        ("/PutMetadata", &raw),
        ("/v1/eventbridge", "{}"),
    ] {
        send(
            gateway.producers,
            "POST",
            path,
            &[json, secret, id],
            body.as_bytes(),
        );
    }
    let mut socket = Client::open(gateway.producers, "/v1/channels/quiz/ws");
    socket.send(&event);
    socket.until_ack(1);
    gateway.drained("quiz");
}

/// The log of a gateway that saw [`traffic`] and ended.
fn log(environment: &[(&str, &str)]) -> Vec<Value> {
    // The second channel has no stream: its calls fail.
    let config = local(
        &format!("[eventbridge]\nsecret = \"{}\"", PRIVATE[4]),
        &[("quiz", ""), ("gone", "")],
    );
    let mut gateway = Gateway::start_as(&config, environment, &["--log-format", "json"]);
    gateway.emulator.stream(&arn("gone"), "offline");
    traffic(&gateway);
    eventually("a call failed", || {
        let state = &gateway.status("gone")["state"];
        (state == "offline").then_some(())
    });
    gateway.process.signal("TERM");
    gateway.process.signal("TERM");
    let (_, log) = gateway.process.wait(SOON);
    for private in PRIVATE {
        assert!(!log.contains(private), "{private} is in the log:\n{log}");
    }
    let lines = log.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    // All but what it says at its start, for people.
    let announced = log.lines().count() - lines.len();
    assert!(announced < 10 && !lines.is_empty(), "{log}");
    lines
}

#[test]
fn json_logs_parse_and_show_no_event() {
    for line in log(&[]) {
        for field in ["timestamp", "level", "target", "fields"] {
            assert!(!line[field].is_null(), "{field}: {line}");
        }
        assert_ne!(line["level"], "DEBUG");
        assert!(
            line["span"].is_null(),
            "a span that nobody asked for: {line}"
        );
    }
}

#[test]
fn debug_logs_have_the_request_id_and_no_event_either() {
    let lines = log(&[("CUEGATE_LOG", "info,cuegate=debug")]);
    let is_answer = |line: &&Value| line["fields"]["message"] == "answered";
    let own = |line: &&Value| line["span"]["request_id"] == "the-producers-own-id";
    let answers: Vec<&Value> = lines.iter().filter(is_answer).filter(own).collect();
    assert_eq!(answers.len(), 6, "{lines:#?}");
    let first = answers[0];
    assert_eq!(first["fields"]["status"], 202);
    assert_eq!(first["span"]["http.route"], "/v1/channels/{channel}/events");
    assert_eq!(first["span"]["http.request.method"], "POST");
}
