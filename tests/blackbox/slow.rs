//! Clients that send slowly, by half, or one request behind another.
//!
//! The patience of the doors is counted in seconds (`src/ingest/limits.rs`), so the slow ones
//! of this file wait side by side.

use std::io::{BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::support::http::{check_problem, connect, encode, read_head, read_response};
use crate::support::metrics::same;
use crate::support::process::{Gateway, local};
use crate::support::ws::Client;

const PATH: &str = "/v1/channels/quiz/events";
const JSON: (&str, &str) = ("content-type", "application/json");
/// Patience with heads and with the silence of bodies is 10 s, and twice that is too much.
const PATIENCE: Duration = Duration::from_secs(20);

const LATE: &str = "HTTP/1.1 408 ";

/// What a slow client sends, and how often it adds a byte of blank.
fn slow(address: SocketAddr, bytes: &[u8], drip: Option<Duration>) -> (Instant, String) {
    let start = Instant::now();
    let mut stream = connect(address).expect("a connection");
    stream.write_all(bytes).expect("to send");
    if let Some(every) = drip {
        let mut writer = stream.try_clone().expect("a handle");
        // It ends when the server closes.
        std::thread::spawn(move || {
            while writer.write_all(b" ").is_ok() {
                std::thread::sleep(every);
            }
        });
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    (start, String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn slow_requests_are_ended_with_408_and_nothing_is_published() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let address = gateway.producers;
    let half_head = b"POST /v1/channels/quiz/events HTTP/1.1\r\nhost: x\r\n".to_vec();
    let body = br#"{"data":1}"#;
    let headers = [JSON, ("content-length", "100000")];
    let half_body = encode("POST", PATH, &headers, body);
    let ivs = encode("POST", "/PutMetadata", &headers, br#"{"channelArn":"#);
    let dripped_head = [&half_head[..], b"x-slow: "].concat();
    std::thread::scope(|scope| {
        let every = Some(Duration::from_millis(900));
        let (admin, metrics) = (gateway.admin, gateway.metrics);
        for (name, address, bytes, drip, expected) in [
            ("half a head", address, half_head.clone(), None, LATE),
            (
                "half a head for operators",
                admin,
                half_head.clone(),
                None,
                LATE,
            ),
            ("half a head for a scrape", metrics, half_head, None, LATE),
            ("a head by the drip", address, dripped_head, every, LATE),
            ("half a body", address, half_body, None, LATE),
            ("half a PutMetadata", address, ivs, None, LATE),
            ("nothing", address, Vec::new(), None, ""),
        ] {
            scope.spawn(move || {
                let (start, answer) = slow(address, &bytes, drip);
                assert!(start.elapsed() < PATIENCE, "{name}: {:?}", start.elapsed());
                assert!(answer.starts_with(expected), "{name}: {answer:?}");
                assert!(
                    !expected.is_empty() || answer.is_empty(),
                    "{name}: {answer:?}"
                );
                if name.starts_with("half a body") || name.contains("head") {
                    assert!(
                        answer.contains(r#""code":"slow_request""#),
                        "{name}: {answer}"
                    );
                    assert!(
                        answer.contains("application/problem+json"),
                        "{name}: {answer}"
                    );
                }
            });
        }
        // Others are not kept waiting meanwhile.
        for _ in 0..20 {
            gateway.publish("quiz", r#"{"data":2}"#);
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    assert_eq!(gateway.status("quiz")["totals"]["accepted"], 20);
    gateway.scrape().check_books(true);
}

#[test]
fn requests_behind_one_another_are_answered_in_turn() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let keep = |bytes: Vec<u8>| {
        String::from_utf8(bytes)
            .expect("text")
            .replace("connection: close\r\n", "")
    };
    let mut bytes = String::new();
    for body in [r#"{"data":1}"#, "nonsense", r#"[{"data":2},{"data":3}]"#] {
        bytes += &keep(encode("POST", PATH, &[JSON], body.as_bytes()));
    }
    bytes += &keep(encode("GET", "/v1/nothing", &[], b""));
    bytes += &String::from_utf8(encode("GET", "/v1/channels/quiz", &[], b"")).expect("text");
    let mut stream = connect(gateway.producers).expect("a connection");
    stream.write_all(bytes.as_bytes()).expect("to send");
    let mut reader = BufReader::new(stream);
    let mut next = || read_response(&mut reader, false).expect("an answer");
    assert_eq!(next().json()["accepted"], 1);
    check_problem(&next(), 400, "malformed");
    assert_eq!(next().json()["accepted"], 2);
    check_problem(&next(), 404, "not_found");
    assert_eq!(next().json()["totals"]["accepted"], 3);
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).expect("the end");
    assert_eq!(rest, b"");
}

#[test]
fn whoever_asks_before_sending_is_told_first() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let mut stream = connect(gateway.producers).expect("a connection");
    let body = br#"{"data":1}"#;
    let bytes = encode("POST", PATH, &[JSON, ("expect", "100-continue")], body);
    let (head, body) = bytes.split_at(bytes.len() - body.len());
    stream.write_all(head).expect("to send");
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    assert_eq!(
        read_head(&mut reader).expect("an interim answer").status,
        100
    );
    stream.write_all(body).expect("to send");
    assert_eq!(
        read_response(&mut reader, false).expect("an answer").status,
        202
    );

    // A refusal comes instead, without a byte of the body.
    let mut stream = connect(gateway.producers).expect("a connection");
    let headers = [JSON, ("expect", "100-continue"), ("content-length", "100")];
    stream
        .write_all(&encode(
            "POST",
            "/v1/channels/nowhere/events",
            &headers,
            b"",
        ))
        .expect("to send");
    let answer = read_head(&mut BufReader::new(stream)).expect("an answer");
    assert_eq!(answer.status, 404, "{answer:?}");
}

/// A refusal is seen though the client was still sending: a reset would lose it.
#[test]
fn the_answer_to_a_large_body_is_seen() {
    let gateway = Gateway::start(&local("[server]\nmax_body_bytes = 1000", &[("quiz", "")]));
    let body = vec![b' '; 7 << 20];
    for (path, status, code) in [
        (PATH, 413, "body_too_large"),
        ("/v1/channels/nowhere/events", 404, "unknown_channel"),
    ] {
        let answer = crate::support::http::send(gateway.producers, "POST", path, &[JSON], &body);
        check_problem(&answer, status, code);
    }
    gateway.scrape().check_books(true);
}

/// A message of a WebSocket has the time of a body: 30 s.
#[test]
fn a_message_that_does_not_end_ends_its_connection() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let mut slow = Client::open(gateway.producers, "/v1/channels/quiz/ws");
    let mut idle = Client::open(gateway.producers, "/v1/channels/quiz/ws");
    slow.begin(1000).expect("to send");
    // By hand: a client that answers pings would write them into its message.
    let mut said = Vec::new();
    let _ = slow.socket.get_mut().read_to_end(&mut said);
    let code = 1008_u16.to_be_bytes();
    let is_close = |frame: &[u8]| frame[0] == 0x88 && frame[2..] == code;
    assert!(said.windows(4).any(is_close), "{said:?}");
    // Between messages a connection may be as quiet as it likes.
    idle.send(r#"{"data":1}"#);
    idle.until_ack(1);
    let rejected = r#"cuegate_events_rejected_total{code="slow_request"}"#;
    assert!(same(gateway.scrape().get(rejected), 1.0));
    gateway.scrape().check_books(true);
}
