//! `…/ws`: acknowledgements, refusals, handshakes, and how connections end.

mod ends;

use std::fmt::Write as _;
use std::io::{BufReader, Write as _};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::http::{check_problem, connect, encode, read_response};
use crate::support::payloads::all_items;
use crate::support::process::{Gateway, local};
use crate::support::ws::Client;
use crate::support::{SOON, within};

const PATH: &str = "/v1/channels/quiz/ws";

fn start() -> Gateway {
    Gateway::start(&local("", &[("quiz", "ttl_ms = 600000"), ("b", "")]))
}

/// Acks grow, none is missing at the end, and each refusal comes before the ack that covers it.
fn check_answers(answers: &[Value], messages: u64) {
    let mut acked = 0;
    for answer in answers {
        if let Some(ack) = answer["ack"].as_u64() {
            assert!(ack > acked, "{ack} after {acked}");
            assert!(answer["queued"].is_u64(), "{answer}");
            acked = ack;
        } else {
            let message = answer["msg"].as_u64().unwrap_or_else(|| panic!("{answer}"));
            assert!(
                message > acked,
                "refusal of {message} after the ack of {acked}"
            );
            assert!(
                answer["index"].is_u64()
                    && answer["code"].is_string()
                    && answer["detail"].is_string()
            );
        }
    }
    assert_eq!(acked, messages);
}

#[test]
fn acks_are_cumulative_and_refusals_come_before_them() {
    let gateway = start();
    let mut client = Client::open(gateway.producers, PATH);
    client.send(r#"{"data":0}"#);
    assert_eq!(client.next()["ack"], 1, "an idle input is acked at once");
    for nth in 1..=2000_u64 {
        let bad = if nth % 100 == 0 { r#","ttl_ms":0"# } else { "" };
        client.send(&format!(r#"[{{"data":{nth}}},{{"data":"x"{bad}}}]"#));
    }
    let answers = client.until_ack(2001);
    let before = answers
        .iter()
        .take_while(|answer| answer["ack"].is_null())
        .count();
    let refusals: Vec<_> = answers
        .iter()
        .filter(|answer| answer["msg"].is_u64())
        .collect();
    assert_eq!(refusals.len(), 20);
    for (nth, refusal) in refusals.iter().enumerate() {
        let expected = (&json!(nth * 100 + 101), &json!(1), &json!("invalid_event"));
        assert_eq!(
            (&refusal["msg"], &refusal["index"], &refusal["code"]),
            expected
        );
    }
    assert!(before <= 3, "256 messages at most before an ack");
    let mut acks = answers.iter().filter_map(|answer| answer["ack"].as_u64());
    let mut last = 1;
    assert!(
        acks.all(|ack| ack - std::mem::replace(&mut last, ack) <= 256),
        "{answers:?}"
    );
    check_answers(
        &[&[json!({"ack": 1, "queued": 0})], &answers[..]].concat(),
        2001,
    );
    let metrics = gateway.scrape();
    metrics.check_books(true);
    assert!(
        (metrics.get(r#"cuegate_events_received_total{transport="websocket"}"#) - 4001.0).abs()
            < 0.5
    );
}

#[test]
fn what_is_refused_and_goes_on() {
    let gateway = start();
    let mut client = Client::open(gateway.producers, PATH);
    for (nth, (message, refusals)) in (1..).zip([
        ("nonsense", vec![(0, "malformed")]),
        ("", vec![(0, "malformed")]),
        ("[]", vec![(0, "malformed")]),
        (r#"{"data":1,"channel":"quiz"}"#, vec![(0, "malformed")]),
        (r#"{"data":"\ud800"}"#, vec![(0, "malformed")]),
        ("{\"data\":1}\n{\"data\":2}", vec![(0, "malformed")]),
        (
            r#"[{"data":1},{"data":1,"key":""},5]"#,
            vec![(1, "invalid_event"), (2, "malformed")],
        ),
    ]) {
        client.send(message);
        let answers = client.until_ack(nth);
        let found: Vec<_> = answers[..answers.len() - 1]
            .iter()
            .map(|answer| {
                (
                    answer["index"].as_u64().expect("an index"),
                    answer["code"].as_str().expect("a code"),
                )
            })
            .collect();
        assert_eq!(found, refusals, "{message}");
    }
    client.send(r#"{"data":"good"}"#);
    gateway.drained("quiz");
    client.until_ack(8);
    assert_eq!(all_items(&gateway.taken("quiz")), r#"{"d":1},{"d":"good"}"#);
}

#[test]
fn messages_that_name_their_channel() {
    let gateway = start();
    let mut client = Client::open(gateway.producers, "/v1/ws");
    client.send(r#"[{"channel":"quiz","data":1},{"channel":"b","data":2},{"channel":"c","data":3},{"data":4}]"#);
    let answers = client.until_ack(1);
    let codes: Vec<_> = answers
        .iter()
        .filter_map(|answer| answer["code"].as_str())
        .collect();
    assert_eq!(codes, ["unknown_channel", "malformed"]);
    gateway.drained("quiz");
    gateway.drained("b");
    assert_eq!(
        (
            all_items(&gateway.taken("quiz")),
            all_items(&gateway.taken("b"))
        ),
        (r#"{"d":1}"#.into(), r#"{"d":2}"#.into())
    );
}

#[test]
fn handshakes() {
    let gateway = start();
    for (offered, chosen) in [
        (None, ""),
        (Some("cuegate.v1"), "cuegate.v1"),
        (Some("x, cuegate.v1"), "cuegate.v1"),
    ] {
        let client = Client::open_with(gateway.producers, PATH, offered);
        let protocol = client.handshake.headers().get("sec-websocket-protocol");
        assert_eq!(
            protocol.map_or("", |value| value.to_str().expect("text")),
            chosen,
            "{offered:?}"
        );
    }
    let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let (version, upgrade) = (("sec-websocket-version", "13"), ("upgrade", "websocket"));
    for (path, headers, status, code) in [
        (PATH, vec![], 400, "malformed"),
        (PATH, vec![upgrade, version], 400, "malformed"),
        (
            "/v1/channels/nowhere/ws",
            vec![upgrade, version, key],
            404,
            "unknown_channel",
        ),
    ] {
        let mut bytes = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n");
        for (name, value) in headers {
            let _ = write!(bytes, "{name}: {value}\r\n");
        }
        bytes.push_str("\r\n");
        let answer = crate::support::http::exchange(gateway.producers, bytes.as_bytes(), false)
            .expect("an answer");
        check_problem(&answer, status, code);
    }
    // An old version is told the one that is spoken (RFC 6455, 4.2.2).
    let bytes = format!(
        "GET {PATH} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 8\r\nsec-websocket-key: {}\r\n\r\n",
        key.1
    );
    let answer = crate::support::http::exchange(gateway.producers, bytes.as_bytes(), false)
        .expect("an answer");
    assert_eq!(
        (answer.status, answer.header("sec-websocket-version")),
        (426, "13")
    );
}

#[test]
fn pings_are_answered() {
    let gateway = start();
    let mut client = Client::open(gateway.producers, PATH);
    client
        .socket
        .send(Message::Ping("are you there".into()))
        .expect("to send");
    loop {
        match client.socket.read().expect("a message") {
            Message::Pong(bytes) => return assert_eq!(&bytes[..], b"are you there"),
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_frame_in_pieces_is_one_message() {
    let gateway = start();
    let mut stream = connect(gateway.producers).expect("a connection");
    let headers = [
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let request = String::from_utf8(encode("GET", PATH, &headers, b"")).expect("UTF-8");
    stream
        .write_all(
            request
                .replace("connection: close", "connection: upgrade")
                .as_bytes(),
        )
        .expect("to send");
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    let answer = read_response(&mut reader, false).expect("an answer");
    assert_eq!(
        (answer.status, answer.header("sec-websocket-accept")),
        (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    // A text frame of three fragments, each written a byte at a time; the mask is all zeros.
    for (first, part) in [(0x01, r#"{"da"#), (0x00, r#"ta":"é"#), (0x80, r#""}"#)] {
        let length = 0x80 | u8::try_from(part.len()).expect("short");
        let frame = [&[first, length, 0, 0, 0, 0], part.as_bytes()].concat();
        for byte in frame {
            stream.write_all(&[byte]).expect("to send");
        }
    }
    gateway.drained("quiz");
    within(SOON, "it was sent", || {
        (all_items(&gateway.taken("quiz")) == r#"{"d":"é"}"#).then_some(())
    });
}
