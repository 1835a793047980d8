//! What operators see of a request beside metrics: its id in the answer and in the log, lines that
//! parse, and nothing of what producers send. Traces have their tests in `tests/interop`.

mod warnings;

use std::io::{BufReader, Write as _};

use serde_json::Value;

use crate::support::http::{Response, connect, encode, read_response, send};
use crate::support::process::{Gateway, arn, command, local, run};
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
    gateway
        .process
        .logged("the channel is offline: its stream is not live");
    gateway.process.signal("TERM");
    gateway.process.signal("TERM");
    let (_, log) = gateway.process.wait(SOON);
    for private in PRIVATE {
        assert!(!log.contains(private), "{private} is in the log:\n{log}");
    }
    parsed(&log)
}

/// Every line of a log, which must each be JSON.
fn parsed(log: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    log.lines().map(parse).collect()
}

/// The fields of the first line with this message.
fn fields<'a>(lines: &'a [Value], message: &str) -> &'a Value {
    let is_it = |line: &&Value| line["fields"]["message"] == message;
    let found = lines.iter().find(is_it);
    &found.unwrap_or_else(|| panic!("no line says {message:?}: {lines:#?}"))["fields"]
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

#[test]
fn the_start_is_told_as_json_too() {
    let lines = log(&[]);
    let told = |about: &str| {
        let line = lines.iter().find(|line| line["fields"]["about"] == about);
        let line = line.unwrap_or_else(|| panic!("nothing about {about}: {lines:#?}"));
        line["fields"]["message"]
            .as_str()
            .expect("a text")
            .to_owned()
    };
    assert!(told("upstream").starts_with("LOCAL MODE"));
    assert!(told("try").starts_with("curl http://127.0.0.1:"));
    // One that cannot start says so in the same form.
    let mut command = command();
    command.args(["serve", "--log-format", "json"]);
    command.env("CUEGATE__QUOTA__CHANNEL_TPS", "many");
    let ended = run(&mut command, "");
    assert_eq!(ended.code, Some(2));
    let lines = parsed(&ended.err);
    let message = lines[0]["fields"]["message"].as_str().expect("a text");
    assert!(message.contains("quota.channel_tps"), "{message}");
}

#[test]
fn who_did_what_is_in_the_log() {
    let mut gateway =
        Gateway::start_as(&local("", &[("quiz", "")]), &[], &["--log-format", "json"]);
    let json = ("content-type", "application/json");
    let ask = |id: &str, method, path: &str, body: &str| {
        send(
            gateway.producers,
            method,
            path,
            &[json, (ID, id)],
            body.as_bytes(),
        )
        .status
    };
    let event = event();
    let operate =
        |id: &str, method, path: &str| send(gateway.admin, method, path, &[(ID, id)], b"").status;
    assert_eq!(ask("r1", "POST", "/v1/channels/quiz/pause", ""), 204);
    assert_eq!(ask("r2", "POST", "/v1/channels/quiz/events", &event), 202);
    let cancel = format!("/v1/channels/quiz/events/{}", PRIVATE[3]);
    assert_eq!(ask("r3", "DELETE", &cancel, ""), 204);
    let typed = r#"{"data":1,"type":"t"}"#;
    assert_eq!(ask("r4", "POST", "/v1/channels/quiz/events", typed), 202);
    let purge = "/v1/channels/quiz/events?type=t";
    assert_eq!(ask("r5", "DELETE", purge, ""), 200);
    assert_eq!(ask("r6", "POST", "/v1/channels/quiz/resume", ""), 204);
    assert_eq!(operate("r7", "POST", "/admin/dead-letters"), 200);
    assert_eq!(operate("r8", "DELETE", "/admin/dead-letters"), 200);
    assert_eq!(operate("r9", "POST", "/admin/reload"), 200);
    gateway.process.signal("TERM");
    let (_, log) = gateway.process.wait(SOON);
    for private in PRIVATE {
        assert!(!log.contains(private), "{private} is in the log:\n{log}");
    }
    let lines = parsed(&log);
    for (message, id, figure) in [
        ("channel paused", "r1", None),
        ("an event was cancelled", "r3", None),
        ("queued events purged", "r5", Some(("events", 1))),
        ("channel resumed", "r6", None),
        ("dead letters replayed", "r7", Some(("accepted", 0))),
        ("dead letters purged", "r8", Some(("letters", 0))),
        ("configuration reload requested", "r9", None),
    ] {
        let fields = fields(&lines, message);
        assert_eq!(fields["key"], "anyone", "{fields}");
        assert_eq!(fields["request_id"], id, "{fields}");
        if message.contains("channel") || message.contains("event") {
            assert_eq!(fields["channel"], "quiz", "{fields}");
        }
        if let Some((name, value)) = figure {
            assert_eq!(fields[name], value, "{fields}");
        }
    }
}
